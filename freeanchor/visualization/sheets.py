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
    """Small copies of pictures in about as many rows as columns, a title below each.

    Args:
        pictures: ``(H_i, W_i, 3)`` uint8 RGB, at least one.
        titles: One for each.
        side: Longer side of a copy, in pixels, at most.

    Returns:
        uint8 RGB.
    """
    copies = [Image.fromarray(picture) for picture in pictures]
    for copy in copies:
        copy.thumbnail((side, side))
    columns = int(np.ceil(np.sqrt(len(copies))))
    rows = [
        range(i, min(i + columns, len(copies))) for i in range(0, len(copies), columns)
    ]
    heights = [max(copies[i].height for i in row) for row in rows]
    size, gap = 13, 8
    shape = columns * (side + gap) + gap, sum(heights) + len(rows) * 3 * size
    sheet = Image.new('RGB', shape, _LIGHT)
    pen, y = ImageDraw.Draw(sheet), gap
    for row, height in zip(rows, heights):
        for x, i in zip(range(gap, shape[0], side + gap), row):
            sheet.paste(copies[i], (x, y + height - copies[i].height))
            place, text = (x, y + height + size), _fitting(titles[i], side, size)
            pen.text(place, text, _DARK, font(size), anchor='lm')
        y += height + 3 * size
    return np.array(sheet)


def _fitting(title: str, width: int, size: int) -> str:
    """The title, its end cut off where it is too long."""
    if font(size).getlength(title) <= width:
        return title
    while title and font(size).getlength(title + '…') > width:
        title = title[:-1]
    return title + '…'
