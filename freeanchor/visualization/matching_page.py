"""The matching of objects as one HTML file: no script, no network."""

import base64
import html
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import to_hex
from PIL import Image

from freeanchor.losses.bag_view import BagView

from .matched_objects import Moment
from .matching import COLUMNS, draw_row, frame_of, limits_of, paper, shades

_QUALITY = 80  # of JPEG
_LONGEST = 1000  # pixels of a picture's longer side

_STYLE = """
:root { color-scheme: light; --ink: #222; --soft: #666; --line: #ddd }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); margin: 2rem auto;
  max-width: 1400px; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem }
p, figcaption, td, th { color: var(--soft) }
.scroll { overflow-x: auto }
.grid { display: grid; gap: .75rem; min-width: 900px;
  grid-template-columns: repeat(5, minmax(0, 1fr)) }
figure { margin: 0 } figcaption { font-size: .85rem; min-height: 2.6em }
svg.panel { box-sizing: border-box; width: 100%; display: block;
  border: 1px solid var(--line) }
svg.panel rect { fill: none; vector-effect: non-scaling-stroke }
svg.panel g rect { pointer-events: stroke }
svg.panel g rect:hover { stroke: #000; stroke-width: 4; stroke-opacity: 1 }
.object { stroke: #000; stroke-width: 2; stroke-dasharray: 6 4; pointer-events: none }
.halo { stroke: #fff; stroke-width: 3.5; pointer-events: none }
table { border-collapse: collapse; font-size: .9rem; margin: .75rem 0 }
td, th { border-bottom: 1px solid var(--line); padding: .25rem .9rem .25rem 0;
  text-align: right } td:first-child, th:first-child { text-align: left }
"""
_ABOUT = (
    'Dashed: the annotated object. The first column has the anchors that a rule of '
    'overlap would train; then the anchors of the bag, the darker the higher the '
    'number; the last column has the predicted boxes, of any anchor, that claim the '
    'object. Point at a box to read its numbers.'
)
_HEADINGS = (
    '', 'Mean-max', 'best anchor: P_cls', 'P_loc', 'share', 'its IoU', 'claiming boxes'
)  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """An image and its objects, each as it was at several times."""

    name: str
    image: np.ndarray  # (H, W, 3) uint8 RGB
    objects: Sequence[tuple[str, Sequence[Moment]]]  # class and moments of each


def render_page(scenes: Sequence[Scene]) -> str:
    """HTML of all scenes, pictures and numbers included."""
    parts = [_scene(number, scene) for number, scene in enumerate(scenes)]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>Matching</title><style>{_STYLE}</style></head><body>'
        f'<h1>What FreeAnchor matches</h1><p>{_ABOUT}</p>{"".join(parts)}</body></html>'
    )


def _scene(number: int, scene: Scene) -> str:
    height, width = scene.image.shape[:2]
    picture = Image.fromarray(paper(scene.image))
    picture.thumbnail((_LONGEST, _LONGEST))
    buffer = io.BytesIO()
    picture.save(buffer, 'JPEG', quality=_QUALITY)
    data = base64.b64encode(buffer.getvalue()).decode()
    defined = (
        '<svg width="0" height="0" aria-hidden="true" style="position:absolute"><defs>'
        f'<image id="p{number}" width="{width}" height="{height}" '
        f'preserveAspectRatio="none" href="data:image/jpeg;base64,{data}"/>'
        '</defs></svg>'
    )
    objects = [_object(number, *item) for item in scene.objects]
    return f'<h2>{html.escape(scene.name)}</h2>{defined}{"".join(objects)}'


def _object(number: int, class_name: str, moments: Sequence[Moment]) -> str:
    frame = frame_of([moment.view for moment in moments])
    limits = limits_of(moments)
    rows = [_figures(number, moment, frame, limits) for moment in moments]
    table = ''.join(_table_row(moment) for moment in moments)
    heads = ''.join(f'<th scope="col">{x}</th>' for x in _HEADINGS)
    return (
        f'<h3>{html.escape(class_name)}</h3><div class="scroll" tabindex="0" '
        f'role="region" aria-label="{html.escape(class_name)}"><div class="grid">'
        f'{"".join(rows)}</div><table><tr>{heads}</tr>{table}</table></div>'
    )


def _figures(
    number: int, moment: Moment, frame: Sequence[float], limits: Sequence[float]
) -> str:
    view, name = moment.view, html.escape(moment.name)
    rule = ''.join(_rect(box, '#666', 1.2, '') for box in view.by_overlap.numpy())
    captions = [f'{name}: rule of overlap, {len(view.by_overlap)} anchors']
    panels = [_panel(number, view, frame, rule, captions[0])]
    titles = (
        'P_cls, 0 to 1',
        'P_loc, 0 to 1',
        f'share in Mean-max, 0 to {limits[2]:.2g}',
        'P{a→b}, 0 to 1',
    )
    told = _told(view)
    for title, quantity, limit, drawn in zip(titles, COLUMNS, limits, draw_row(view)):
        shade, boxes = shades(quantity.hue), []
        for box, value, row in zip(drawn.boxes, drawn.values, drawn.rows):
            share = min(float(value) / limit, 1.0)
            text = told[row] if drawn.in_bag else f'P{{a→b}} {value:.2f}'
            boxes.append(_rect(box, to_hex(shade(share)), 0.8 + 2.2 * share, text))
        captions.append(f'{name}: {title}')
        panels.append(_panel(number, view, frame, ''.join(boxes), captions[-1]))
    return ''.join(
        f'<figure>{panel}<figcaption>{caption}</figcaption></figure>'
        for panel, caption in zip(panels, captions)
    )


def _panel(
    number: int, view: BagView, frame: Sequence[float], boxes: str, label: str
) -> str:
    x1, y1, x2, y2 = frame
    object_ = _sides(view.box.numpy())
    return (
        f'<svg class="panel" role="img" aria-label="{label}" '
        f'viewBox="{x1:.1f} {y1:.1f} {x2 - x1:.1f} {y2 - y1:.1f}">'
        f'<use href="#p{number}"/><rect class="halo" {object_}/><g>{boxes}</g>'
        f'<rect class="object" {object_}/></svg>'
    )


def _rect(box: np.ndarray, colour: str, width: float, text: str) -> str:
    title = f'<title>{html.escape(text)}</title>' if text else ''
    sides = _sides(box)
    return f'<rect {sides} stroke="{colour}" stroke-width="{width:.1f}">{title}</rect>'


def _sides(box: np.ndarray) -> str:
    x1, y1, x2, y2 = box
    return f'x="{x1:.1f}" y="{y1:.1f}" width="{x2 - x1:.1f}" height="{y2 - y1:.1f}"'


def _told(view: BagView) -> list[str]:
    """The numbers of each anchor of the bag."""
    rows = zip(view.p_cls, view.p_loc, view.weights, view.overlaps)
    return [
        f'P_cls {p_cls:.3f}, P_loc {p_loc:.3f}, share {share:.3f}, IoU {iou:.2f}'
        for p_cls, p_loc, share, iou in (map(float, row) for row in rows)
    ]


def _table_row(moment: Moment) -> str:
    cells = ''.join(f'<td>{cell}</td>' for cell in _cells(moment.view))
    return f'<tr><th scope="row">{html.escape(moment.name)}</th>{cells}</tr>'


def _cells(view: BagView) -> Iterator[str]:
    best = int(view.weights.argmax())
    yield f'{view.mean_max:.3f}'
    for values in (view.p_cls, view.p_loc, view.weights, view.overlaps):
        yield f'{float(values[best]):.3f}'
    yield str(len(view.claims))
