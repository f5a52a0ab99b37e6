"""Which project wrote a checkpoint, by the names and the notes in it."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..loading import weights_of
from ..weights import CheckpointError
from .detectron2 import DETECTRON2
from .mmdet import MMDET2, MMDET3, OURS
from .official import OFFICIAL
from .source import Source
from .torchvision import TORCHVISION

SOURCES = {
    source.name: source
    for source in (MMDET2, MMDET3, OFFICIAL, DETECTRON2, TORCHVISION, OURS)
}
_SHOWN = 4  # names in a message


class ConversionError(CheckpointError):
    """A checkpoint that is not what it is said to be, or of no known project."""


def tensor_names(checkpoint: Mapping[str, Any]) -> list[str]:
    """Names of a checkpoint's tensors without what a parallel model adds."""
    return [x.removeprefix('module.') for x in weights_of(dict(checkpoint))]


def source_of(checkpoint: Mapping[str, Any], claimed: str | None = None) -> Source:
    """The source of what :func:`freeanchor.engine.read_checkpoint` gave.

    MMDetection 2.x, 3.x and ours have the same names; where no notes tell them
    apart, ours is taken, or what is claimed.

    Args:
        checkpoint: The contents of a file.
        claimed: Name of the source that it is said to be of.

    Raises:
        ConversionError: The file is of another source, or of none that is known.
    """
    names = tensor_names(checkpoint)
    found = _written_by(checkpoint, [x for x in SOURCES.values() if _fits(x, names)])
    if not found:
        raise ConversionError(
            f'this is no RetinaNet of {", ".join(SOURCES)}: its tensors are '
            f'{", ".join(names[:_SHOWN])}, ...'
        )
    if claimed is None:
        return found[-1]
    for source in found:
        if source.name == claimed:
            return source
    alike = ' or '.join(x.name for x in found)
    raise ConversionError(f'this is no checkpoint of {claimed}: it looks like {alike}')


def _fits(source: Source, names: Iterable[str]) -> bool:
    return all(any(re.fullmatch(x, name) for name in names) for x in source.marks)


def _written_by(checkpoint: Mapping[str, Any], found: list[Source]) -> list[Source]:
    """Those of the sources that the notes in the file do not contradict."""
    meta = checkpoint.get('meta')
    if MMDET3 not in found or not isinstance(meta, Mapping):
        return found
    if str(meta.get('mmdet_version', '')).startswith('1.'):
        raise ConversionError(
            'this is of MMDetection 1.x, which measured boxes with one pixel more; '
            'it is not converted. Convert it with MMDetection 2.x first.'
        )
    if {'mmdet_version', 'mmcv_version', 'CLASSES'} & set(meta):
        return [MMDET2]
    if {'mmengine_version', 'dataset_meta'} & set(meta):
        ours = "default_scope = 'freeanchor'" in str(meta.get('cfg', ''))
        return [x for x in found if x is (OURS if ours else MMDET3)]
    return found
