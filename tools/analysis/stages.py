"""The clock of ``benchmark.py``, and what it says of the times."""

import platform
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

PARTS = dict(
    data_preprocessor='preprocess', backbone='trunk', neck='neck', bbox_head='head'
)
STAGES = (
    'data', 'preprocess', 'trunk', 'neck', 'head', 'loss', 'backward', 'optimizer',
    'postprocess', 'all recorded',
)  # fmt: skip


class Clock:
    """Times of a step, whole or stage by stage.

    Args:
        device: A CUDA device is waited for where a time is taken.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.in_stages = False
        self.seconds: dict[str, float] = {}
        self._last = 0.0
        self._rest = ''

    def watch(self, model: nn.Module, last: str) -> None:
        """Time the parts of a detector; the rest of its step is ``last``."""
        self._rest = last
        for name, stage in PARTS.items():
            part = getattr(model, name)
            part.register_forward_hook(lambda *_, stage=stage: self.mark(stage))

    def start(self) -> None:
        self.seconds = {}
        self._last = self._now()

    def mark(self, stage: str) -> None:
        """The time since the mark before belongs to ``stage``."""
        if self.in_stages:
            self._add(stage)

    def finish(self, piece: str) -> None:
        """End the wait for data, or the step: what is left belongs to its end."""
        if piece == 'step' and self.in_stages:
            piece = self._rest
        if piece:
            self._add(piece)

    def _add(self, stage: str) -> None:
        now = self._now()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now

    def _now(self) -> float:
        if self.device.type == 'cuda':
            torch.cuda.synchronize(self.device)
        return time.perf_counter()


def summary(found: list[dict[str, float]], batch_size: int) -> dict[str, Any]:
    """Images per second, percentiles in ms, and the median ms of each stage."""
    whole = [x for x in found if 'step' in x]
    staged = [x for x in found if 'step' not in x]
    waits = [x['data'] for x in whole or staged]
    steps = [x['step'] for x in whole]
    totals = [a + b for a, b in zip(waits, steps)] or waits
    stages = [name for name in STAGES if any(name in x for x in staged)]
    medians = {
        name: 1000 * statistics.median(x.get(name, 0.0) for x in staged)
        for name in stages
    }
    return dict(
        images_per_second=len(totals) * batch_size / sum(totals),
        images_per_second_without_data=(
            len(steps) * batch_size / sum(steps) if steps else None
        ),
        latency_ms=_percentiles(steps or waits),
        stages_ms=medians,
        memory_mb=_peak_memory(),
    )


def describe(device: torch.device) -> dict[str, Any]:
    """Where it was measured."""
    if device.type == 'cuda':
        name = torch.cuda.get_device_name(device)
    else:
        name = f'{_processor()}, {torch.get_num_threads()} threads'
    return dict(device=device.type, device_name=name, torch=torch.__version__)


def table(numbers: dict[str, Any]) -> str:
    """The numbers for the screen."""
    latency, stages = numbers['latency_ms'], numbers['stages_ms']
    without = numbers['images_per_second_without_data']
    lines = [
        f'{numbers["task"]} of {numbers["config"]}',
        f'on {numbers["device_name"]}, torch {numbers["torch"]}; batch of '
        f'{numbers["batch_size"]}, {numbers["num_workers"]} workers, '
        f'{numbers["iterations"]} steps after {numbers["warmup"]}',
        '',
        f'{"images/s":<24}{numbers["images_per_second"]:>10.1f}',
    ]
    if without is not None:
        lines.append(f'{"  without data loading":<24}{without:>10.1f}')
    what = 'a step' if without is not None else 'a batch'
    lines += [f'{f"ms for {what}, {k}":<24}{x:>10.2f}' for k, x in latency.items()]
    if numbers['memory_mb'] is not None:
        kind = 'allocated' if numbers['device'] == 'cuda' else 'resident'
        lines.append(f'{f"peak MiB, {kind}":<24}{numbers["memory_mb"]:>10.0f}')
    if without is not None:
        total = sum(stages.values())
        lines += ['', f'{"stage":<24}{"median ms":>10}{"share":>8}']
        lines += [f'{k:<24}{x:>10.2f}{x / total:>8.0%}' for k, x in stages.items()]
    return '\n'.join(lines)


def _percentiles(seconds: list[float]) -> dict[str, float]:
    values = 1000 * torch.tensor(seconds, dtype=torch.float64)
    marks = torch.tensor([0.5, 0.9, 0.99], dtype=torch.float64)
    return dict(zip(('p50', 'p90', 'p99'), values.quantile(marks).tolist()))


def _peak_memory() -> float | None:
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if platform.system() == 'Darwin' else 2**10)


def _processor() -> str:
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [x.split(':', 1)[1].strip() for x in lines if x.startswith('model name')]
    return names[0] if names else platform.machine()
