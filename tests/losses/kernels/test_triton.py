"""The kernels for GPUs, where there is none."""

import os
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from freeanchor.boxes import DeltaBoxCoder
from freeanchor.losses import DenseLoss, FreeAnchorLoss, RetinaLoss, reading
from freeanchor.structures import DensePredictions, Objects, Regions

triton = pytest.importorskip('triton')


def run(*command: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, '-m', *command],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_interpreted_kernels_compute_what_the_plain_forms_do() -> None:
    tests = 'tests/losses/kernels/interpreted.py'
    found = run('pytest', '-p', 'no:cacheprovider', tests, TRITON_INTERPRET='1')
    assert ' passed' in found


@pytest.mark.slow
def test_kernels_compile_for_gpus() -> None:
    """To the machine code of an A100 and an H100; no GPU takes part."""
    kernels = '_add _best_overlap _correct _derive _read _run_maxima _sum'
    found = run('tests.losses.kernels.compile_all')
    assert found.splitlines() == [f'sm_80 {kernels}', f'sm_90 {kernels}']


def backward_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask for gradients where values are read: autograd itself needs a driver."""

    def read_and_differentiate(
        levels: reading.Levels, dense: Any, *sparse: reading.SparseReader
    ) -> tuple[torch.Tensor, ...]:
        values = [x.read(levels) for x in sparse]
        buffers = [torch.zeros_like(x) for x in levels]
        if dense is not None:
            values.insert(0, dense.read(levels, True))
            buffers = dense.gradient(levels, values[0])
        for reader, value in zip(reversed(sparse), reversed(values)):
            reader.add_gradient(levels, buffers, value)
        return tuple(values)

    for place in ('background', 'entries', 'free_anchor'):
        name = f'freeanchor.losses.{place}.read_once'
        monkeypatch.setattr(name, read_and_differentiate)


@pytest.mark.skipif(torch.__version__ < '2.7', reason='fake CUDA needs a driver here')
@pytest.mark.parametrize('loss', [FreeAnchorLoss(), RetinaLoss()])
def test_no_step_of_a_loss_waits_for_the_gpu(
    loss: DenseLoss, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tensors without data cannot be waited for: asking for a value raises."""
    launched = []
    jit = triton.runtime.jit.JITFunction
    monkeypatch.setattr(jit, 'run', lambda self, *_, **__: launched.append(self))
    for place in ('boxes.search', 'losses.background', 'losses.entries'):
        monkeypatch.setattr(f'freeanchor.{place}.can_fuse', lambda x: True)
    backward_too(monkeypatch)
    with FakeTensorMode(), pytest.raises(Exception, match='nonzero'):
        torch.ones(3, device='cuda').nonzero()
    with FakeTensorMode():
        maps = [
            torch.zeros(2, 9 * width, 4, 4, device='cuda', dtype=torch.bfloat16)
            for width in (3, 4)
        ]
        anchors = torch.zeros(4 * 4 * 9, 4, device='cuda')
        row = torch.zeros(1, device='cuda', dtype=torch.long)
        batch = DensePredictions.from_maps(
            *([x] for x in maps), [anchors], DeltaBoxCoder()
        )
        objects = Objects(
            boxes=torch.ones(1, 4, device='cuda'), labels=row, image=row, counts=(1, 0),
            ignored=Regions(torch.ones(0, 4, device='cuda'), row[:0]),
            pad_shapes=((64, 64), (64, 64)),
        )  # fmt: skip
        loss(batch, objects)
    assert launched
