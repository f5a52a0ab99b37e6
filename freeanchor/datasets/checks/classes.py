"""Check the names of classes against the file, the model and each other."""

from ..class_names import nearest
from ..coco_file import CocoFile
from .findings import Finding, Report, SetSummary
from .source import Source


def check_classes(
    file: CocoFile, source: Source, report: Report, summary: SetSummary
) -> None:
    """Note names that are unknown, double, without a box, or not in use."""

    def add(code: str, text: str, mend: str) -> None:
        report.add(Finding(code, source.ann_file, text, mend))

    known = list(file.categories.values())
    if isinstance(source.classes, str):
        text = f'metainfo.classes is the text {source.classes!r}'
        add('unknown_class', text, f'write ({source.classes!r},)')
        return
    classes = known if source.classes is None else list(source.classes)
    for name in dict.fromkeys(classes):
        if name not in known:
            text = f'class {name!r} is not in the file.{nearest(name, known)}'
            add('unknown_class', text, f'its names are: {", ".join(known)}')
        elif known.count(name) > 1:
            text = f'{known.count(name)} categories are named {name!r}'
            add('twin_categories', text, 'rename them, or join them (--fix does)')
        elif source.classes is not None and classes.count(name) > 1:
            add('duplicate_class', f'class {name!r} is named twice', 'remove one')
        elif not source.test_mode and not summary.objects.get(name):
            text = f'class {name!r} has no box'
            add('unused_class', text, 'annotate some, or remove the class')
    unused = [name for name in dict.fromkeys(known) if name not in classes]
    if unused:
        text = f'boxes of these classes are not in use: {", ".join(unused)}'
        add('other_class', text, 'add them to metainfo.classes, if they were forgotten')
    if source.num_classes not in (None, len(classes)):
        text = f'num_classes of the model is {source.num_classes}'
        mend = f'there are {len(classes)} classes: set model.bbox_head.num_classes'
        add('num_classes', text, mend)


def classes_of(file: CocoFile, source: Source) -> tuple[str, ...]:
    """Names in the order of their labels; none where they are no list of names."""
    if source.classes is None:
        return tuple(file.categories.values())
    return () if isinstance(source.classes, str) else source.classes


def check_same_classes(classes: dict[Source, tuple[str, ...]], report: Report) -> None:
    """Note where two sets of a config mean different classes by a label.

    Args:
        classes: In the order of their labels, by set; the first is what the others
            are compared with, unless it has none.
        report: Gets the findings.
    """
    named = [source for source in classes if classes[source]]
    for source in named[1:]:
        if classes[source] != classes[named[0]]:
            first = f'{named[0].name} ({named[0].ann_file})'
            report.add(
                Finding(
                    'different_classes',
                    source.ann_file,
                    f'classes of {source.name} or their order differ from {first}',
                    'name the same in metainfo.classes of both',
                )
            )
