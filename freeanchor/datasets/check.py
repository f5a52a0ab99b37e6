"""The data doctor: look for every fault before training, and name each.

``fast`` looks at all annotations and, for a second or two, at the ends of image
files in a random order; ``full`` decodes every image.
"""

import os
from collections.abc import Sequence
from functools import partial
from typing import Any

from mmengine.logging import print_log

from .checks.boxes import check_boxes
from .checks.classes import check_classes, check_same_classes, classes_of
from .checks.entries import check_entries
from .checks.findings import Finding, Report, SetSummary
from .checks.images import check_images, check_splits
from .checks.looking import Looking, look_at_all, look_at_sample, looking_once
from .checks.source import Source, sources_of
from .checks.table import as_table, first_error, one_line
from .coco_file import keep_parsed, no_collection, parse_coco
from .errors import DataError

LEVELS = ('fast', 'full', 'off')
SECONDS = 1.5  # that ``fast`` spends on image files

__all__ = ['LEVELS', 'Source', 'check_before_training', 'check_sources', 'sources_of']


def check_sources(
    sources: Sequence[Source],
    level: str = 'full',
    workers: int | None = None,
    keep: bool = False,
) -> Report:
    """Look for faults in annotation files and their images.

    Args:
        sources: The files, that of training first.
        level: ``'fast'`` or ``'full'``.
        workers: Processes that decode images; by default one for each core.
        keep: Leave the parsed files without errors to the data sets that read
            them next.
    """
    report = Report()
    look: Looking = partial(look_at_all, workers=workers)
    if level == 'fast':
        look = partial(look_at_sample, seconds=SECONDS / max(1, len(sources)))
    look = looking_once(look)
    names: dict[Source, dict[str, str]] = {}
    classes: dict[Source, tuple[str, ...]] = {}
    parsed = _parsed(sources, report)
    faulty: set[str] = set()
    for source in sources:
        if source.ann_file in parsed:
            own = Report()
            with no_collection():
                names[source] = _check(parsed[source.ann_file], source, look, own)
            classes[source] = own.sets[-1].classes
            report.add_new(own)
            if own.errors:
                faulty.add(source.ann_file)
    if keep:
        for path in parsed.keys() - faulty:
            keep_parsed(path, parsed[path])
    check_same_classes(classes, report)
    check_splits(names, report)
    return report


def check_before_training(cfg: Any, level: str) -> None:
    """Check the data sets of a config; say in a line what training can do with.

    What is not there at all is left to the data set, which says so itself, and the
    number of classes to the model.

    Args:
        cfg: The whole config.
        level: One of ``LEVELS``.

    Raises:
        DataError: Something is wrong that training cannot do with. All of it is
            printed first.
    """
    if level == 'off':
        return
    sources = [
        Source(**{**vars(x), 'num_classes': None})
        for x in sources_of(cfg)
        if x.name != 'test'
        and os.path.isfile(x.ann_file)
        and os.path.isdir(x.folder or '.')
    ]
    report = check_sources(sources, level, keep=True)
    if report.errors:
        print(as_table(report))
        raise DataError(first_error(report))
    if report.warnings:
        print_log(
            f'Data check: {one_line(report)}. Details: tools/data/doctor.py',
            logger='current',
        )


def _parsed(sources: Sequence[Source], report: Report) -> dict[str, dict[str, Any]]:
    """The content of each file that can be parsed."""
    parsed = {}
    for path in dict.fromkeys(x.ann_file for x in sources):
        try:
            parsed[path] = parse_coco(path)
        except (DataError, FileNotFoundError) as error:
            code = 'damaged_file' if isinstance(error, DataError) else 'missing_file'
            report.add(Finding(code, path, str(error), 'see before'))
    return parsed


def _check(
    data: dict[str, Any], source: Source, look: Looking, report: Report
) -> dict[str, str]:
    """Check one file; names of its images by content."""
    summary = SetSummary(source.name, source.ann_file)
    report.sets.append(summary)
    file = check_entries(data, source, report)
    summary.images = len(file.images)
    summary.classes = classes_of(file, source)
    if not file.images:
        return {}
    check_boxes(file, source, report, summary)
    check_classes(file, source, report, summary)
    if not os.path.isdir(source.folder or '.'):
        text = f"there is no folder of images '{source.folder}'"
        mend = 'set data_root and data_prefix.img_path to where it is'
        report.add(Finding('wrong_folder', source.ann_file, text, mend))
        return {}
    return check_images(file.images, source, look, report, summary)
