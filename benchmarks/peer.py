"""Load MMDetection, driven by a folder of scripts, to measure beside it.

The folder holds ``peer_mmdet.py`` (builds MMDetection 3.3.0's models, heads,
pipelines and metrics from its own configs without compiled operators),
``deterministic.py`` (weights, images and objects from names) and
``bench_mmdet_cpu.py`` (cases and calls of its bench). It is given by the
option ``--peer`` or by the environment variable ``FREEANCHOR_PEER``.
"""

import importlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

VARIABLE = 'FREEANCHOR_PEER'
_MODULES = ('deterministic', 'peer_mmdet', 'bench_mmdet_cpu')
_reasons: dict[str | None, str] = {}


@dataclass(frozen=True)
class Peer:
    """The modules of the peer's folder."""

    peer_mmdet: ModuleType
    deterministic: ModuleType
    bench_mmdet_cpu: ModuleType


def load_peer(folder: str | None = None) -> Peer | None:
    """The peer's modules, or None where there is no peer.

    A suite without a peer measures ours alone and puts :func:`why_no_peer`
    among its notes.

    Args:
        folder: Where the peer's scripts are; by default ``$FREEANCHOR_PEER``.
    """
    folder = folder or os.environ.get(VARIABLE)
    reason = _missing(folder)
    if reason is None:
        path = str(Path(folder).resolve())  # type: ignore[arg-type]
        if path not in sys.path:
            sys.path.insert(0, path)
        try:
            return Peer(**{name: importlib.import_module(name) for name in _MODULES})
        except ImportError as error:
            reason = (
                f'{folder} cannot be imported ({error}): run the benchmark with an '
                'environment that has mmdet 3.3.0 and mmcv-lite 2.1.0'
            )
    _reasons[folder] = reason
    return None


def why_no_peer(folder: str | None = None) -> str:
    """Why the last :func:`load_peer` of a folder gave None."""
    return _reasons.get(
        folder or os.environ.get(VARIABLE), 'the peer was not asked for'
    )


def _missing(folder: str | None) -> str | None:
    if folder is None:
        return f'measured without the peer: neither --peer nor ${VARIABLE} was given'
    for name in _MODULES:
        if not (Path(folder) / f'{name}.py').is_file():
            return f'measured without the peer: {folder} has no {name}.py'
    return None
