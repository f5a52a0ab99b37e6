"""Lines and bars as SVG that takes its colours from the page, light or dark.

Matplotlib draws them; each colour is a stand-in for a variable of the page's style.
"""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from freeanchor.visualization.lettering import plain_text

_INK, _GRID = '#010203', '#010204'
_SERIES = [f'#0102{x:02x}' for x in range(0x10, 0x18)]
_DASHES: tuple[Any, ...] = ('-', (0, (5, 2)), (0, (1, 1.4)), (0, (6, 2, 1, 2)))
_SIZE = (3.8, 2.5)  # inches; small, so that text is still read on a phone
Points = tuple[Sequence[float], Sequence[float]]


@dataclass
class Chart:
    """A picture, with the numbers in it as a table.

    Attributes:
        title: What it shows.
        svg: The picture.
        head: Names of the table's columns.
        rows: Cells.
    """

    title: str
    svg: str
    head: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)


def line_chart(
    title: str,
    lines: Mapping[str, Points],
    x: str,
    y: str,
    markers: bool = False,
    limits: tuple[float, float] | None = None,
) -> Chart:
    """Lines over a common axis; a point that is NaN is a gap.

    Args:
        title: What is shown.
        lines: Horizontal and vertical places, by name.
        x: Name of the horizontal axis.
        y: Name of the vertical axis.
        markers: Whether each point is marked: where there are few.
        limits: Ends of the vertical axis.
    """
    figure, axes = _figure()
    for i, (name, points) in enumerate(lines.items()):
        axes.plot(
            *points,
            color=_SERIES[i % len(_SERIES)],
            linestyle=_DASHES[i // len(_SERIES) % len(_DASHES)],
            linewidth=1.8,
            marker='o' if markers else None,
            markersize=4,
            label=plain_text(name),
        )
    if limits:
        axes.set_ylim(*limits)
    if len(lines) > 1:
        _legend(figure, list(lines))
    if markers:
        axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    places = sorted({place for xs, _ in lines.values() for place in xs})
    shown = places[:: max(1, -(-len(places) // 25))]
    known = {name: dict(zip(*points)) for name, points in lines.items()}
    rows = [
        [f'{place:g}', *(_number(known[name].get(place)) for name in lines)]
        for place in shown
    ]
    return Chart(title, _svg(figure, title), [x, *lines], rows)


def histogram(
    title: str, values: Mapping[str, Sequence[float]], edges: Sequence[float], x: str
) -> Chart:
    """Shares of several sets by a measure, side by side, in percent.

    Args:
        title: What is shown.
        values: Numbers of each set, by its name.
        edges: Ends of the bars; what is beyond the last counts for the last bar.
        x: Name of the measure.
    """
    figure, axes = _figure()
    bars = len(edges) - 1
    width = 0.84 / max(1, len(values))
    columns = []
    for i, (name, numbers) in enumerate(values.items()):
        counts, _ = np.histogram(np.clip(numbers, edges[0], edges[-1]), edges)
        share = 100 * counts / max(1, counts.sum())
        places = np.arange(bars) + (i - (len(values) - 1) / 2) * width
        axes.bar(places, share, width, color=_SERIES[i], label=plain_text(name))
        columns.append(share)
    names = [f'{a:g} to {b:g}' for a, b in pairwise(edges)]
    names[-1] = f'{edges[-2]:g} on'
    axes.set_xticks(np.arange(bars + 1) - 0.5, [*(f'{x:g}' for x in edges[:-1]), ''])
    if len(values) > 1:
        _legend(figure, list(values))
    axes.set_xlabel(x)
    axes.set_ylabel('share (%)')
    rows = [
        [name, *(f'{column[i]:.1f}' for column in columns)]
        for i, name in enumerate(names)
    ]
    return Chart(title, _svg(figure, title), [x, *(f'{n} (%)' for n in values)], rows)


def _figure() -> tuple[Any, Any]:
    # Not pyplot: it would look for a screen.
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE, layout='constrained')
    axes = figure.add_subplot()
    axes.grid(axis='y', color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side == 'bottom')
        spine.set_color(_GRID)
    axes.tick_params(colors=_INK, length=0, labelsize=9)
    axes.xaxis.label.set_color(_INK)
    axes.yaxis.label.set_color(_INK)
    return figure, axes


def _legend(figure: Any, names: list[str]) -> None:
    figure.legend(
        loc='outside upper left',
        ncols=3 if max(map(len, names)) < 12 else 2,
        frameon=False,
        fontsize=9,
        labelcolor=_INK,
        handlelength=1.8,
    )


def _svg(figure: Any, title: str) -> str:
    """The drawing alone, scaled by the page, its colours variables."""
    import matplotlib as mpl

    file = io.StringIO()
    # Identifiers are hashed with the title: those of all charts share a page.
    with mpl.rc_context({'svg.fonttype': 'none', 'svg.hashsalt': title}):
        figure.savefig(file, format='svg', transparent=True, metadata={'Date': None})
    text = file.getvalue()
    text = text[text.index('<svg') :]
    text = re.sub(r'<(metadata|style).*?</\1>', '', text, flags=re.DOTALL)
    box = re.search(r'viewBox="[^"]*"', text)
    assert box is not None
    start = (
        f'<svg {box[0]} xmlns:xlink="http://www.w3.org/1999/xlink" aria-hidden="true">'
    )
    text = start + text[text.index('>') + 1 :]
    text = re.sub(r'font-family: [^;"]*; ?', '', text)  # that of the page
    named = set(re.findall(r'#(\w+)["\)]', text))
    text = re.sub(r' id="([\w.-]+)"', lambda x: x[0] if x[1] in named else '', text)
    for i, colour in enumerate(_SERIES, 1):
        text = text.replace(colour, f'var(--series-{i})')
    return text.replace(_INK, 'var(--soft)').replace(_GRID, 'var(--line)')


def _number(value: float | None) -> str:
    return '' if value is None or value != value else f'{value:.4g}'
