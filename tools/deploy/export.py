"""Export a detector to a file that runs elsewhere, and check that it finds the same.

python tools/deploy/export.py work_dirs/.../epoch_12.pth --to onnx
python tools/deploy/export.py CHECKPOINT CONFIG --to torch --out detector.pt2
python tools/deploy/export.py CHECKPOINT --to onnx --images photos/
"""

import argparse
import sys
from pathlib import Path
from typing import Any

_FORMATS = ('onnx', 'torch', 'aoti')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Export a detector, and check that it finds the same.'
    )
    parser.add_argument('checkpoint', help='checkpoint file; it carries its config')
    parser.add_argument('config', nargs='?', help='config file, where it has none')
    parser.add_argument(
        '--to',
        required=True,
        choices=_FORMATS,
        help='ONNX; a torch.export program; a package compiled by AOTInductor',
    )
    parser.add_argument(
        '--out', help='file to write (.onnx, .pt2); beside the checkpoint by default'
    )
    parser.add_argument(
        '--images',
        nargs='+',
        metavar='INPUT',
        help='images, folders or globs to check on; those of the test data by default',
    )
    parser.add_argument(
        '--num-images', type=int, default=8, help='how many to check on (8)'
    )
    parser.add_argument(
        '--score-thr',
        type=float,
        help='least score of a detection; model.test_cfg.score_thr by default',
    )
    parser.add_argument(
        '--trust-checkpoint',
        action='store_true',
        help='unpickle the checkpoint named here in full, which runs any code in it',
    )
    return parser.parse_args()


def run_export(args: argparse.Namespace) -> None:
    from freeanchor.deployment import FORMATS, export
    from freeanchor.engine.command_line import checked_checkpoint
    from freeanchor.engine.trust import trust_named
    from freeanchor.inference import load_detector

    if args.trust_checkpoint:
        trust_named(args.checkpoint)
    checkpoint = checked_checkpoint(args.checkpoint)
    detector = load_detector(checkpoint, args.config, device='cpu')
    if args.score_thr is not None:
        detector.model.test_cfg = {
            **detector.model.test_cfg,
            'score_thr': args.score_thr,
        }
    out = args.out or default_out(checkpoint, FORMATS[args.to].suffix)
    images = images_to_check(args.images, args.num_images, detector.cfg)
    print(f'writing {out}, and checking it on {len(images)} images')
    found = export(detector, args.to, out, images)
    print(
        f'{out}: {found.num_detections} detections in {found.num_images} images as '
        f'before; boxes within {found.box_distance:.2g} pixels, scores within '
        f'{found.score_distance:.2g}'
    )


def default_out(checkpoint: str, suffix: str) -> Path:
    """Beside the checkpoint; in the current folder, where it is downloaded."""
    path = Path(checkpoint).with_suffix(suffix)
    return Path(path.name) if '://' in checkpoint else path


def images_to_check(named: list[str] | None, count: int, cfg: Any) -> list[Any]:
    """The first ``count`` images of those named, or of the config's test data.

    Raises:
        ConfigError: There is none.
    """
    from freeanchor.engine import ConfigError
    from freeanchor.inference import find_images

    if named is None:
        named = test_images(cfg, count)
    images = [image.content for image in find_images(named)][:count]
    if not images:
        raise ConfigError(f'--num-images {count}: an export is checked on one at least')
    return images


def test_images(cfg: Any, count: int) -> list[str]:
    """Paths of the first images of a config's test data.

    Raises:
        ConfigError: They are not here.
    """
    from freeanchor.engine import ConfigError
    from freeanchor.registry import DATASETS

    dataloader = cfg.get('test_dataloader') or cfg.get('val_dataloader') or {}
    try:
        dataset = DATASETS.build({**dataloader['dataset'], 'pipeline': []})
    except (KeyError, OSError) as error:
        raise ConfigError(
            f'the test data of the config are not here ({error}): name images to check '
            'the export on with --images'
        ) from None
    indices = range(min(count, len(dataset)))
    return [dataset.get_data_info(i)['img_path'] for i in indices]


def main() -> int:
    args = parse_args()
    # After the arguments: --help need not wait for torch.
    from freeanchor.engine.command_line import run_tool

    return run_tool(lambda: run_export(args))


if __name__ == '__main__':
    sys.exit(main())
