"""Lay out the numbers of a report as one page that needs no other file."""

from pathlib import Path
from typing import Any

from .charts import Chart, line_chart
from .gallery import KINDS, Card

_FOLDER = Path(__file__).parent
_MANY = 24  # classes; a matrix of more is too large to look at
_LINES = 8  # of classes in a chart
_MEANINGS = {
    'localisation': 'right class, IoU 0.1 to 0.5',
    'class': 'well placed, wrong class',
    'duplicate': 'the object was found already',
    'background': 'no object there',
    'both': 'wrong class, IoU 0.1 to 0.5',
    'missed': 'objects that nothing found',
    'false positives': 'if all false detections scored below all correct ones',
    'false negatives': 'if only objects that are found existed',
}


def render(report: dict[str, Any], cards: list[Card], charts: list[Chart]) -> str:
    """The page.

    Args:
        report: What is also written as JSON.
        cards: Images of the gallery.
        charts: Of the data.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER), autoescape=True, trim_blocks=True
    )
    environment.filters['percent'] = percent
    environment.tests['known'] = is_known
    numbers = report['numbers']
    return environment.get_template('page.html').render(
        **report['summary'],
        style=(_FOLDER / 'page.css').read_text(),
        script=(_FOLDER / 'page.js').read_text(),
        curves=learning_charts(report['curves'], report['unit']),
        numbers=numbers,
        cards=cards,
        kinds=KINDS,
        data=_data(report['data'], charts) if report['data'] else None,
        checkpoints=[
            (x['name'], x['megabytes'], _marks(x)) for x in report['checkpoints']
        ],
        versions=list(report['versions'].items()),
        config=report['config'],
        **(_about_detections(numbers) if numbers else {}),
    )


def percent(value: float | None) -> str:
    """A fraction as a percentage; a dash where it is not known."""
    return f'{100 * value:.1f}' if is_known(value) else '-'  # type: ignore[operator]


def is_known(value: float | None) -> bool:
    """Neither None nor NaN."""
    return value is not None and value == value


def learning_charts(
    curves: dict[str, list[dict[str, float]]], unit: str
) -> list[Chart]:
    """Loss and its parts, the learning rate, and AP at each validation."""
    charts = []
    training, validation = curves['training'], curves['validation']
    if training:
        parts = [x for x in training[0] if x.endswith('_loss') or x[:5] == 'loss_']
        lines = _series(training, ['loss', *parts])
        short = {_short(name): points for name, points in lines.items()}
        charts += [
            line_chart('Loss', short, 'iteration', 'loss'),
            line_chart('Learning rate', _series(training, ['lr']), 'iteration', 'lr'),
        ]
    if validation:
        keys = {'AP': 'bbox_mAP', 'AP50': 'bbox_mAP_50', 'AP75': 'bbox_mAP_75'}
        lines = {
            name: ([x['step'] for x in validation], [_of(x, key) for x in validation])
            for name, key in keys.items()
        }
        chart = line_chart('Validation', lines, unit, '%', markers=True)
        charts.insert(0, chart)
    return charts


def _series(lines: list[dict], names: list[str]) -> dict:
    known = [x for x in names if x in lines[0]]
    return {
        name: ([x['step'] for x in lines], [x.get(name, float('nan')) for x in lines])
        for name in known
    }


def _short(name: str) -> str:
    """``positive_bag_loss`` is positive bag; ``loss`` stays."""
    return name.removesuffix('_loss').removeprefix('loss_').replace('_', ' ')


def _of(numbers: dict[str, float], name: str) -> float:
    found = [100 * value for key, value in numbers.items() if key.endswith(name)]
    return found[0] if found else float('nan')


def _about_detections(numbers: dict[str, Any]) -> dict[str, Any]:
    errors = numbers['errors']
    costs = errors['AP50_given_back']
    rows = [
        dict(
            name=name,
            css=name if name in KINDS else 'all',
            meaning=meaning,
            count=errors['above_threshold'].get(name, ''),
            cost=costs[name],
        )
        for name, meaning in _MEANINGS.items()
    ]
    names = [x['name'] for x in numbers['classes']]
    return dict(
        errors=rows,
        costliest=max(max(costs.values()), 1e-9),
        classes=names,
        precision_charts=_precision_charts(numbers),
        confusions=_mistakes(numbers['confusion'], names),
        matrix=_matrix(numbers['confusion'], names) if len(names) <= _MANY else None,
    )


def _precision_charts(numbers: dict[str, Any]) -> list[Chart]:
    curves = numbers['precision_recall']
    recall = curves['recall']
    by_iou = {f'IoU {x}': (recall, y) for x, y in curves['by_iou'].items()}
    by_class = curves['by_class_at_50']
    order = sorted(by_class, key=lambda x: -sum(by_class[x]))
    title = 'Precision over recall by class, at IoU 0.50'
    if len(order) > _LINES:
        order = order[: _LINES // 2] + order[-_LINES // 2 :]
        title += f': best and worst {_LINES // 2}'
    lines = {x: (recall, by_class[x]) for x in order}
    limits = (0, 1.02)
    return [
        line_chart(
            'Precision over recall', by_iou, 'recall', 'precision', limits=limits
        ),
        line_chart(title, lines, 'recall', 'precision', limits=limits),
    ]


def _mistakes(counts: list[list[int]], names: list[str]) -> list[list[str]]:
    """The most frequent cells off the diagonal."""
    rows, columns = [*names, '(background)'], [*names, '(not found)']
    cells = [
        (count, i, j)
        for i, row in enumerate(counts)
        for j, count in enumerate(row)
        if count and i != j
    ]
    return [
        [rows[i], columns[j], str(count), _share(count, counts[i], i == len(names))]
        for count, i, j in sorted(cells, reverse=True)[:10]
    ]


def _share(count: int, row: list[int], background: bool) -> str:
    return '-' if background else f'{100 * count / sum(row):.1f}'


def _matrix(counts: list[list[int]], names: list[str]) -> dict[str, Any]:
    rows = []
    for i, (name, row) in enumerate(zip([*names, '(background)'], counts)):
        total = max(1, sum(row))
        cells = []
        for j, count in enumerate(row):
            share = 100 * count / total
            css = ' '.join(
                word
                for word, holds in (
                    ('hit', i == j),
                    ('strong', share > 55),
                    ('zero', not count),
                )
                if holds
            )
            text = '' if i == j == len(names) else count
            cells.append(dict(count=text, share=f'{share:.0f}', css=css))
        rows.append(dict(name=name, cells=cells))
    return dict(columns=[*names, '(not found)'], rows=rows)


def _data(sets: dict[str, dict[str, Any]], charts: list[Chart]) -> dict[str, Any]:
    """A column for each set."""

    def row(name: str, value: Any) -> list[str]:
        return [name, *(str(value(x)) for x in sets.values())]

    rows = [
        row('images', lambda x: x['images']),
        row('without objects', lambda x: x['images_without_objects']),
        row('objects', lambda x: x['objects']),
        row('crowd regions', lambda x: x['crowds']),
        row('slender (%)', lambda x: f'{100 * x["share_slender"]:.1f}'),
    ]
    names = {name: None for x in sets.values() for name in x['classes']}
    if len(names) <= _MANY:
        rows += [row(n, lambda x, n=n: x['classes'].get(n, 0)) for n in names]
    return dict(head=['', *sets], rows=rows, charts=charts)


def _marks(checkpoint: dict[str, Any]) -> str:
    return ', '.join(x for x in ('best', 'last') if checkpoint[x])
