"""Read an XML file of Pascal VOC; nothing in it is expanded or fetched."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from ..errors import DataError

_LARGEST = 16 << 20  # bytes
_DEEPEST = 50  # elements within each other
_LINE = 'line'  # attribute that says where an element begins
_CORNERS = ('xmin', 'ymin', 'xmax', 'ymax')


@dataclass(frozen=True)
class VocObject:
    """A box of a class; ``box`` is xyxy in pixels, as the file has it."""

    name: str
    box: tuple[float, float, float, float]
    difficult: bool


@dataclass(frozen=True)
class VocImage:
    """An image; ``size`` is width and height, None where the file has none."""

    file_name: str
    size: tuple[int, int] | None
    objects: tuple[VocObject, ...]


def read_voc_file(path: Path) -> VocImage:
    """Reads an annotation file.

    Raises:
        DataError: It is no XML, has a document type, which could define entities,
            or lacks what a box needs. Names the line.
    """
    root = _parsed(path)
    if root.tag != 'annotation':
        _refuse(path, root, f'begins with <{root.tag}>: VOC has <annotation>')
    objects = tuple(_object(path, x) for x in root.iter('object'))
    size = tuple(_whole(root, f'size/{side}') for side in ('width', 'height'))
    return VocImage(
        (root.findtext('filename') or '').strip(),
        (size[0], size[1]) if min(size) > 0 else None,
        objects,
    )


def _parsed(path: Path) -> Element:
    content = path.read_bytes()
    if len(content) > _LARGEST:
        raise DataError(f'{path}: is larger than {_LARGEST >> 20} MB')
    builder = TreeBuilder()
    parser = expat.ParserCreate()
    depth = 0

    def start(name: str, _: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            raise DataError(f'{path}: elements are nested {_DEEPEST} deep')
        builder.start(name, {_LINE: str(parser.CurrentLineNumber)})

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(name)

    def document_type(*_: object) -> NoReturn:
        raise DataError(
            f'{path}, line {parser.CurrentLineNumber}: has a document type '
            '(<!DOCTYPE), which could define entities and is not read: remove it'
        )

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = document_type
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        reason = expat.ErrorString(error.code)
        raise DataError(f'{path}, line {error.lineno}: is no XML: {reason}') from None
    return builder.close()


def _object(path: Path, node: Element) -> VocObject:
    name = (node.findtext('name') or '').strip()
    if not name:
        _refuse(path, node, 'the <object> has no <name>')
    box = node.find('bndbox')
    if box is None:
        _refuse(path, node, 'the <object> has no <bndbox>')
    x1, y1, x2, y2 = (_number(path, box, x) for x in _CORNERS)
    # Drawn with a click, some boxes end a pixel before they begin: left out later.
    if x2 < x1 - 1 or y2 < y1 - 1:
        corners = f'({x1:g}, {y1:g}) and ({x2:g}, {y2:g})'
        _refuse(path, box, f'the corners {corners} are the wrong way round')
    return VocObject(name, (x1, y1, x2, y2), _whole(node, 'difficult') == 1)


def _number(path: Path, box: Element, name: str) -> float:
    text = box.findtext(name)
    try:
        value = float(text or '')
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        _refuse(path, box, f'<{name}> of the <bndbox> is {text!r}: write a number')
    return value


def _whole(node: Element, name: str) -> int:
    """The whole number in an element; 0 where there is none."""
    text = (node.findtext(name) or '').strip()
    try:
        return int(float(text)) if text else 0
    except (ValueError, OverflowError):
        return 0


def _refuse(path: Path, node: Element, what: str) -> NoReturn:
    raise DataError(f'{path}, line {node.get(_LINE)}: {what}')
