"""Tables of boxes: a row each, with the image, the class and the corners.

Columns are found by their names (``filename``, ``class``, ``xmin``, ...; also ``x``,
``y``, ``width of box``, ``split``), as TensorFlow's and Roboflow's exports have them.
A table without names has those of keras-retinanet: path, x1, y1, x2, y2, class.
"""

import csv
import math
from collections import defaultdict
from pathlib import Path

from ..errors import DataError
from .building import Box, SplitBuilder
from .found import SPLITS, FoundData, split_called
from .texts import read_text
from .tree import Tree

_COLUMNS = dict(
    image=('filename', 'file_name', 'image', 'image_path', 'path', 'file', 'image_id'),
    name=('class', 'label', 'class_name', 'category', 'name', 'category_name'),
    x1=('xmin', 'x1', 'x_min', 'left'),
    y1=('ymin', 'y1', 'y_min', 'top'),
    x2=('xmax', 'x2', 'x_max', 'right'),
    y2=('ymax', 'y2', 'y_max', 'bottom'),
    x=('x', 'bbox_x', 'box_x'),
    y=('y', 'bbox_y', 'box_y'),
    w=('w', 'bbox_width', 'box_width', 'bbox_w'),
    h=('h', 'bbox_height', 'box_height', 'bbox_h'),
    split=('split', 'set', 'subset'),
)
_WITHOUT_NAMES = ('image', 'x1', 'y1', 'x2', 'y2', 'name')
_CORNERS = ('x1', 'y1', 'x2', 'y2')
_SIDES = ('x', 'y', 'w', 'h')

Row = dict[str, str]


def read_csv(path: Path, tree: Tree) -> FoundData:
    """Reads a table, or the tables of a folder, one for each split.

    Coordinates are pixels. A row with an image alone says that it has no object.

    Raises:
        DataError: Names the file and the line.
    """
    files = [path] if path.is_file() else tree.ending('.csv')
    by_split: dict[str, dict[Path, list[tuple[str, Row]]]] = defaultdict(dict)
    for file in files:
        of_file = split_called(tree.shown(file)) or 'train'
        for where, row in _rows(file):
            given = row.get('split')
            split = split_called(given) if given else of_file
            if split is None:
                raise DataError(
                    f'{where}: the split {given!r} is none of {", ".join(SPLITS)}'
                )
            image = _image(tree, file, row['image'], where)
            by_split[split].setdefault(image, []).append((where, row))
    if not by_split:
        raise DataError(f'{path}: there are no rows in it')
    rows = [x for own in by_split.values() for some in own.values() for x in some]
    classes = sorted({x['name'] for _, x in rows if not _is_empty(x)})
    if not classes:
        raise DataError(f'{path}: no row has a box')
    notes = ['classes are in the order of the alphabet, as a table has none']
    splits = {}
    for split in (x for x in SPLITS if x in by_split):
        builder = SplitBuilder(f'{path}, {split}')
        for image, own in by_split[split].items():
            size = builder.size(image)
            if size is not None:
                boxes = [_box(x, classes, at) for at, x in own if not _is_empty(x)]
                builder.add(image, size, boxes)
        splits[split] = builder.finish(classes, notes)
    return FoundData('csv', path, splits, notes)


def looks_like_boxes(path: Path) -> bool:
    """Whether a file begins like a table of boxes."""
    try:
        with path.open(encoding='utf-8-sig', newline='') as file:
            line = file.readline(2000)
    except (UnicodeDecodeError, OSError):
        return False
    words = next(csv.reader([line], delimiter=_delimiter(line)), [])
    named = set(_named(words))
    if named.issuperset({'image', 'name'}):
        return named.issuperset(_CORNERS) or named.issuperset(_SIDES)
    return len(words) == 6 and all(_is_number(x) for x in words[1:5])


def _rows(file: Path) -> list[tuple[str, Row]]:
    """The rows of a table by names of ours, after where they stand."""
    lines = read_text(file).splitlines()
    if not lines:
        return []
    reader = csv.reader(lines, delimiter=_delimiter(lines[0]))
    columns: tuple[str, ...] = ()
    rows = []
    for words in reader:
        where = f'{file}, line {reader.line_num}'
        if not any(x.strip() for x in words):
            continue
        if not columns:
            columns = _columns(words, where)
            if 'image' in _named(words):
                continue
        if len(words) < len(columns):
            raise DataError(f'{where}: has {len(words)} of {len(columns)} columns')
        rows.append((where, {k: x.strip() for k, x in zip(columns, words) if k}))
    return rows


def _columns(words: list[str], where: str) -> tuple[str, ...]:
    named = _named(words)
    if not any(named) or 'image' not in named:
        if len(words) == len(_WITHOUT_NAMES):
            return _WITHOUT_NAMES
        raise DataError(
            f'{where}: no column is called filename: name the columns filename, class, '
            'xmin, ymin, xmax, ymax'
        )
    missing = {'name', *_CORNERS} - set(named)
    if missing and not {'name', *_SIDES} <= set(named):
        wanted = ', '.join(_COLUMNS[x][0] for x in sorted(missing))
        raise DataError(f'{where}: these columns are missing: {wanted}')
    return named


def _named(words: list[str]) -> tuple[str, ...]:
    """Our names of columns; empty for those of no use."""
    lower = [x.strip().lower().replace(' ', '_') for x in words]
    return tuple(
        next((k for k, names in _COLUMNS.items() if x in names), '') for x in lower
    )


def _delimiter(line: str) -> str:
    return max(',;\t', key=line.count)


def _image(tree: Tree, file: Path, name: str, where: str) -> Path:
    for place in (file.parent / name, tree.root / name):
        if name and place.is_file():
            return place
    found = tree.image(name, file) if name else None
    if found is None:
        raise DataError(f'{where}: there is no image {name!r} below {tree.root}')
    return found


def _is_empty(row: Row) -> bool:
    sides = _CORNERS if 'x1' in row else _SIDES
    return not any(row[x] for x in sides)


def _box(row: Row, classes: list[str], where: str) -> Box:
    sides = _CORNERS if 'x1' in row else _SIDES
    if not all(_is_number(row[x]) for x in sides) or not row['name']:
        values = ', '.join(row[x] for x in sides)
        raise DataError(f'{where}: ({values}) of {row["name"]!r} is no box')
    a, b, c, d = (float(row[x]) for x in sides)
    if sides is _CORNERS:
        c, d = c - a, d - b
    if c < 0 or d < 0:
        raise DataError(f'{where}: the box is {c:g} x {d:g}: corners are exchanged')
    return classes.index(row['name']), a, b, c, d


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
