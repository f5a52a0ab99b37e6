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

    ratios = [x for x in ratios if x[1] is not None][::-1]
    figure, axes = plt.subplots(figsize=(8, 1.2 + 0.34 * len(ratios)))
    places = range(len(ratios))
    axes.barh(places, [ratio for _, ratio, _ in ratios], color=_OURS, height=0.62)
    for place, (_, ratio, aim) in zip(places, ratios):
        shown = f'{ratio:.2f}' if ratio < 10 else f'{ratio:.0f}'
        axes.annotate(
            f'{shown}x', (ratio, place), (4, 0), textcoords='offset points', va='center'
        )
        if aim is not None:
            axes.plot([aim, aim], [place - 0.42, place + 0.42], color='black', lw=1.6)
    axes.axvline(1, color='grey', lw=0.8)
    axes.set_xscale('log')
    low = min(0.8, *(0.9 * ratio for _, ratio, _ in ratios))
    axes.set_xlim(low, 2 * max(ratio for _, ratio, _ in ratios))
    axes.xaxis.set_major_formatter('{x:g}')
    axes.set_yticks(places, [label for label, _, _ in ratios])
    axes.set_xlabel('MMDetection / ours (more is better; black: what was aimed at)')
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
        for label, points in curve['lines'].items():
            points = [(x, y) for x, y in points if y is not None]
            axes.plot(*zip(*points), marker='o', label=label, color=_COLOURS.get(label))
        axes.set(title=curve['title'], xlabel=curve['x'], ylabel=curve['y'])
        axes.set_xscale('log')
        axes.set_yscale('log')
        axes.grid(alpha=0.3, which='both')
        axes.legend(fontsize=8)
    return _saved(figure, path)


def _saved(figure: Any, path: Path) -> Path:
    import matplotlib.pyplot as plt

    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path
