"""Checkpoint files that would run code, were they unpickled."""

import builtins
import io
import os
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

WEIGHTS = dict(weight=torch.ones(2, 2), bias=torch.zeros(2))


class Call:
    """Pickles as a call, which unpickling would make."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.reduced = (function, args)

    def __reduce__(self) -> tuple:
        return self.reduced


class Held(Call):
    """Pickles as an attribute of an object."""

    def __init__(self, owner: Any, name: str) -> None:
        super().__init__(getattr, owner, name)

    def __call__(self) -> None:
        raise AssertionError('only pickle asks whether this can be called')


def attacks(marker: Path) -> dict[str, Any]:
    """Values that make ``marker`` when they are unpickled, or try to."""
    code = f'open({str(marker)!r}, "w").close()'
    imported = Call(builtins.__import__, 'os')
    return {
        'os.system': Call(os.system, f'touch {marker}'),
        'eval': Call(eval, code),
        'exec': Call(exec, code),
        'open': Call(open, str(marker), 'w'),
        'getattr of a class': Call(Held(Path, 'touch'), marker),
        'getattr chain': Call(Held(imported, 'system'), f'touch {marker}'),
        'getattr of an allowed class': Held(HistoryBuffer, '__init__'),
        'getattr of a dict': Held({}, '__class__'),
        'object array': np.array([Call(os.system, f'touch {marker}')], dtype=object),
        'type of numpy': Call(np.dtype, [('x', 'O')]),
        'torch.load': Call(torch.load, str(marker)),
    }


def _write_zip(path: Path, checkpoint: dict) -> None:
    torch.save(checkpoint, path)


def _write_older(path: Path, checkpoint: dict) -> None:
    torch.save(checkpoint, path, _use_new_zipfile_serialization=False)


def _write_bare(path: Path, checkpoint: dict) -> None:
    path.write_bytes(pickle.dumps(checkpoint['meta'], protocol=2))


def _write_newest(path: Path, checkpoint: dict) -> None:
    path.write_bytes(pickle.dumps(checkpoint['meta'], protocol=5))


def _write_oldest(path: Path, checkpoint: dict) -> None:
    path.write_bytes(pickle.dumps(checkpoint['meta'], protocol=0))


def _write_tar(path: Path, checkpoint: dict) -> None:
    with tarfile.open(path, 'w', format=tarfile.USTAR_FORMAT) as archive:
        for name in ('sys_info', 'pickle', 'storages', 'tensors'):
            content = pickle.dumps(checkpoint['meta'], protocol=2)
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


FORMATS: dict[str, Callable[[Path, dict], None]] = {
    'zip': _write_zip,
    'older': _write_older,
    'bare pickle': _write_bare,
    'pickle of protocol 5': _write_newest,
    'pickle of protocol 0': _write_oldest,
    'tar': _write_tar,
}


def write_attack(path: Path, marker: Path, attack: str, format: str = 'zip') -> Path:
    """Write a file that tries to make ``marker`` when it is loaded."""
    meta = dict(x=attacks(marker)[attack], epoch=1, iter=10)
    FORMATS[format](path, dict(meta=meta, state_dict=WEIGHTS))
    return path
