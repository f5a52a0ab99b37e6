"""The formats of export, and the one way to a file that was checked."""

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from freeanchor.engine import ConfigError
from freeanchor.inference import Detector, ImageSource, detect, find_images
from freeanchor.models import SingleStageDetector

from .agreement import Agreement, compare
from .exported import load_exported
from .onnx_export import write_onnx
from .recipe import Recipe
from .torch_export import write_package, write_program


class Format(NamedTuple):
    write: Callable[[SingleStageDetector, Recipe, Path], None]
    suffix: str


FORMATS = {
    'onnx': Format(write_onnx, '.onnx'),
    'torch': Format(write_program, '.pt2'),
    'aoti': Format(write_package, '.pt2'),
}
"""By the names of the command line."""


def export(
    detector: Detector, to: str, path: str | Path, images: Any, batch_size: int = 2
) -> Agreement:
    """Write a detector to a file, and compare what it finds with the original.

    Only a file that passes is left at ``path``.

    Args:
        detector: On the CPU, in float32.
        to: One of :data:`FORMATS`.
        path: The file to write.
        images: To compare on; what :func:`freeanchor.inference.find_images` takes.
        batch_size: Images that both see at once, in comparing.

    Returns:
        How well they agree.

    Raises:
        DisagreementError: They find something else.
        ConfigError: The detector, or ``path``, is not for this format.
    """
    kind, path = FORMATS[to], Path(path)
    if path.suffix != kind.suffix:
        raise ConfigError(f'{path}: a file of this format ends with {kind.suffix}')
    if not path.parent.is_dir():
        raise ConfigError(f'there is no folder {path.parent} to write {path.name} to')
    # In a folder of its own until it has passed; some formats hold their own name.
    with TemporaryDirectory(prefix='.export-', dir=path.parent) as folder:
        partial = Path(folder, path.name)
        kind.write(copy.deepcopy(detector.model), Recipe.of(detector), partial)
        agreement = _checked(detector, partial, find_images(images), batch_size)
        partial.replace(path)
    return agreement


def _checked(
    detector: Detector, path: Path, images: Sequence[ImageSource], batch_size: int
) -> Agreement:
    contents = [image.content for image in images]
    exported, original = (
        detect(x, contents, score_thr=0.0, batch_size=batch_size)
        for x in (load_exported(path), detector)
    )
    return compare(exported, original, [image.name for image in images])
