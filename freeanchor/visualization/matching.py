"""The picture of the method: which anchors learn an object, and which claim it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from PIL import Image, ImageOps
from torch import Tensor

from freeanchor.losses.bag_view import BagView

from .lettering import plain_text
from .matched_objects import Moment

# Of the palette of Okabe and Ito, which all eyes tell apart.
_INK, _GREY = '#222222', '#8a8a8a'
_PANEL, _GAP = 2.7, 0.1  # inches
_TOP, _BOTTOM, _SIDE, _LABELS = 0.75, 0.5, 0.1, 0.6  # inches, around the panels
_DPI = 110
_PLURAL = dict(anchor='s', box='es')
_MOST_CLAIMS = 200  # drawn; the best


@dataclass(frozen=True)
class Quantity:
    """A number of each box, and how it is drawn."""

    title: str
    hue: str  # of the highest value; the lowest is nearly white


COLUMNS = (
    Quantity('$P^{cls}$ of the class', '#b34700'),
    Quantity('$P^{loc}$ of the box', '#00578c'),
    Quantity('share in Mean-max', '#8f3f73'),
    Quantity(r'$P\{a \rightarrow b\}$, predicted boxes', '#00684c'),
)


def save_matching(
    path: str | Path,
    image: np.ndarray,
    moments: Sequence[Moment],
    class_name: str = '',
) -> None:
    """Draw an object's bag as it was at several times, a row each.

    At the left, the anchors that a rule of overlap would train, and the bag. Then
    the bag coloured by P_cls, P_loc and share in Mean-max, and the predicted boxes
    of all anchors that claim the object. Of those 200 at most are drawn.

    Args:
        path: PNG file to write.
        image: ``(H, W, 3)`` uint8 RGB; boxes of the views are in its pixels.
        moments: At least one, all of the same object.
        class_name: Of the object.

    Raises:
        ValueError: There is no moment.
    """
    if not moments:
        raise ValueError('there is no moment to draw: give at least one checkpoint')
    area = frame_of([moment.view for moment in moments])
    shape = (area[3] - area[1]) / (area[2] - area[0])
    figure, panels = _panels(len(moments), shape)
    ground = paper(image)
    for axes in panels.flat:
        _prepare(axes, ground, area)
    _draw_left(list(panels[:, 0]), moments[0].view)
    limits = limits_of(moments)
    for row, moment in zip(panels, moments):
        _draw_row(row[1:], moment, limits)
    for column, quantity, limit in zip(panels.T[1:], COLUMNS, limits):
        column[0].set_title(quantity.title, fontsize=11, color=_INK)
        _colour_bar(figure, column[-1], quantity, limit)
    if class_name:
        text = f'{plain_text(class_name)}: an object and the anchors of its bag'
        figure.suptitle(text, fontsize=12, color=_INK, x=0.01, ha='left')
    figure.savefig(path, dpi=_DPI)


def limits_of(moments: Sequence[Moment]) -> tuple[float, ...]:
    """The value of the darkest shade of each of :data:`COLUMNS`.

    Shares in Mean-max are told from an equal share, which is pale.
    """
    views = [moment.view for moment in moments]
    equal = 1 / max(len(views[0].weights), 1)
    top = max(float(view.weights.max()) for view in views)
    return 1.0, 1.0, min(max(top, 3 * equal), 1.0), 1.0


@dataclass(frozen=True)
class Drawn:
    """The boxes of a panel, those of the highest values last, to be on top."""

    boxes: np.ndarray  # (n, 4) xyxy
    values: np.ndarray  # (n,)
    rows: np.ndarray  # (n,) of the bag, or of the claims
    in_bag: bool


def draw_row(view: BagView) -> tuple[Drawn, ...]:
    """What each of :data:`COLUMNS` shows."""
    bag = [(view.p_cls, view.anchors), (view.p_loc, view.anchors)]
    bag.append((view.weights, view.anchors))
    panels = [_ascending(boxes, values, True) for values, boxes in bag]
    claims = _ascending(view.claimed, view.claims, False, _MOST_CLAIMS)
    return (*panels, claims)


def _ascending(
    boxes: Tensor, values: Tensor, in_bag: bool, most: int | None = None
) -> Drawn:
    order = values.argsort(stable=True)
    order = order if most is None else order[-most:]
    return Drawn(boxes[order].numpy(), values[order].numpy(), order.numpy(), in_bag)


def shades(hue: str) -> LinearSegmentedColormap:
    """From a pale grey to ``hue``: light is little, for every eye."""
    return LinearSegmentedColormap.from_list(hue, ['#b8b8b8', hue])


def _panels(rows: int, shape: float) -> tuple[Figure, np.ndarray]:
    """A figure with ``(rows, columns)`` axes; ``shape`` is their height by width."""
    step, row = _PANEL + _GAP, _PANEL * shape + _GAP
    width = _SIDE + _PANEL + _LABELS + len(COLUMNS) * step - _GAP + _SIDE
    height = _TOP + rows * row - _GAP + _BOTTOM
    figure = Figure(figsize=(width, height), facecolor='white')
    FigureCanvasAgg(figure)
    lefts = [_SIDE] + [_SIDE + _LABELS + _PANEL + i * step for i in range(len(COLUMNS))]
    size = _PANEL / width, _PANEL * shape / height
    bottoms = [_BOTTOM + (rows - 1 - i) * row for i in range(rows)]
    axes = [
        [figure.add_axes((x / width, y / height, *size)) for x in lefts]
        for y in bottoms
    ]
    return figure, np.array(axes)


def _draw_left(column: Sequence[Any], view: BagView) -> None:
    """The rule of overlap, below it the bag, then nothing."""
    shown = (
        (_count(len(view.by_overlap), 'anchor'), view.by_overlap),
        (f'the bag: {len(view.anchors)} anchors', view.anchors),
    )
    column[0].set_title('rule of overlap', fontsize=11, color=_INK)
    for axes, (text, boxes) in zip(column, shown):
        axes.add_collection(LineCollection(_outlines(boxes), colors=_GREY, lw=0.8))
        _outline_object(axes, view)
        _note(axes, text)
    for axes in column[len(shown) :]:
        axes.set_visible(False)


def _draw_row(row: Sequence[Any], moment: Moment, limits: Sequence[float]) -> None:
    view = moment.view
    for axes, quantity, limit, drawn in zip(row, COLUMNS, limits, draw_row(view)):
        share = np.clip(drawn.values / limit, 0, 1)
        colours = shades(quantity.hue)(share)  # (n, 4)
        colours[:, 3] = 0.45 + 0.55 * share
        lines, widths = _outlines(drawn.boxes), 0.7 + 2.1 * share
        axes.add_collection(LineCollection(lines, colors=colours, linewidths=widths))
        _outline_object(axes, view)
        _note(axes, _told(drawn, view))
    told = f'{plain_text(moment.name)}\nMean-max {view.mean_max:.3f}'
    row[0].set_ylabel(told, fontsize=11)


def _told(drawn: Drawn, view: BagView) -> str:
    if drawn.in_bag:
        return f'best {drawn.values[-1]:.2f}'
    count = len(view.claims)
    return _count(count, 'box') if count else 'no box fits yet'


def _count(number: int, noun: str) -> str:
    return f'{number} {noun}' if number == 1 else f'{number} {noun}{_PLURAL[noun]}'


def _note(axes: Any, text: str) -> None:
    axes.text(
        0.03, 0.03, text, transform=axes.transAxes, fontsize=9, color=_INK,
        bbox=dict(boxstyle='round,pad=0.25', fc='white', ec='none', alpha=0.85),
    )  # fmt: skip


def _outline_object(axes: Any, view: BagView) -> None:
    """Black and white dashes, seen on any ground."""
    outline = _outlines(view.box[None])
    axes.add_collection(LineCollection(outline, colors='white', lw=2.2))
    axes.add_collection(
        LineCollection(outline, colors='black', lw=1.4, linestyles=(0, (4, 3)))
    )


def _outlines(boxes: ArrayLike) -> list[np.ndarray]:
    """A closed line ``(5, 2)`` around each of the boxes ``(n, 4)`` xyxy."""
    x1, y1, x2, y2 = np.asarray(boxes, dtype=float).reshape(-1, 4).T
    corners = [(x1, y1), (x2, y1), (x2, y2), (x1, y2), (x1, y1)]
    return list(np.stack([np.stack(corner, -1) for corner in corners], 1))


def frame_of(views: Sequence[BagView]) -> tuple[float, float, float, float]:
    """What is shown: the bag, in a frame that is neither flat nor tall."""
    boxes = np.concatenate([x.anchors.numpy() for x in views] + [views[0].box[None]])
    (x1, y1), (x2, y2) = boxes[:, :2].min(0), boxes[:, 2:].max(0)
    width, height = 1.04 * (x2 - x1), 1.04 * (y2 - y1)
    width, height = max(width, height / 1.25), max(height, width / 1.6)
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def paper(image: np.ndarray) -> np.ndarray:
    """Pale and grey: lines are what is to be seen."""
    grey = ImageOps.autocontrast(Image.fromarray(image).convert('L'), cutoff=1)
    pale = (180 + 0.29 * np.asarray(grey)).round().astype(np.uint8)
    return np.repeat(pale[..., None], 3, 2)


def _prepare(axes: Any, ground: np.ndarray, area: Sequence[float]) -> None:
    height, width = ground.shape[:2]
    axes.imshow(ground, extent=(0, width, height, 0), interpolation='bicubic')
    axes.set(xlim=(area[0], area[2]), ylim=(area[3], area[1]), xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_color('#cccccc')


def _colour_bar(figure: Figure, axes: Any, quantity: Quantity, limit: float) -> None:
    """Below the lowest panel of a column."""
    left, bottom, width, _ = axes.get_position().bounds
    inch = 1 / figure.get_figheight()
    place = left + 0.05 * width, bottom - 0.17 * inch, 0.9 * width, 0.07 * inch
    shown = ScalarMappable(Normalize(0, limit), shades(quantity.hue))
    bar = figure.colorbar(shown, cax=figure.add_axes(place), orientation='horizontal')
    bar.outline.set_visible(False)
    ticks = [0, limit / 2, limit]
    bar.set_ticks(ticks, labels=[f'{x:.2g}' for x in ticks])
    bar.ax.tick_params(length=0, labelsize=9, colors=_INK)
