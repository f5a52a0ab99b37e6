"""Data sets of other formats than COCO's, read into its terms."""

from .found import FORMATS, FoundData, FoundSplit
from .reading import find_format, read_data
from .writing import write_coco

__all__ = [
    'FORMATS',
    'FoundData',
    'FoundSplit',
    'find_format',
    'read_data',
    'write_coco',
]
