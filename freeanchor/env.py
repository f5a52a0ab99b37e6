"""What a bug report needs to know: versions, devices, variables of the launcher.

    python -m freeanchor.env

It prints no more than what is listed in this file. Of variables that could name
people, machines or folders it only says that they are set.
"""

import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from freeanchor import __version__

PACKAGES = (
    'torch',
    'torchvision',
    'mmengine',
    'onedl-mmengine',
    'mmcv-lite',
    'mmcv',
    'mmdet',
    'numpy',
    'pycocotools',
    'faster-coco-eval',
    'opencv-python',
    'opencv-python-headless',
    'pillow',
    'timm',
    'safetensors',
    'triton',
    'onnx',
    'onnxruntime',
    'onnxruntime-gpu',
)
SHOWN = (
    'RANK',
    'LOCAL_RANK',
    'WORLD_SIZE',
    'LOCAL_WORLD_SIZE',
    'NNODES',
    'NODE_RANK',
    'MASTER_PORT',
    'TORCHELASTIC_RESTART_COUNT',
    'SLURM_PROCID',
    'SLURM_LOCALID',
    'SLURM_NTASKS',
    'SLURM_NTASKS_PER_NODE',
    'SLURM_NNODES',
    'SLURM_RESTART_COUNT',
    'OMPI_COMM_WORLD_RANK',
    'OMPI_COMM_WORLD_SIZE',
    'OMP_NUM_THREADS',
    'MKL_NUM_THREADS',
    'CUDA_VISIBLE_DEVICES',
    'NCCL_DEBUG',
    'NCCL_P2P_DISABLE',
    'NCCL_IB_DISABLE',
)
"""Variables whose values are numbers, switches and lists of devices."""
HIDDEN = (
    'MASTER_ADDR',
    'SLURM_NODELIST',
    'NCCL_SOCKET_IFNAME',
    'TORCH_HOME',
    'http_proxy',
    'https_proxy',
)
"""Variables of which only the presence is told."""

_GIB = 2**30


def report() -> str:
    """All of it, one line for each fact, in groups."""
    groups = {
        'FreeAnchor': own(),
        'Packages': packages(),
        'Machine': machine(),
        'Devices': devices(),
        'Variables': variables(),
    }
    lines = []
    for title, facts in groups.items():
        lines += ['', title, *(f'  {name:<28}{value}' for name, value in facts)]
    return '\n'.join(lines[1:])


def own() -> Iterator[tuple[str, str]]:
    """Version, and the commit where this is a checkout."""
    yield 'version', __version__
    commit = _git('rev-parse', '--short=12', 'HEAD')
    if commit:
        changed = _git('status', '--porcelain', '--untracked-files=no')
        yield 'commit', commit + (', with changes' if changed else '')


def packages() -> Iterator[tuple[str, str]]:
    """Python's version, and those of the packages that are installed."""
    yield 'python', platform.python_version()
    for name in PACKAGES:
        try:
            yield name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue


def machine() -> Iterator[tuple[str, str]]:
    """System, cores and memory."""
    yield 'system', platform.platform()
    usable = getattr(os, 'sched_getaffinity', lambda _: range(os.cpu_count() or 1))
    yield 'cores', f'{len(usable(0))} of {os.cpu_count()}'
    for name, key in (('memory', 'MemTotal'), ('memory available', 'MemAvailable')):
        size = _memory().get(key)
        if size is not None:
            yield name, f'{size / _GIB:.1f} GiB'
    shared = Path('/dev/shm')
    if shared.is_dir():
        about = os.statvfs(shared)
        free = about.f_bavail * about.f_frsize / _GIB
        yield '/dev/shm', f'{free:.1f} GiB free'


def devices() -> Iterator[tuple[str, str]]:
    """What torch can use; an installation that is broken says how."""
    try:
        import torch
    except Exception as error:
        yield 'torch', f'cannot be imported: {_one_line(error)}'
        return
    yield 'built for CUDA', str(torch.version.cuda)
    yield 'threads', str(torch.get_num_threads())
    if not torch.cuda.is_available():
        yield 'GPUs', 'none that torch can use'
        return
    yield 'cuDNN', str(torch.backends.cudnn.version())
    for i in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(i)
        memory = f'{about.total_memory / _GIB:.0f} GiB'
        yield f'GPU {i}', f'{about.name}, {memory}, sm_{about.major}{about.minor}'


def variables() -> Iterator[tuple[str, str]]:
    """Those of the launcher and the threads that are set."""
    for name in SHOWN:
        if name in os.environ:
            yield name, os.environ[name]
    for name in HIDDEN:
        if name in os.environ:
            yield name, '(set)'


def _memory() -> dict[str, int]:
    """Bytes by name; empty where the system does not say."""
    path = Path('/proc/meminfo')
    if not path.is_file():
        return {}
    rows = (line.split() for line in path.read_text().splitlines())
    return {row[0].rstrip(':'): int(row[1]) * 1024 for row in rows if len(row) == 3}


def _git(*arguments: str) -> str:
    folder = Path(__file__).parents[1]
    if not (folder / '.git').exists():
        return ''
    command = ['git', '-C', str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ''
    return done.stdout.strip()


def _one_line(error: Exception) -> str:
    return f'{type(error).__name__}: {" ".join(str(error).split())}'


if __name__ == '__main__':
    sys.stdout.write(report() + '\n')
