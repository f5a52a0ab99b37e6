"""A comparison as numbers with error bars: JSON and Markdown."""

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from compared_runs import NUMBERS, Outcome

TRIED = 'model.loss.'  # where objectives differ on purpose


def summarise(names: Iterable[str], outcomes: Sequence[Outcome]) -> list[dict]:
    """A row for each name: numbers of each seed, their mean and deviation.

    The deviation is that of a sample (divided by n - 1), NaN for one run.
    """
    rows = []
    for name in names:
        own = [x for x in outcomes if x.name == name]
        finished = [x for x in own if x.failure is None]
        row: dict[str, Any] = dict(
            name=name,
            runs=[vars(x) for x in own],
            finished=len(finished),
            mean={},
            deviation={},
        )
        for number in NUMBERS:
            values = [x.numbers[number] for x in finished]
            known = [x for x in values if not math.isnan(x)]
            several = len(known) > 1
            row['mean'][number] = statistics.mean(known) if known else math.nan
            row['deviation'][number] = statistics.stdev(known) if several else math.nan
        rows.append(row)
    return rows


def differences(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """What else than the loss is not the same in all rows: key to value by name."""
    flat = {name: dict(_leaves(x, '')) for name, x in settings.items()}
    keys = dict.fromkeys(key for values in flat.values() for key in values)
    found = {}
    for key in keys:
        values = {name: x.get(key, '-') for name, x in flat.items()}
        if len(set(values.values())) > 1 and not key.startswith(TRIED):
            found[key] = values
    return found


def report(conditions: Sequence[str], rows: list[dict], differ: dict) -> str:
    """The whole comparison in Markdown."""
    parts = [
        '# Comparison',
        *conditions,
        'Mean ± standard deviation of the runs that finished, in percent unless a '
        'unit is given. A dash: nothing to find, or no run. Differences within the '
        'deviations say nothing.',
        table(rows),
    ]
    failures = [
        f'- {run["name"]}, seed {run["seed"]}: {run["failure"]}'
        for row in rows
        for run in row['runs']
        if run['failure'] is not None
    ]
    if failures:
        parts += ['Runs that failed:', '\n'.join(failures)]
    if differ:
        parts += ['What differs beside the loss:', _differences_table(differ)]
    else:
        parts.append('Nothing differs beside the loss.')
    return '\n\n'.join(parts) + '\n'


def table(rows: list[dict]) -> str:
    """One line per row of the comparison."""
    lines = [_line(['', 'runs', *NUMBERS]), _line(['---'] * (len(NUMBERS) + 2))]
    for row in rows:
        cells = [
            _with_error(row['mean'][x], row['deviation'][x], 3 if '(s)' in x else 1)
            for x in NUMBERS
        ]
        runs = f'{row["finished"]}/{len(row["runs"])}'
        lines.append(_line([row['name'], runs, *cells]))
    return '\n'.join(lines)


def as_json(content: Any) -> str:
    """Text of a JSON file, with null where there is no number."""

    def plain(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: plain(x) for key, x in node.items()}
        if isinstance(node, list):
            return [plain(x) for x in node]
        return None if isinstance(node, float) and math.isnan(node) else node

    return json.dumps(plain(content), indent=1) + '\n'


def _differences_table(differ: dict[str, dict[str, Any]]) -> str:
    names = list(next(iter(differ.values())))
    lines = [_line(['key', *names]), _line(['---'] * (len(names) + 1))]
    lines += [_line([f'`{key}`', *values.values()]) for key, values in differ.items()]
    return '\n'.join(lines)


def _line(cells: Iterable[str]) -> str:
    return f'| {" | ".join(cells)} |'


def _with_error(mean: float, deviation: float, digits: int) -> str:
    if math.isnan(mean):
        return '-'
    shown = f'{mean:.{digits}f}'
    return shown if math.isnan(deviation) else f'{shown} ± {deviation:.{digits}f}'


def _leaves(node: Any, path: str) -> Iterable[tuple[str, str]]:
    """Dotted keys and values as text; a list of plain values is one value."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _leaves(value, f'{path}.{key}' if path else str(key))
    elif isinstance(node, list | tuple) and any(isinstance(x, Mapping) for x in node):
        for place, value in enumerate(node):
            yield from _leaves(value, f'{path}.{place}')
    else:
        yield path, str(node)
