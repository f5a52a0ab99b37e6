"""Where anchors reach the objects of a data set, and which would reach further.

python tools/data/anchors.py configs/free_anchor_r50_fpn_1x.py
python tools/data/anchors.py configs/free_anchor_r50_fpn_1x.py --data data/mine

For objects by size, shape and class, as the network sees them (after Resize): the IoU
of an object's best anchor, and the mean over its bag (bag_size of the loss, 50). Then
proposals for octave_base_scale, scales_per_octave and ratios, found by searching a grid
of them, with ratios by k-means in the logarithm among others, and what each covers.
"""

import argparse
import json
import sys
from pathlib import Path


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file, whose anchors are looked at')
    parser.add_argument('--data', metavar='PATH', help="data set (the config's)")
    parser.add_argument('--data-format', choices=['coco', 'yolo', 'voc', 'csv'])
    parser.add_argument(
        '--objects',
        type=int,
        default=2000,
        help='objects that are compared with anchors, drawn from all (2000)',
    )
    parser.add_argument('--json', metavar='FILE', help='write the numbers there')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='of the config',
    )
    return parser.parse_args()


def examine(args: argparse.Namespace) -> None:
    import torch
    from anchor_coverage import (
        cover,
        coverage_table,
        proposal_table,
        settings_of,
        unreached,
        worthwhile,
    )
    from anchor_objects import objects_of

    from freeanchor.boxes.anchor_proposals import propose_anchors
    from freeanchor.engine import ConfigError, load_config

    cfg = load_config(args.config, args.cfg_options)
    head = (cfg.get('model') or {}).get('bbox_head') or {}
    if 'anchor_generator' not in head:
        raise ConfigError(f'{args.config}: model.bbox_head has no anchor_generator')
    bag_size = cfg.model.get('loss', {}).get('bag_size', 50)
    objects = objects_of(cfg, args.data, args.data_format, args.objects)
    print(objects.title())
    generator = dict(head['anchor_generator'])
    ious = cover(objects, generator, bag_size)
    print(coverage_table(objects, ious, bag_size))
    for sentence in unreached(objects, ious):
        print(sentence)
    current = settings_of(generator)
    sides = torch.from_numpy(objects.sides).float()
    proposals = propose_anchors(sides, tuple(generator['strides']), current)
    found = worthwhile(
        {
            'now': (current, ious),
            **{
                name: (x, cover(objects, generator, bag_size, x))
                for name, x in proposals.items()
            },
        }
    )
    print(proposal_table(found, bag_size, 'scales' in generator))
    if args.json:
        content = dict(bag_size=bag_size, objects=objects.as_data(), anchors={})
        for name, (x, own) in found.items():
            numbers = dict(best=own.best.tolist(), bag_mean=own.bag_mean.tolist())
            content['anchors'][name] = {**vars(x), **numbers}
        Path(args.json).write_text(json.dumps(content))


def main() -> int:
    args = parse_args()
    from freeanchor.engine.command_line import run_tool

    return run_tool(lambda: examine(args))


if __name__ == '__main__':
    sys.exit(main())
