"""Detectors in files that run elsewhere: ONNX, and programs of torch."""

from .exported import SUFFIXES, ExportedDetector, load_exported
from .formats import FORMATS, export
from .recipe import Recipe

__all__ = [
    'FORMATS',
    'SUFFIXES',
    'ExportedDetector',
    'Recipe',
    'export',
    'load_exported',
]
