"""What was measured on: hardware, versions and the commit."""

import datetime
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[1]
_PACKAGES = (
    'torch',
    'torchvision',
    'triton',
    'mmengine',
    'mmcv',
    'mmdet',
    'pycocotools',
    'faster_coco_eval',
    'numpy',
    'cv2',
)


def describe(device: str) -> dict[str, Any]:
    """Hardware, versions, commit and date, as names and values to print.

    Args:
        device: ``'cpu'`` or ``'cuda'``.
    """
    return {
        **(_gpu() if device == 'cuda' else {}),
        'CPU': f'{_cpu_name()}, {_usable_cores()} cores, '
        f'{torch.backends.cpu.get_cpu_capability()}',
        'memory': f'{_memory_gib():.0f} GiB',
        'system': f'{platform.system()} {platform.release()} {platform.machine()}',
        'Python': platform.python_version(),
        **_versions(),
        **measured(),
    }


def measured() -> dict[str, str]:
    """When, and of which commit."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return {'date': now.strftime('%Y-%m-%d %H:%M UTC'), 'commit': commit()}


def commit() -> str:
    """The commit of the working tree, ``+`` if the code differs from it."""
    try:
        name = _git('rev-parse', '--short', 'HEAD')
        # What a benchmark writes is no change of what it measures.
        tracked = ('status', '--porcelain', '-uno', '--', ':!benchmarks/results')
        return name + ('+' if _git(*tracked) else '')
    except (OSError, subprocess.CalledProcessError):
        return os.environ.get('FREEANCHOR_COMMIT', 'unknown')


def _git(*command: str) -> str:
    return subprocess.run(
        ['git', *command], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()


def _gpu() -> dict[str, str]:
    found = torch.cuda.get_device_properties(0)
    return {
        'GPU': f'{found.name}, {found.total_memory / 2**30:.0f} GiB, '
        f'compute capability {found.major}.{found.minor}',
        'CUDA': str(torch.version.cuda),
        'cuDNN': str(torch.backends.cudnn.version()),
    }


def _cpu_name() -> str:
    try:
        for line in Path('/proc/cpuinfo').read_text().splitlines():
            if line.startswith('model name'):
                return line.split(':', 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _usable_cores() -> int:
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_gib() -> float:
    return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30


def _versions() -> dict[str, str]:
    distributions = importlib.metadata.packages_distributions()
    return {
        package: importlib.metadata.version(distributions[package][0])
        for package in _PACKAGES
        if package in distributions
    }
