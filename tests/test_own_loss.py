"""docs/own_loss.md does what it says, word by word."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from freeanchor.registry import MODELS

from .batches import gradients, objects, predictions, sample

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / 'docs' / 'own_loss.md').read_text()
CODE, CONFIG = re.findall(r'```python\n(.*?)```', PAGE, re.DOTALL)
(COMMAND,) = re.findall(r'```bash\n(.*?)\n```', PAGE, re.DOTALL)
FILES = re.findall(r'`(mine/\w+\.py)`', PAGE)
# A few iterations, on pictures that are drawn for the purpose.
SHORT = [
    'train_cfg.max_epochs=1',
    'train_cfg.val_interval=9',
    'train_dataloader.num_workers=0',
    'train_dataloader.persistent_workers=False',
    'train_dataloader.dataset.indices=12',
    'default_hooks.logger.interval=1',
]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ('configs', 'tools', 'freeanchor'):
        (tmp_path / name).symlink_to(ROOT / name)
    for name, text in zip(FILES, (CODE, CONFIG)):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.mark.slow
def test_the_loss_of_the_page_trains(checkout: Path) -> None:
    variable, python, *arguments = shlex.split(COMMAND)
    assert (variable, python) == ('PYTHONPATH=mine', 'python')
    done = subprocess.run(
        [sys.executable, *arguments, '--cfg-options', *SHORT],
        cwd=checkout,
        env={**os.environ, 'PYTHONPATH': 'mine'},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert 'loss_cls' in done.stdout + done.stderr
    work = checkout / 'work_dirs' / Path(FILES[1]).stem
    assert list(work.glob('*.pth'))


def test_the_loss_of_the_page_keeps_what_the_page_asks() -> None:
    names: dict = {}
    try:
        exec(CODE, names)
        loss = names['TopOverlapLoss']()
        empty, full = sample([], []), sample([[8, 8, 40, 40]], [1])
        for scene in ((full, full), (empty, full), (empty, empty)):
            batch = predictions(with_quality=True)
            terms = loss(batch, objects(*scene))
            assert all('loss' in key for key in terms)
            for grad in gradients(terms, batch):
                assert grad.isfinite().all()
    finally:
        MODELS.module_dict.pop('TopOverlapLoss', None)


def test_an_anchor_that_objects_of_a_class_share_is_not_rewarded_for_ever() -> None:
    names: dict = {}
    try:
        exec(CODE, names)
        loss = names['TopOverlapLoss']()
        batch = predictions(num_images=1, logit=8.0)
        truth = objects(sample([[8, 8, 40, 40]] * 3, [1] * 3))
        value = loss(batch, truth)['loss_cls']
        (first, *_) = torch.autograd.grad(value, batch.logits)
        assert first.min() > -1e-3
    finally:
        MODELS.module_dict.pop('TopOverlapLoss', None)


def test_a_step_along_its_gradient_lowers_it() -> None:
    names: dict = {}
    try:
        exec(CODE, names)
        loss = names['TopOverlapLoss']()
        truth = objects(sample([[8, 8, 40, 40]], [1]), sample([[4, 6, 60, 62]], [0]))
        batch = predictions()
        leaves = [*batch.logits, *batch.deltas]
        optimizer = torch.optim.SGD(leaves, lr=0.05)
        values = []
        for _ in range(5):
            total = sum(loss(batch, truth).values())
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
            values.append(total.item())
        assert values == sorted(values, reverse=True)
    finally:
        MODELS.module_dict.pop('TopOverlapLoss', None)
