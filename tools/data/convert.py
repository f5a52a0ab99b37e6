"""Write a data set of YOLO's, Pascal VOC's or COCO's format, or a table, as COCO's.

python tools/data/convert.py data/mine data/mine_coco
python tools/data/convert.py boxes.csv data/mine_coco --from csv --copy-images

Annotations are written into OUT/annotations, a file for each split. Images stay where
they are unless --copy-images is given. Files that are there are not written over.
"""

import argparse
import sys
from typing import Any


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', help='folder, data.yaml, .json or .csv file')
    parser.add_argument(
        'out', nargs='?', help='folder to write into (the one of the source)'
    )
    parser.add_argument(
        '--from',
        dest='format',
        choices=['coco', 'yolo', 'voc', 'csv'],
        help='format of the source (found out)',
    )
    parser.add_argument(
        '--copy-images', action='store_true', help='copy them into OUT/images'
    )
    return parser.parse_args()


def convert(args: argparse.Namespace) -> None:
    from freeanchor.datasets.formats import read_data, write_coco

    data = read_data(args.source, args.format, outlines=True)
    out = args.out or (data.path if data.path.is_dir() else data.path.parent)
    written = write_coco(data, out, args.copy_images)
    print(f'{args.source}: {data.format.upper()}, classes: {len(data.classes)}')
    for name, (file, images) in written.items():
        content = data.splits[name].content
        print(
            f'  {name:<6}{len(content["images"])} images, '
            f'{len(content["annotations"])} boxes: {file}, images in {images}'
        )
    for note in data.notes:
        print(f'  note: {note}')
    file, images = next(iter(written.values()))
    print(config_lines(data.classes, str(file), images))


def config_lines(classes: tuple[str, ...], file: str, images: str) -> str:
    """The lines of a config that read a file."""
    names: Any = classes if len(classes) <= 20 else (*classes[:3], '...')
    return (
        'In a config:\n'
        f'    ann_file={file!r},\n'
        f'    data_prefix=dict(img_path={images!r}),\n'
        f'    metainfo=dict(classes={names}),'
    )


def main() -> int:
    args = parse_args()
    from freeanchor.engine.command_line import run_tool

    return run_tool(lambda: convert(args))


if __name__ == '__main__':
    sys.exit(main())
