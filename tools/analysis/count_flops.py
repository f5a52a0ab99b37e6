"""Count parameters, FLOPs and activations of a detector, part by part.

    python tools/analysis/count_flops.py configs/retinanet_r50_fpn_1x.py
    python tools/analysis/count_flops.py CONFIG --shape 800 1333 --per-level

One multiply-add is two FLOPs; convolutions and matrix products count, sums,
normalisations and activation functions do not. Activations are the elements
that convolutions write for one image: what training keeps in memory follows
them. Nothing is computed, so it takes no GPU.

RetinaNet with ResNet-50 and 80 classes trains 37.74 M parameters, and takes 477
GFLOPs at 800 x 1280 pixels. MMDetection prints 239: it calls a multiply-add one
FLOP, and counts normalisations too.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--shape',
        nargs=2,
        type=int,
        default=[800, 1280],
        metavar=('HEIGHT', 'WIDTH'),
        help='of the image, in pixels (800 1280); padded as in training',
    )
    parser.add_argument(
        '--per-level',
        action='store_true',
        help="also the head's FLOPs and anchors on each level of the pyramid",
    )
    parser.add_argument('--out', type=Path, metavar='JSON', help='write the numbers')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='set values of the config: model.bbox_head.num_classes=3',
    )
    return parser.parse_args()


def count(cfg: Any, shape: tuple[int, int]) -> dict[str, Any]:
    """Numbers of the parts and of the levels of ``cfg.model``.

    Args:
        cfg: A whole config.
        shape: Height and width of the image, in pixels.
    """
    import torch

    from freeanchor.engine.conversion import build_untrained

    divisor = cfg.model.data_preprocessor.get('pad_size_divisor', 1)
    padded = [-(-side // divisor) * divisor for side in shape]
    with torch.device('meta'):
        model = build_untrained(cfg.model.to_dict()).eval()
        inputs = torch.empty(1, 3, *padded)
    parts = {}
    features: Any = inputs
    with torch.no_grad():
        for name in ('backbone', 'neck', 'bbox_head'):
            maps, part = features, getattr(model, name)
            features, parts[name] = _count_part(part, maps)
    parts['total'] = {
        key: sum(part[key] for part in parts.values()) for key in parts['backbone']
    }
    return dict(
        shape=padded,
        parts=parts,
        levels=_levels(maps, features.anchors, parts['bbox_head']['flops']),
    )


def _count_part(part: Any, inputs: Any) -> tuple[Any, dict[str, int]]:
    """What a part makes of its input, and its numbers."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import FlopCounterMode

    class Outputs(TorchDispatchMode):
        elements = 0

        def __torch_dispatch__(
            self, function: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            out = function(*args, **(kwargs or {}))
            if function is torch.ops.aten.convolution.default:
                self.elements += out.numel()
            return out

    with FlopCounterMode(display=False) as flops, Outputs() as outputs:
        made = part(inputs)
    parameters = list(part.parameters())
    return made, dict(
        parameters=sum(x.numel() for x in parameters),
        trained=sum(x.numel() for x in parameters if x.requires_grad),
        flops=flops.get_total_flops(),
        activations=outputs.elements,
    )


def _levels(maps: Any, anchors: Any, flops: int) -> list[dict[str, Any]]:
    """The head by level: all levels share its layers, so positions share its FLOPs."""
    positions = [x.shape[-2] * x.shape[-1] for x in maps]
    return [
        dict(
            size=list(x.shape[-2:]),
            anchors=len(boxes),
            flops=flops * here // sum(positions),
        )
        for x, boxes, here in zip(maps, anchors, positions)
    ]


def tables(numbers: dict[str, Any], per_level: bool) -> str:
    height, width = numbers['shape']
    lines = [
        f'One image of {height} x {width} pixels; 1 multiply-add = 2 FLOPs',
        '',
        f'{"part":<10}{"parameters":>12}{"trained":>12}{"FLOPs":>11}{"activations":>14}',
    ]
    for name, part in numbers['parts'].items():
        millions = {key: value / 1e6 for key, value in part.items()}
        lines.append(
            f'{name:<10}{millions["parameters"]:>10.2f} M{millions["trained"]:>10.2f} M'
            f'{millions["flops"] / 1e3:>9.1f} G{millions["activations"]:>12.1f} M'
        )
    if per_level:
        lines += ['', f'{"head on":<14}{"anchors":>12}{"FLOPs":>11}']
        for level in numbers['levels']:
            size = ' x '.join(map(str, level['size']))
            lines.append(
                f'{size:<14}{level["anchors"]:>12,}{level["flops"] / 1e9:>9.1f} G'
            )
    return '\n'.join(lines)


def run(args: argparse.Namespace) -> None:
    from freeanchor.engine import load_config

    numbers = count(load_config(args.config, args.cfg_options), args.shape)
    print(tables(numbers, args.per_level))
    if args.out is not None:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(numbers, indent=1) + '\n')


def main() -> int:
    args = parse_args()
    # After the arguments: --help need not wait for torch.
    from freeanchor.engine.command_line import run_tool

    return run_tool(lambda: run(args))


if __name__ == '__main__':
    sys.exit(main())
