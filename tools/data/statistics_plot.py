"""The plots of ``tools/data/stats.py``, a panel for each question."""

from pathlib import Path
from typing import Any

import numpy as np

from freeanchor.datasets import DataError
from freeanchor.engine import ConfigError

# Of the palette of Okabe and Ito, which all eyes tell apart.
_COLOURS = ('#0072B2', '#E69F00', '#009E73')
_MOST_CLASSES = 25


def draw(found: dict[str, Any], title: str, path: Path) -> None:
    """Draw ``BoxStatistics`` by split.

    Raises:
        ConfigError: matplotlib is not installed.
        DataError: There is nothing to draw.
    """
    if not _named(found):
        raise DataError(f'{title}: there are no objects to draw: leave out --out')
    try:
        import matplotlib as mpl
    except ImportError:
        raise ConfigError(
            'plots need matplotlib: pip install "freeanchor[plots]"; or leave out --out'
        ) from None
    mpl.use('Agg')
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(2, 3, figsize=(13, 7.4), layout='constrained')
    classes, image, size, aspect, sides, overlap = panels.flat
    _draw_classes(classes, found)
    _draw_counts(image, found)
    _draw_logarithmic(size, found, 'sizes', 'root of the area (pixels)')
    _mark(size, (32, 96), ('small', 'medium', 'large'))
    _draw_logarithmic(aspect, found, 'aspects', 'height / width')
    _mark(aspect, (1 / 3, 3), ('wide', '', 'tall'))
    _draw_sides(sides, found)
    _draw_overlaps(overlap, found)
    for axes in panels.flat:
        for side in ('top', 'right'):
            axes.spines[side].set_visible(False)
    handles, labels = image.get_legend_handles_labels()
    figure.legend(handles, labels, loc='outside upper right', ncols=3, frameon=False)
    figure.suptitle(title, fontsize=13, x=0.02, ha='left')
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _named(found: dict[str, Any]) -> list[tuple[str, Any, str]]:
    return [(n, x, c) for (n, x), c in zip(found.items(), _COLOURS) if len(x.labels)]


def class_counts(
    found: dict[str, Any],
) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """Names of all classes, and for each split ``(C,)`` objects of each.

    Splits may have their classes in different orders.
    """
    numbers = {name: own.summary()['classes'] for name, own in found.items()}
    classes = tuple(dict.fromkeys(x for own in numbers.values() for x in own))
    return classes, {
        name: np.array([own.get(x, 0) for x in classes])
        for name, own in numbers.items()
    }


def _draw_classes(axes: Any, found: dict[str, Any]) -> None:
    classes, counts = class_counts(found)
    shown = np.argsort(-sum(counts.values()), kind='stable')[:_MOST_CLASSES]
    left = np.zeros(len(shown))
    for name, _, colour in _named(found):
        own = counts[name][shown]
        axes.barh(range(len(shown)), own, left=left, color=colour, height=0.7)
        left += own
    axes.set_yticks(range(len(shown)), [classes[i] for i in shown])
    axes.tick_params(axis='y', length=0, labelsize=9 if len(shown) < 15 else 7)
    axes.invert_yaxis()
    more = len(classes) - len(shown)
    axes.set_xlabel('objects' + (f' ({more} rarer classes not shown)' if more else ''))


def _draw_counts(axes: Any, found: dict[str, Any]) -> None:
    most = max(x.per_image.max(initial=1) for x in found.values())
    edges = np.arange(-0.5, most + 1.5, max(1, round(most / 30)))
    for name, own, colour in _named(found):
        label = f'{name}: {len(own.per_image)} images, {len(own.labels)} objects'
        _outline(axes, own.per_image, edges, colour, label)
    axes.set_xlabel('objects in an image')
    axes.set_ylabel('% of images')


def _draw_logarithmic(
    axes: Any, found: dict[str, Any], values: str, label: str
) -> None:
    everything = np.concatenate([getattr(x, values) for _, x, _ in _named(found)])
    low, high = everything.min() * 0.9, everything.max() * 1.1
    edges = np.geomspace(low, high, 32)
    for _, own, colour in _named(found):
        _outline(axes, getattr(own, values), edges, colour)
    axes.set_xscale('log')
    _tick(axes.xaxis)
    axes.set_xlabel(label)
    axes.set_ylabel('% of objects')


def _mark(axes: Any, limits: tuple[float, ...], names: tuple[str, ...]) -> None:
    """Lines between ranges of the horizontal axis, and the names of the ranges."""
    low, high = axes.get_xlim()
    edges = [low, *limits, high]
    for limit in limits:
        if low < limit < high:
            axes.axvline(limit, color='0.4', linewidth=0.8, linestyle=':')
    for name, a, b in zip(names, edges, edges[1:]):
        a, b = max(a, low), min(b, high)
        if np.log(b / a) > 0.12 * np.log(high / low):
            place = (np.log(np.sqrt(a * b)) - np.log(low)) / np.log(high / low)
            axes.text(place, 1.0, name, transform=axes.transAxes, ha='center',
                      va='bottom', fontsize=8, color='0.35')  # fmt: skip


def _draw_sides(axes: Any, found: dict[str, Any]) -> None:
    for _, own, colour in _named(found):
        x, y = own.sides.T
        axes.scatter(x, y, s=6, color=colour, alpha=0.35, linewidths=0)
    axes.set_xscale('log')
    axes.set_yscale('log')
    _tick(axes.xaxis)
    _tick(axes.yaxis)
    low = min(axes.get_xlim()[0], axes.get_ylim()[0])
    high = max(axes.get_xlim()[1], axes.get_ylim()[1])
    for ratio in (1 / 3, 1, 3):
        ends = np.array([low, high])
        axes.plot(ends, ends * ratio, color='0.4', linewidth=0.8, linestyle=':')
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    axes.set_xlabel('width (pixels); lines: 3 : 1, 1 : 1, 1 : 3')
    axes.set_ylabel('height (pixels)')


def _draw_overlaps(axes: Any, found: dict[str, Any]) -> None:
    for _, own, colour in _named(found):
        _outline(axes, own.overlaps, np.linspace(0, 1, 21), colour)
    axes.set_xlabel('largest IoU with another object of the image')
    axes.set_ylabel('% of objects')


def _outline(
    axes: Any, values: np.ndarray, edges: np.ndarray, colour: str, label: str = ''
) -> None:
    """A histogram in % whose fill lets those of other splits shine through."""
    shares = np.histogram(values, edges)[0] * 100 / len(values)
    axes.stairs(shares, edges, color=colour, linewidth=1.5, label=label)
    axes.stairs(shares, edges, color=colour, fill=True, alpha=0.12)


def _tick(axis: Any) -> None:
    """Numbers at 1, 2 and 5 of each power of ten."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter('{x:g}')
    axis.set_minor_formatter(NullFormatter())
