"""Turn another project's RetinaNet weights into ours, by our names.

python tools/checkpoints/convert.py retinanet_r50.pth converted.safetensors
python tools/checkpoints/convert.py model_final.pkl converted.pth --from detectron2
python tools/checkpoints/convert.py retinanet_r50.pth start.pth \
    --config configs/free_anchor_r50_fpn_1x.py

Prints what was done, what was not understood, and the configs that the result is for.
The name of the result gets the first eight digits of its SHA-256.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

SOURCES = ('mmdet2', 'mmdet3', 'official', 'detectron2', 'torchvision')
CONFIGS = Path(__file__).parents[2] / 'configs'


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Convert another project's weights.")
    parser.add_argument('checkpoint', help='.pth, .pkl or .safetensors file')
    parser.add_argument('out', help='.safetensors file (no ending: that), or .pth')
    parser.add_argument(
        '--from',
        dest='source',
        choices=SOURCES,
        help='the project it is from; recognised where it is not given',
    )
    parser.add_argument(
        '--config',
        help='the config that is to use the result: its box stds are kept to, and '
        'every tensor must fit',
    )
    parser.add_argument(
        '--norm-eps',
        type=float,
        metavar='EPS',
        help="what the project's norms add to variances, where it is another than "
        'usual',
    )
    return parser.parse_args()


def convert_file(args: argparse.Namespace) -> list[str]:
    """Convert as ``args`` say; what is to be told of it, a line each."""
    from freeanchor.engine import read_checkpoint
    from freeanchor.engine.conversion import ConversionError, convert
    from freeanchor.engine.publishing import check_place, write_published

    check_place(args.out)  # before a large file is read
    checkpoint = read_checkpoint(args.checkpoint)
    try:
        converted = convert(checkpoint, args.source, args.norm_eps)
        lines = [f'source: {converted.source.name}', *converted.notes]
        if args.config:
            converted, fitted = fit(converted, args.config)
            lines += fitted
    except ConversionError as error:
        raise ConversionError(f'{args.checkpoint}: {error}') from None
    lines += [f'not understood, left out: {x}' for x in converted.unmatched]
    path = write_published(converted.weights, meta_of(checkpoint, converted), args.out)
    return [*lines, *advice(converted), f'written: {path}']


def fit(converted: Any, config: str) -> tuple[Any, list[str]]:
    """Rescale the box branch for ``config``; what it is now, and what was done.

    Raises:
        ConversionError: A tensor of the config's model is missing or has another
            shape.
    """
    from freeanchor.engine import load_config
    from freeanchor.engine.conversion import (
        ConversionError,
        build_untrained,
        misfits,
        rescaled,
    )

    model = build_untrained(load_config(config).model.to_dict())
    wrong = misfits(converted.weights, model.state_dict())
    if wrong:
        more = f' and {len(wrong) - 5} more' if len(wrong) > 5 else ''
        raise ConversionError(f'does not fit {config}: {"; ".join(wrong[:5])}{more}')
    converted, note = rescaled(converted, model.bbox_head.coder.stds)
    return converted, [note, f'fits {config}'] if note else [f'fits {config}']


def meta_of(checkpoint: dict, converted: Any) -> dict[str, Any]:
    """What a converted file says of itself."""
    old = checkpoint.get('meta') or {}
    classes = old.get('CLASSES')
    if isinstance(old.get('dataset_meta'), dict):
        known = old['dataset_meta']
        classes = known.get('classes', known.get('CLASSES'))
    meta: dict[str, Any] = dict(converted_from=converted.source.name)
    if classes is not None:
        meta['dataset_meta'] = dict(classes=tuple(map(str, classes)))
    if converted.settings.stds is not None:
        meta['box_stds'] = list(converted.settings.stds)
    return meta


def advice(converted: Any) -> list[str]:
    """Which configs the weights are for, and with which changes."""
    from freeanchor.engine.conversion import fitting_configs, num_classes, trunk_of

    lines = []
    if converted.source.reading:
        lines.append(f'{converted.source.name} has {converted.source.reading}')
    names = [x.stem for x in CONFIGS.glob('*.py')]
    found = fitting_configs(converted, names)
    trunk, classes = trunk_of(converted.weights), num_classes(converted.weights)
    lines.append(
        f'trunk {trunk or "unknown"}, {classes} classes, box stds '
        f'{converted.settings.stds or "unknown"}'
    )
    change = f' with model.bbox_head.num_classes={classes}' if classes != 80 else ''
    lines += [f'for: configs/{x}.py{change}' for x in found]
    if not found:
        lines.append('for: no config that is shipped; see docs/converting.md')
    return lines


def main() -> int:
    args = parse_args()
    # After the arguments: --help need not wait for torch.
    from freeanchor.engine.command_line import run_tool

    return run_tool(lambda: print('\n'.join(convert_file(args))))


if __name__ == '__main__':
    sys.exit(main())
