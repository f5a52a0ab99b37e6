"""Sets for the doctor, sound but for one fault, and what it says of them."""

import json
from pathlib import Path
from typing import Any

from freeanchor.datasets.check import Source, check_sources
from freeanchor.datasets.checks.findings import Finding, Report
from freeanchor.datasets.checks.mend import mended
from freeanchor.datasets.checks.table import as_table

from .coco_files import box, write

SIZES = [(80, 60)] * 4
BOXES = [
    box([5.5, 4, 20, 30], image=i, category=c) for i in (1, 2, 3, 4) for c in (3, 8, 11)
]


def sound(folder: Path, boxes: list[dict] | None = None, **replaced: Any) -> Source:
    """Four images that differ, with three boxes each."""
    files = write(folder, BOXES if boxes is None else boxes, SIZES, **replaced)
    return Source('train', str(folder / files['ann_file']), str(folder))


def edited(folder: Path, edit: Any) -> Source:
    """A sound set, with its content changed by ``edit``."""
    source = sound(folder)
    path = Path(source.ann_file)
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))
    return source


def codes(report: Report) -> dict[str, int]:
    return {first.code: count for count, first in report.kinds()}


def checked(source: Source, level: str = 'fast') -> Report:
    return check_sources([source], level, workers=1)


def only(report: Report, code: str) -> Finding:
    """The first finding of a kind."""
    assert code in codes(report), codes(report)
    return next(x for x in report.findings if x.code == code)


def assert_mends(source: Source, folder: Path, level: str = 'fast') -> list[dict]:
    """The mended copy passes the check; what was changed."""
    data, changes = mended(source, level, workers=1)
    path = folder / 'mended.json'
    path.write_text(json.dumps(data))
    report = checked(source.of_file(str(path)), level)
    assert not report.errors, as_table(report)
    assert changes
    assert json.dumps(changes)
    return changes
