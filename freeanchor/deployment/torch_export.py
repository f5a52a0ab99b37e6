"""A detector as a file that torch runs without this package's networks."""

from pathlib import Path

import torch

from freeanchor.models import SingleStageDetector

from .program import make_program
from .recipe import METADATA_KEY, Recipe


def write_program(detector: SingleStageDetector, recipe: Recipe, path: Path) -> None:
    """Write a ``torch.export`` program; its recipe is an extra file within.

    Args:
        detector: With its weights; changed.
        recipe: What to do before and after.
        path: The file, ``.pt2``.

    Raises:
        ValueError: The detector votes.
    """
    extra = {METADATA_KEY: recipe.to_json()}
    torch.export.save(make_program(detector), path, extra_files=extra)


def write_package(detector: SingleStageDetector, recipe: Recipe, path: Path) -> None:
    """Compile a detector for the machine at hand, with AOTInductor.

    The recipe is in the package's metadata. A C++ compiler is needed.

    Args:
        detector: With its weights; changed.
        recipe: What to do before and after.
        path: The file, ``.pt2``.

    Raises:
        ValueError: The detector votes.
    """
    torch._inductor.aoti_compile_and_package(
        make_program(detector),
        package_path=str(path),
        inductor_configs={'aot_inductor.metadata': {METADATA_KEY: recipe.to_json()}},
    )
