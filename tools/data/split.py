"""Part the images of a data set, each class in the same shares.

python tools/data/split.py data/mine/boxes.json OUT
python tools/data/split.py data/mine OUT --fractions train=0.8 val=0.1 test=0.1
python tools/data/split.py boxes.json OUT --groups '^(patient[0-9]+)_'

SRC is in any format that tools/data/convert.py reads; all its splits are parted anew,
unless --only names those to part. OUT gets a file of COCO's format for each set; images
stay where they are. The same seed gives the same sets.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Any


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', metavar='SRC', help='folder, .json, .yaml or .csv')
    parser.add_argument('out', metavar='OUT', help='folder to write into')
    parser.add_argument(
        '--fractions',
        nargs='+',
        default=['train=0.9', 'val=0.1'],
        metavar='NAME=SHARE',
        help='share of each set, together 1 (train=0.9 val=0.1)',
    )
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--groups',
        metavar='REGEX',
        help='images in whose names it finds the same text stay together',
    )
    parser.add_argument('--only', nargs='+', metavar='SPLIT', help='splits to part')
    parser.add_argument('--from', dest='format', choices=['coco', 'yolo', 'voc', 'csv'])
    args = parser.parse_args()
    try:
        pairs = [x.split('=') for x in args.fractions]
        args.fractions = {name: float(share) for name, share in pairs}
    except ValueError:
        parser.error('--fractions: write NAME=SHARE, such as train=0.9 val=0.1')
    return args


def split(args: argparse.Namespace) -> None:
    from freeanchor.datasets.formats import FoundData, FoundSplit, read_data, write_coco
    from freeanchor.datasets.splitting import split_images
    from freeanchor.engine import ConfigError

    data = read_data(args.source, args.format, outlines=True)
    missing = [x for x in args.only or () if x not in data.splits]
    if missing:
        raise ConfigError(f'--only: {args.source} has {", ".join(data.splits)}')
    content, folder = joined(data, args.only or list(data.splits))
    try:
        parts = split_images(content, args.fractions, args.seed, args.groups)
    except ValueError as error:
        if hasattr(error, 'exit_code'):
            raise
        raise ConfigError(f'--{error}') from error
    sets = {x: FoundSplit(folder, part, args.source) for x, part in parts.items()}
    written = write_coco(FoundData(data.format, data.path, sets), Path(args.out))
    print(table(parts, tuple(x['name'] for x in content['categories'])))
    for file, _ in written.values():
        print(f'written: {file}')
    print(f"their images: data_prefix=dict(img_path='{folder}')")


def joined(data: Any, names: list[str]) -> tuple[dict[str, Any], str]:
    """The splits as one, and the folder above all images.

    Images and boxes are numbered anew. Classes are those of the first split; those
    of the others are found among them by name, as each file has ids of its own.

    Raises:
        DataError: A split has a class that the first one lacks.
    """
    splits = [data.splits[x] for x in names]
    if len(splits) == 1:
        return splits[0].content, splits[0].folder
    folder = os.path.commonpath([os.path.abspath(x.folder) for x in splits])
    images: list[dict] = []
    annotations: list[dict] = []
    for own in splits:
        prefix = os.path.relpath(own.folder, folder)
        of_class = category_ids(own, splits[0])
        ids = {}
        for image in own.content['images']:
            name = os.path.normpath(os.path.join(prefix, image['file_name']))
            ids[image['id']] = len(images) + 1
            images.append({**image, 'id': len(images) + 1, 'file_name': name})
        for entry in own.content['annotations']:
            new = dict(
                id=len(annotations) + 1,
                image_id=ids[entry['image_id']],
                category_id=of_class[entry['category_id']],
            )
            annotations.append({**entry, **new})
    first = splits[0].content
    return {**first, 'images': images, 'annotations': annotations}, folder


def category_ids(own: Any, first: Any) -> dict[Any, Any]:
    """The category id in ``first`` of each one in ``own``, by name."""
    from freeanchor.datasets import DataError

    known = {x['name']: x['id'] for x in first.content['categories']}
    for category in own.content['categories']:
        if category['name'] not in known:
            raise DataError(
                f'{own.source} has the class {category["name"]!r}, which '
                f'{first.source} lacks: add it to the categories there, or part one '
                'split alone (--only)'
            )
    return {x['id']: known[x['name']] for x in own.content['categories']}


def table(parts: dict[str, dict[str, Any]], classes: tuple[str, ...]) -> str:
    """Images and objects of each class in each set."""
    from freeanchor.datasets.statistics import statistics_of

    found = {name: statistics_of(part).summary() for name, part in parts.items()}
    width = max(map(len, (*classes, 'objects'))) + 2
    lines = [' ' * width + ''.join(f'{x:>16}' for x in found)]
    rows = [(key, [x[key] for x in found.values()]) for key in ('images', 'objects')]
    rows += [(name, [x['classes'][name] for x in found.values()]) for name in classes]
    for name, counts in rows:
        total = max(1, sum(counts))
        lines.append(
            f'{name:<{width}}' + ''.join(f'{x:>9} ({x / total:4.0%})' for x in counts)
        )
    return '\n'.join(lines)


def main() -> int:
    args = parse_args()
    from freeanchor.engine.command_line import run_tool

    return run_tool(lambda: split(args))


if __name__ == '__main__':
    sys.exit(main())
