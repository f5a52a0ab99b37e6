"""Pictures of what suites measured: curves, and ratios at a glance."""

from pathlib import Path
from typing import Any

_OURS = '#1b6ca8'
_COLOURS = {'ours': _OURS, 'mmdet': '#c8553d', 'MMDetection': '#c8553d'}


def draw(folder: Path, where: str, report: dict[str, dict]) -> list[Path]:
    """Draw what the reports hold; nothing where matplotlib is not installed.

    Args:
        folder: Where the pictures go.
        where: ``'cpu'`` or ``'gpu'``, the start of the files' names.
        report: Name and report of each suite. Its ``raw['ratios']``, a list
            of ``[label, ratio, aim]`` (times faster or smaller than the peer;
            the aim may be None), are bars of one overview. Each of its
            ``raw['curves']``, a dict of ``title``, ``x``, ``y`` (the axes) and
            ``lines`` (label to ``[[x, y], ...]``), is a panel of a picture of
            its own.

    Returns:
        The files.
    """
    try:
        import matplotlib as mpl
    except ImportError:
        return []
    mpl.use('Agg')
    files = []
    ratios = [x for suite in report.values() for x in _raw(suite, 'ratios')]
    ratios = [x for x in ratios if x[1] is not None]
    if ratios:
        files.append(_bars(folder / f'{where}_ratios.png', ratios))
    for name, suite in report.items():
        curves = _raw(suite, 'curves')
        if curves:
            files.append(_panels(folder / f'{where}_{name}.png', curves))
    return files


def _raw(suite: dict[str, Any], key: str) -> list:
    raw = suite.get('raw')
    return list(raw.get(key) or []) if isinstance(raw, dict) else []


def _bars(path: Path, ratios: list[list]) -> Path:
    import matplotlib.pyplot as plt
    from matplotlib.ticker import NullFormatter

    ratios = ratios[::-1]
    figure, axes = plt.subplots(figsize=(8, 1.2 + 0.34 * len(ratios)))
    places = range(len(ratios))
    widths = [ratio - 1 for _, ratio, _ in ratios]
    axes.barh(places, widths, left=1, color=_OURS, height=0.62)
    for place, (_, ratio, aim) in zip(places, ratios):
        axes.annotate(
            f'{ratio:.3g}x',
            (max(1, ratio, aim or 0), place),
            (6, 0),
            textcoords='offset points',
            va='center',
        )
        if aim is not None:
            axes.plot([aim, aim], [place - 0.42, place + 0.42], color='black', lw=1.6)
    axes.axvline(1, color='grey', lw=0.8)
    axes.set_xscale('log')
    shown = [1.0, *(x for _, ratio, aim in ratios for x in (ratio, aim or 1))]
    axes.set_xlim(0.9 * min(shown), 1.6 * max(shown))
    axes.xaxis.set_major_formatter('{x:g}')
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_yticks(places, [label for label, _, _ in ratios])
    axes.set_xlabel('times less than MMDetection (black: the aim)')
    for side in ('top', 'right'):
        axes.spines[side].set_visible(False)
    return _saved(figure, path)


def _panels(path: Path, curves: list[dict]) -> Path:
    import matplotlib.pyplot as plt

    columns = min(3, len(curves))
    rows = -(-len(curves) // columns)
    figure, grid = plt.subplots(
        rows, columns, figsize=(4.2 * columns, 3.4 * rows), squeeze=False
    )
    for axes in grid.flat[len(curves) :]:
        axes.remove()
    for axes, curve in zip(grid.flat, curves):
        _panel(axes, curve)
    return _saved(figure, path)


def _panel(axes: Any, curve: dict) -> None:
    from matplotlib.ticker import EngFormatter, NullFormatter, NullLocator

    known = {
        label: [(x, y) for x, y in points if y is not None]
        for label, points in curve['lines'].items()
    }
    for label, points in known.items():
        axes.plot(*zip(*points), marker='o', label=label, color=_COLOURS.get(label))
    axes.set(title=curve['title'], xlabel=curve['x'], ylabel=curve['y'])
    axes.set_xscale('log')
    axes.set_yscale('log')
    axes.set_xticks(sorted({x for points in known.values() for x, _ in points}))
    axes.xaxis.set_major_formatter(EngFormatter(sep=''))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter('{x:g}')
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.3, which='both')
    axes.legend(fontsize=8)


def _saved(figure: Any, path: Path) -> Path:
    import matplotlib.pyplot as plt

    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path
