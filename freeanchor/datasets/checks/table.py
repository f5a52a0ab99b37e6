"""A report as a person reads it."""

from collections import Counter
from collections.abc import Iterator

from .findings import Finding, Report, SetSummary

_CLASSES = 12  # shown of a set


def as_table(report: Report) -> str:
    """The sets, then each kind of finding: how often, the first one, the mend."""
    lines = [line for summary in report.sets for line in _set_lines(summary)]
    file = None
    for count, first in sorted(report.kinds(), key=lambda pair: pair[1].file):
        if first.file != file:
            file = first.file
            lines += ['', file]
        lines += _kind_lines(count, first)
    return '\n'.join(map(printable, [*lines, '', one_line(report)]))


def one_line(report: Report) -> str:
    """How many errors and warnings, of which kinds."""
    if not report.counts:
        return 'no fault found'
    of_code = Counter[str]()
    for count, first in report.kinds():
        of_code[first.code] += count  # of all files
    kinds = ', '.join(f'{count} {code}' for code, count in of_code.items())
    return f'{report.errors} errors, {report.warnings} warnings: {kinds}'


def first_error(report: Report) -> str:
    """The first error in one line, and how many there are besides."""
    found = next(x for _, x in report.kinds() if x.severity == 'error')
    place = f', {found.place}' if found.place else ''
    return printable(
        f'{found.file}{place}: {found.text}; {found.mend} ({one_line(report)})'
    )


def printable(line: str) -> str:
    r"""One line without what a terminal acts on or cannot write.

    Names come from files that anybody may have written. Line ends, control
    characters, marks that turn the direction of text, and halves of surrogate
    pairs become ``\n``, ``\x1b``, ``\u202e``, ``\ud800``.
    """
    if line.isprintable():
        return line
    return ''.join(
        x if x.isprintable() else x.encode('unicode_escape').decode() for x in line
    )


def _set_lines(summary: SetSummary) -> Iterator[str]:
    name = '' if summary.name == summary.file else f'{summary.name}: '
    seen = f'{summary.files_seen} files looked at'
    yield (
        f'{name}{summary.file}: {summary.images} images ({seen}), {summary.boxes} boxes'
    )
    shown = [f'{name} {count}' for name, count in summary.objects.items()]
    more = f', and {len(shown) - _CLASSES} more' if len(shown) > _CLASSES else ''
    if shown:
        yield f'  by class: {", ".join(shown[:_CLASSES])}{more}'
    if summary.dropped:
        left = ', '.join(f'{count} {why}' for why, count in summary.dropped.items())
        yield f'  boxes left out: {left}'


def _kind_lines(count: int, first: Finding) -> Iterator[str]:
    place = f'{first.place}: ' if first.place else ''
    yield f'  {first.severity:7} {count:>7} {first.code:18} {place}{first.text}'
    yield f'  {"":7} {"":7} {"":18} -> {first.mend}'
