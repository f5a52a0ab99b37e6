"""The letters in pictures."""

from functools import lru_cache
from pathlib import Path

import matplotlib
from PIL import ImageFont


@lru_cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib, in pixels."""
    folder = Path(matplotlib.get_data_path()) / 'fonts' / 'ttf'
    return ImageFont.truetype(str(folder / 'DejaVuSans.ttf'), size)


def plain_text(name: str) -> str:
    """A name as matplotlib draws it letter by letter.

    Between dollar signs it would read mathematics, and it leaves out of a legend what
    begins with an underscore.
    """
    text = name.replace('$', r'\$')
    return f' {text}' if text.startswith('_') else text
