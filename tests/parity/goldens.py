"""What MMDetection 3.3.0 computed, one ``.npz`` file a case.

The files lie in ``tests/goldens``, or in the folder that the environment
variable ``FREEANCHOR_GOLDENS`` names. Its README says what each case holds.
"""

import importlib.util
import json
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

OWN = Path(__file__).parents[1] / 'goldens'


class Case(dict[str, np.ndarray]):
    """The arrays of one file by name; settings and notes in ``info``."""

    def __init__(self, path: Path) -> None:
        with np.load(path) as arrays:
            super().__init__((k, arrays[k]) for k in arrays.files if k != 'info')
            self.info: dict[str, Any] = json.loads(str(arrays['info']))
        self.name = path.stem

    def under(self, prefix: str) -> dict[str, np.ndarray]:
        """The arrays whose name starts with ``prefix/``, by the rest of the name."""
        start = prefix + '/'
        return {k[len(start) :]: v for k, v in self.items() if k.startswith(start)}


def folder() -> Path:
    """Where the case files lie."""
    return Path(os.environ.get('FREEANCHOR_GOLDENS') or OWN)


def cases(prefix: str) -> list[str]:
    """Names of all cases that start with ``prefix``, sorted, for ``load``.

    A folder named by the environment may hold some kinds of cases only; the
    tests of the others are then reported as skipped.

    Raises:
        FileNotFoundError: Our own folder has none: a parity test that runs no
            case would pass without having compared anything.
    """
    names = sorted(path.stem for path in folder().glob(f'{prefix}*.npz'))
    if not names and folder() == OWN:
        raise FileNotFoundError(f"no case '{prefix}*.npz' in {OWN}")
    return names


def load(name: str | Path) -> Case:
    """Reads a case by the name that ``cases`` gives, or by its path."""
    path = Path(name)
    return Case(path if path.suffix == '.npz' else folder() / f'{name}.npz')


def _import_deterministic() -> ModuleType:
    path = folder() / 'deterministic.py'
    if not path.exists():
        path = OWN / 'deterministic.py'
    spec = importlib.util.spec_from_file_location('goldens_deterministic', path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


deterministic = _import_deterministic()
