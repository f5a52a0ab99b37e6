"""Which format a data set is in, and reading it."""

from collections.abc import Callable
from pathlib import Path

from ..errors import DataError
from .coco import looks_like_coco, read_coco_set
from .csv_table import looks_like_boxes, read_csv
from .found import FORMATS, SPLITS, FoundData
from .tree import Tree
from .voc import looks_like_voc, read_voc
from .yolo import read_yolo
from .yolo_layout import describing_file

_SUFFIXES = {
    '.json': 'coco', '.yaml': 'yolo', '.yml': 'yolo', '.xml': 'voc', '.csv': 'csv'
}  # fmt: skip
_SIGNS = dict(
    coco="a .json file with 'images', 'annotations' and 'categories'",
    yolo='a data.yaml, or .txt files beside images or in labels/',
    voc='.xml files with an <annotation>',
    csv='a .csv file with the columns filename, class, xmin, ymin, xmax, ymax',
)


def read_data(
    path: str | Path, format: str | None = None, outlines: bool = False
) -> FoundData:
    """Reads a data set in COCO's, YOLO's or Pascal VOC's format, or a table.

    Args:
        path: Its folder; or its annotation file, ``data.yaml`` or table.
        format: One of ``FORMATS``; found out unless given.
        outlines: Whether to keep polygons of COCO's format.

    Returns:
        The splits that are there, that of training first.

    Raises:
        FileNotFoundError: There is no such path.
        DataError: The format is not recognised, or something in the files is
            wrong. Names the file, and the line where files have lines.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise FileNotFoundError(f'there is no data set {path} (from {Path.cwd()})')
    tree = Tree(_root(path))
    formats = [format] if format else find_format(path, tree)
    if formats[0] not in FORMATS:
        raise DataError(f'{formats[0]!r} is no format: {", ".join(FORMATS)} are read')
    readers: dict[str, Callable[[], FoundData]] = dict(
        coco=lambda: read_coco_set(path, tree, outlines),
        yolo=lambda: read_yolo(path, tree),
        voc=lambda: read_voc(path, tree),
        csv=lambda: read_csv(path, tree),
    )
    found = readers[formats[0]]()
    found.splits = {x: found.splits[x] for x in SPLITS if x in found.splits}
    if len(formats) > 1:
        found.notes.insert(
            0, f'there are files in the format {" and ".join(formats[1:])} too'
        )
    return found


def find_format(path: Path, tree: Tree | None = None) -> list[str]:
    """The formats that a path may be in, the likeliest first.

    Args:
        path: A folder or a file.
        tree: The files below the folder, if they are known.

    Raises:
        DataError: None is recognised.
    """
    if path.is_file():
        if path.suffix.lower() in _SUFFIXES:
            return [_SUFFIXES[path.suffix.lower()]]
        raise DataError(f'{path}: is no {", ".join(_SUFFIXES)} file and no folder')
    tree = tree or Tree(path)
    found = dict(
        coco=any(map(looks_like_coco, tree.ending('.json'))),
        yolo=describing_file(tree) is not None or _has_labels(tree),
        voc=any(map(looks_like_voc, tree.ending('.xml'))),
        csv=any(map(looks_like_boxes, tree.ending('.csv'))),
    )
    formats = [name for name in FORMATS if found[name]]
    if not formats:
        looked = '; '.join(f'{name}: {sign}' for name, sign in _SIGNS.items())
        raise DataError(f'{path}: is in no format that is read ({looked})')
    return formats


def _root(path: Path) -> Path:
    """The folder to look for images in: also above ``annotations/`` or ``labels/``."""
    if path.is_dir():
        return path
    above = path.parent
    if above.name.lower() in ('annotations', 'annotation', 'labels'):
        above = above.parent
    return above


def _has_labels(tree: Tree) -> bool:
    """Whether a text file has the name of an image."""
    stems = {x.stem for x in tree.ending('.txt')}
    return any(x.stem in stems for x in tree.images())
