"""Runs of tools/train.py on a toy detector, in processes that can be killed."""

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from freeanchor.datasets.shapes import write_shapes
from freeanchor.engine.run_lock import start_of

from . import tool

ROOT = Path(__file__).parents[2]

RECIPE = """
_base_ = [{shapes!r}, {runtime!r}]
custom_imports = dict(imports=['tests.faults.toy'], allow_failed_imports=False)
work_dir = {work_dir!r}
data_root = {data!r}
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='RandomResize', scale=[(64, 64), (96, 96)], keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(64, 64), keep_ratio=True),
    dict(type='PackDetInputs'),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(data_root=data_root, pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=4,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(data_root=data_root, pipeline=test_pipeline),
)
val_evaluator = dict(ann_file=data_root + 'annotations/val.json')
test_dataloader = val_dataloader
test_evaluator = val_evaluator
model = dict(
    type='SingleStageDetector',
    data_preprocessor=dict(type='DetDataPreprocessor', pad_size_divisor=32),
    backbone=dict(type='ToyBackbone'),
    neck=dict(type='FPN', in_channels=[16, 32], out_channels=16, num_outs=2),
    bbox_head=dict(
        type='RetinaHead',
        num_classes=6,
        in_channels=16,
        feat_channels=16,
        stacked_convs=1,
        anchor_generator=dict(
            type='AnchorGenerator',
            strides=[8, 16],
            ratios=[1.0],
            octave_base_scale=2,
            scales_per_octave=1,
        ),
        bbox_coder=dict(type='DeltaBoxCoder', stds=[0.1, 0.1, 0.2, 0.2]),
    ),
    loss=dict(type='FreeAnchorLoss'),
    test_cfg=dict(score_thr=0.0, nms_pre=100, nms_iou=0.5, max_per_img=20),
)
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=3, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.005, momentum=0.9, weight_decay=0.0001),
    clip_grad=dict(max_norm=35, norm_type=2),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=8),
    dict(type='MultiStepLR', by_epoch=True, milestones=[2], gamma=0.1),
]
default_hooks = dict(
    logger=dict(interval=5),
    visualization=dict(num_images=0),
    checkpoint=dict(interval=1, max_keep_ckpts=2),
)
"""


def toy_config(folder: Path, **overrides: Any) -> Path:
    """Write the config of a run of 3 epochs of 10 iterations.

    The data (40 pictures to train on, 8 to validate on) are drawn into
    ``folder/data``, the work folder is ``folder/work``.

    Args:
        folder: Must exist.
        overrides: Keys of the config, merged into it as a base is.

    Returns:
        The config file.
    """
    data = write_shapes(folder / 'data', num_train=40, num_val=8)
    base = ROOT / 'configs' / '_base_'
    text = RECIPE.format(
        shapes=str(base / 'datasets' / 'shapes.py'),
        runtime=str(base / 'runtime' / 'default.py'),
        work_dir=str(folder / 'work'),
        data=f'{data}/',
    )
    (folder / 'base.py').write_text(text)
    lines = ["_base_ = './base.py'"]
    lines += [f'{key} = {value!r}' for key, value in overrides.items()]
    path = folder / 'toy.py'
    path.write_text('\n'.join(lines) + '\n')
    return path


class Run:
    """A process in a group of its own, and the file that its output goes to.

    Args:
        process: Of subprocess or of multiprocessing.
        output: The file.
    """

    def __init__(self, process: Any, output: Path) -> None:
        self._process = process
        self.output = output
        self.pid: int = process.pid

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        if isinstance(self._process, subprocess.Popen):
            return self._process.poll()
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int | None:
        """The exit code once it has ended; None if it has not in ``timeout`` s."""
        if isinstance(self._process, subprocess.Popen):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout)
        else:
            self._process.join(timeout)
        return self.poll()


def start(config: Path, *args: str, **env: str) -> Run:
    """Start tools/train.py on a config, in a process that is forked for it.

    What takes seconds to import is imported once for all of them. Output goes to
    ``output.txt`` beside the config, after what is there.
    """
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['tests.faults.tool'])
    output = config.parent / 'output.txt'
    output.touch()
    process = context.Process(
        target=tool.train, args=([str(config), *args], output, env)
    )
    process.start()
    return Run(process, output)


def start_command(command: list[str], folder: Path, **env: str) -> Run:
    """Start any command in ``folder``, with its output as that of :func:`start`."""
    environ = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(ROOT), **env}
    output = folder / 'output.txt'
    with output.open('a') as file:
        process = subprocess.Popen(
            command,
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=environ,
            start_new_session=True,
        )
    return Run(process, output)


def launch(config: Path, *args: str, **env: str) -> Run:
    """Two processes under tools/dist_train.sh."""
    command = ['bash', str(ROOT / 'tools' / 'dist_train.sh'), str(config), '2', *args]
    env = dict(PYTHON=sys.executable, CUDA_VISIBLE_DEVICES='', **env)
    return start_command(command, config.parent, **env)


def train_command(config: Path, *args: str) -> list[str]:
    """The command line of tools/train.py, for :func:`start_command`."""
    return [sys.executable, str(ROOT / 'tools' / 'train.py'), str(config), *args]


def finish(process: Run, timeout: float = 120) -> tuple[int, str]:
    """Wait for the end; the exit code, and all output of the folder so far.

    Raises:
        AssertionError: It did not end in ``timeout`` seconds; it is killed.
    """
    code = process.wait(timeout)
    text = process.output.read_text()
    if code is None:
        kill(process)
        raise AssertionError(f'no end after {timeout} s:\n{text[-3000:]}')
    return code, text


def run(config: Path, *args: str, timeout: float = 120, **env: str) -> tuple[int, str]:
    """:func:`start` and :func:`finish`."""
    return finish(start(config, *args, **env), timeout)


def kill(process: Run) -> None:
    """SIGKILL for the process and all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_for(condition: Callable[[], Any], timeout: float = 60) -> Any:
    """The first true value of ``condition``.

    Raises:
        AssertionError: There was none in ``timeout`` seconds.
    """
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f'not so within {timeout} s')


def is_gone(pid: int) -> bool:
    """Whether a process has ended, if only as one that nobody has buried yet."""
    return start_of(pid) is None


def state_of(path: Path) -> dict[str, Any]:
    """A checkpoint of ours, as plain data."""
    return torch.load(path, weights_only=True)
