"""Several pictures as one."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from .lettering import font

_DARK, _LIGHT = (24, 24, 24), (255, 255, 255)


def side_by_side(panels: Sequence[np.ndarray], titles: Sequence[str]) -> np.ndarray:
    """Pictures in a row, a title above each.

    Args:
        panels: ``(H_i, W_i, 3)`` uint8 RGB, at least one.
        titles: One for each.

    Returns:
        uint8 RGB.
    """
    size = max(14, round(panels[0].shape[1] / 36))
    top, gap = round(1.8 * size), max(4, size // 2)
    height = top + max(len(panel) for panel in panels)
    width = sum(panel.shape[1] + gap for panel in panels) - gap
    sheet = Image.new('RGB', (width, height), _LIGHT)
    pen, x = ImageDraw.Draw(sheet), 0
    for panel, title in zip(panels, titles, strict=True):
        sheet.paste(Image.fromarray(panel), (x, top))
        pen.text((x + gap, top / 2), title, _DARK, font(size), anchor='lm')
        x += panel.shape[1] + gap
    return np.array(sheet)


def contact_sheet(
    pictures: Sequence[np.ndarray], titles: Sequence[str], side: int = 320
) -> np.ndarray:
    """Small copies of pictures in a square, a title below each.

    Args:
        pictures: ``(H_i, W_i, 3)`` uint8 RGB, at least one.
        titles: One for each.
        side: Of a copy's place, in pixels; the copy fits into it.

    Returns:
        uint8 RGB.
    """
    columns = int(np.ceil(np.sqrt(len(pictures))))
    rows = -(-len(pictures) // columns)
    size, gap = 13, 8
    step = side + gap, side + 2 * size + gap
    sheet = Image.new('RGB', (columns * step[0] + gap, rows * step[1] + gap), _LIGHT)
    pen = ImageDraw.Draw(sheet)
    for i, (picture, title) in enumerate(zip(pictures, titles, strict=True)):
        copy = Image.fromarray(picture)
        copy.thumbnail((side, side))
        x, y = gap + i % columns * step[0], gap + i // columns * step[1]
        sheet.paste(copy, (x + (side - copy.width) // 2, y + side - copy.height))
        pen.text(
            (x, y + side + size),
            _fitting(title, side, size),
            _DARK,
            font(size),
            anchor='lm',
        )
    return np.array(sheet)


def _fitting(title: str, width: int, size: int) -> str:
    """The title, its end cut off where it is too long."""
    if font(size).getlength(title) <= width:
        return title
    while title and font(size).getlength(title + '…') > width:
        title = title[:-1]
    return title + '…'
