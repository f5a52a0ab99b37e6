"""The reports of suites as one Markdown page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

# What belongs to one measurement, not to the machine.
_EACH = ('date', 'commit')


def markdown(where: str, report: dict[str, dict], plots: list[Path]) -> str:
    """The page.

    Args:
        where: ``'cpu'`` or ``'gpu'``.
        report: Name and report of each suite, as ``benchmarks.run`` notes it.
        plots: Pictures to show, in the folder of the page.
    """
    parts = [f'# Measured on a {where.upper()}']
    parts.append(
        f'`PYTHONPATH=. python -m benchmarks.run {where} --peer FOLDER` wrote this '
        'page. Competitors took turns in one run; times are medians. What is aimed '
        'at stands above each table, whether it was met or not.'
    )
    if any(suite['quick'] for suite in report.values()):
        parts.append('**A smoke run: these numbers say nothing.**')
    machines = _machines(report)
    for names, machine in machines:
        title = f'Machine ({", ".join(names)})' if len(machines) > 1 else 'Machine'
        parts.append(f'## {title}')
        parts.append(table(['', ''], [[k, v] for k, v in machine.items()]))
    parts += [f'![{path.stem}]({path.name})' for path in plots]
    parts += [_section(name, suite) for name, suite in report.items()]
    return '\n\n'.join(parts) + '\n'


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [columns, ['---'] * len(columns), *rows]
    return '\n'.join(f'| {" | ".join(map(_cell, line))} |' for line in lines)


def _cell(value: Any) -> str:
    if value is None:
        return '-'
    if isinstance(value, float):
        return f'{value:.3g}' if abs(value) < 100 else f'{value:.0f}'
    return str(value).replace('|', '\\|')


def _section(name: str, suite: dict[str, Any]) -> str:
    run = (
        f'`{suite["command"]}`, {suite["date"]}, commit {suite["commit"]}, '
        f'{suite["seconds"]} s.'
    )
    if 'error' in suite:
        return f'## {name}\n\nNot measured:\n\n```\n{suite["error"]}\n```\n\n{run}'
    parts = [f'## {suite["title"]}', f'Aim: {suite["reach"]}']
    parts.append(table(suite['columns'], suite['rows']))
    if suite['notes']:
        parts.append('\n'.join(f'- {note}' for note in suite['notes']))
    return '\n\n'.join([*parts, run])


def _machines(report: dict[str, dict]) -> list[tuple[list[str], dict[str, Any]]]:
    """Suites by the machine and the versions they were measured with."""
    found: list[tuple[list[str], dict[str, Any]]] = []
    for name, suite in report.items():
        if 'machine' not in suite:
            continue
        machine = {k: v for k, v in suite['machine'].items() if k not in _EACH}
        for names, known in found:
            if known == machine:
                names.append(name)
                break
        else:
            found.append(([name], machine))
    return found
