"""Read an annotation file that is damaged but not beyond use."""

import codecs
import json
from pathlib import Path
from typing import Any

from ..coco_file import LISTS, parse_coco

_ENCODINGS = {
    codecs.BOM_UTF8: 'utf-8-sig',
    codecs.BOM_UTF32_LE: 'utf-32',
    codecs.BOM_UTF32_BE: 'utf-32',
    codecs.BOM_UTF16_LE: 'utf-16',
    codecs.BOM_UTF16_BE: 'utf-16',
}


def read_lenient(path: str) -> tuple[dict[str, Any], str]:
    """The object in a file of any usual encoding, and the encoding.

    Outlines are kept. Lists that are missing, and what is no list, are empty.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: It is no JSON object.
    """
    data, encoding = _decoded(path)
    if not isinstance(data, dict):
        data, encoding = parse_coco(path, outlines=True), 'utf-8'
    return {**data, **{key: _as_list(data.get(key)) for key in LISTS}}, encoding


def _decoded(path: str) -> tuple[Any, str]:
    content = Path(path).read_bytes() if Path(path).is_file() else b''
    found = [x for mark, x in _ENCODINGS.items() if content.startswith(mark)]
    for encoding in found or ['utf-8', 'latin-1']:
        try:
            return json.loads(content.decode(encoding)), encoding
        except (ValueError, RecursionError):
            continue
    return None, ''


def _as_list(value: Any) -> list:
    return value if isinstance(value, list) else []
