"""A detector as a program of ``torch.export``."""

from contextlib import AbstractContextManager

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram
from torch.fx import GraphModule
from torch.fx.experimental import _config

from freeanchor.engine import ConfigError
from freeanchor.models import SingleStageDetector
from freeanchor.models.export import ExportableDetector, Suppress

INPUTS = ('images', 'sizes')
OUTPUTS = ('boxes', 'scores', 'labels', 'counts')


def make_program(
    detector: SingleStageDetector, suppress: Suppress | None = None
) -> ExportedProgram:
    """Record what a detector computes, for any number and size of images.

    Args:
        detector: With its weights; changed, see
            :class:`freeanchor.models.export.ExportableDetector`.
        suppress: As there.

    Raises:
        ConfigError: The installed torch fixes sizes while recording.
        ValueError: The detector votes.
    """
    model = ExportableDetector(detector, suppress).eval()
    any_size = {0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC}
    with torch.no_grad(), _any_number():
        program = torch.export.export(
            model,
            example(),
            dynamic_shapes=dict(images=any_size, sizes={0: Dim.DYNAMIC}),
            # Lengths that Python's len and min see stay symbols only so.
            strict=True,
        )
    _forget_places(program)
    return program


def example() -> tuple[Tensor, Tensor]:
    """Images and sizes whose numbers say nothing, and whose shapes all differ."""
    return torch.zeros(2, 3, 288, 416), torch.tensor([[416.0, 288.0], [400.0, 270.0]])


def _forget_places(program: ExportedProgram) -> None:
    """Take out the paths of this machine's source files."""
    for part in program.graph_module.modules():
        for node in part.graph.nodes if isinstance(part, GraphModule) else ():
            node.meta.pop('stack_trace', None)


def _any_number() -> AbstractContextManager:
    """Let a number of images, or of cells of a map, be 1 as well as more."""
    if not hasattr(_config, 'backed_size_oblivious'):
        raise ConfigError(
            f'torch {torch.__version__} exports detectors only for fixed sizes: '
            'export with torch 2.7 or newer; what is exported runs without it'
        )
    return _config.patch(backed_size_oblivious=True)  # type: ignore[attr-defined]
