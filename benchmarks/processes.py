"""Does training on 2 processes x 4 images equal 1 process x 8 images?

    python benchmarks/processes.py

Trains the quick-start detector for a few SGD steps through the real tools
(``tools/train.py``, ``tools/dist_train.sh``; gloo on a CPU) on pictures of one
size without random augmentation, with the loss's own normaliser and with the
global one, and compares the weights. Writes ``benchmarks/results/processes.md``.
"""

import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / 'benchmarks' / 'results'
STEPS = 4
CONFIG = """
_base_ = '{root}/configs/free_anchor_r18_fpn_shapes.py'

pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=(128, 128), keep_ratio=False),
    dict(type='PackDetInputs'),
]
train_dataloader = dict(
    batch_size={images},
    batch_sampler=None,
    dataset=dict(pipeline=pipeline, indices={total}),
)
model = dict(
    backbone=dict(norm_eval=True), loss=dict(global_normalizer={global_normalizer})
)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='SGD', lr=0.01, momentum=0.9))
param_scheduler = []
train_cfg = dict(max_epochs=1, val_interval=2)
default_hooks = dict(logger=dict(interval=1))
"""


def train(folder: Path, processes: int, global_normalizer: bool) -> dict:
    """The weights after some steps on 8 images each."""
    text = CONFIG.format(
        root=ROOT,
        images=8 // processes,
        total=8 * STEPS,
        global_normalizer=global_normalizer,
    )
    config = folder / 'config.py'
    config.write_text(text)
    work_dir = folder / f'{processes}_{global_normalizer}'
    command = [str(config), '--work-dir', str(work_dir)]
    if processes == 1:
        command = [sys.executable, 'tools/train.py', *command]
    else:
        command = ['bash', 'tools/dist_train.sh', command[0], '2', *command[1:]]
    env = {**os.environ, 'PATH': f'{Path(sys.executable).parent}:{os.environ["PATH"]}'}
    subprocess.run(command, cwd=ROOT, env=env, check=True, stdout=subprocess.DEVNULL)
    (checkpoint,) = work_dir.glob('epoch_1.pth')
    return torch.load(checkpoint, weights_only=True)['state_dict']


def distance(ours: dict, theirs: dict) -> float:
    """Norm of the difference over the norm of the weights."""
    keys = [k for k in ours if ours[k].is_floating_point()]
    apart = sum((ours[k] - theirs[k]).double().norm() ** 2 for k in keys)
    return float((apart / sum(theirs[k].double().norm() ** 2 for k in keys)) ** 0.5)


def main() -> None:
    rows = []
    for global_normalizer in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            one = train(Path(folder), 1, global_normalizer)
            two = train(Path(folder), 2, global_normalizer)
        rows.append(f'| {global_normalizer} | {distance(two, one):.1e} |')
    text = '\n'.join(
        [
            '# 2 processes x 4 images against 1 process x 8 images',
            '',
            f'Relative distance of the weights after {STEPS} SGD steps on the same '
            'pictures, float32, normalisation layers at their running statistics. '
            '`python benchmarks/processes.py`.',
            '',
            'MMDetection and, by default, ours divide by the objects of a process: two '
            'processes with unequal numbers of objects are then another batch. The '
            'global normaliser divides by the mean over processes, and what is left is '
            'rounding.',
            '',
            f'torch {torch.__version__}, Python {platform.python_version()}, gloo, CPU '
            f'({platform.machine()})',
            '',
            '| `global_normalizer` | distance |',
            '| --- | --- |',
            *rows,
        ]
    )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / 'processes.md').write_text(text + '\n')
    print(text)


if __name__ == '__main__':
    main()
