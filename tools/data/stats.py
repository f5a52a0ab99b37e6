"""Tables and plots of a data set: classes, sizes, aspect ratios, crowding, overlaps.

python tools/data/stats.py data/mine
python tools/data/stats.py data/mine --out OUT

SRC is in any format that tools/data/convert.py reads. With --out the numbers are
written to OUT/statistics.json and the plots to OUT/statistics.png, by matplotlib.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

_QUANTILES = (
    ('objects an image', 'objects_per_image'),
    ('image width', 'image_width'),
    ('image height', 'image_height'),
    ('object size (px)', 'size'),
    ('height / width', 'height_over_width'),
)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', metavar='SRC', help='folder, .json, .yaml or .csv')
    parser.add_argument('--out', help='folder for the plots and the numbers')
    parser.add_argument('--from', dest='format', choices=['coco', 'yolo', 'voc', 'csv'])
    return parser.parse_args()


def describe(args: argparse.Namespace) -> None:
    from freeanchor.datasets.formats import read_data
    from freeanchor.datasets.statistics import statistics_of

    data = read_data(args.source, args.format)
    found = {name: statistics_of(x.content) for name, x in data.splits.items()}
    numbers = {name: x.summary() for name, x in found.items()}
    print(f'{args.source}: {data.format.upper()}, classes: {len(data.classes)}\n')
    print(class_table(numbers))
    for name, own in numbers.items():
        print(f'\n{name}')
        print(shape_table(own))
    for note in data.notes:
        print(f'note: {note}')
    if args.out:
        out = Path(args.out)
        out.mkdir(parents=True, exist_ok=True)
        (out / 'statistics.json').write_text(json.dumps(numbers, indent=1))
        from statistics_plot import draw

        draw(found, f'{Path(args.source).name}', out / 'statistics.png')
        print(f'written: {out / "statistics.json"}, {out / "statistics.png"}')


def class_table(numbers: dict[str, dict[str, Any]]) -> str:
    """Objects of each class, a column for each split."""
    classes = list(dict.fromkeys(x for own in numbers.values() for x in own['classes']))
    rows = [
        ('images', [own['images'] for own in numbers.values()]),
        ('- without objects', [x['images_without_objects'] for x in numbers.values()]),
        ('objects', [own['objects'] for own in numbers.values()]),
        ('crowd regions', [own['crowds'] for own in numbers.values()]),
        *((x, [own['classes'].get(x, 0) for own in numbers.values()]) for x in classes),
    ]
    width = max(len(name) for name, _ in rows) + 2
    lines = [' ' * width + ''.join(f'{x:>9}' for x in numbers)]
    lines += [f'{name:<{width}}' + ''.join(f'{x:>9}' for x in n) for name, n in rows]
    return '\n'.join(lines)


def shape_table(own: dict[str, Any]) -> str:
    """Quantiles and shares of one split."""
    heads = ('min', '10%', 'median', '90%', 'max')
    lines = [f'  {"":<18}' + ''.join(f'{x:>9}' for x in heads)]
    for title, key in _QUANTILES:
        values = [own[key].get(x) for x in heads]
        lines.append(
            f'  {title:<18}'
            + ''.join(f'{"-" if x is None else f"{x:.4g}":>9}' for x in values)
        )
    overlaps = own['share_overlapping']
    shares = ', '.join(f'{x:.0%} above {iou}' for iou, x in overlaps.items())
    lines += [
        f'  small (under 32 px) {own["share_small"]:.0%}, large (96 px and more) '
        f'{own["share_large"]:.0%}, slender (over 3 : 1) {own["share_slender"]:.0%}',
        f'  IoU with the next object of the image: {shares}',
    ]
    return '\n'.join(lines)


def main() -> int:
    args = parse_args()
    from freeanchor.engine.command_line import run_tool

    return run_tool(lambda: describe(args))


if __name__ == '__main__':
    sys.exit(main())
