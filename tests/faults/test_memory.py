"""Batches that the GPU has no memory for, in real runs."""

from pathlib import Path
from typing import Any

from tests.faults.runs import run, toy_config

IMPORTS = ['tests.faults.toy', 'tests.faults.fragile']


def greedy(most: int) -> dict[str, Any]:
    return dict(
        custom_imports=dict(imports=IMPORTS, allow_failed_imports=False),
        model=dict(backbone=dict(type='GreedyBackbone', most=most)),
        train_cfg=dict(max_epochs=1),
    )


def test_a_batch_that_does_not_fit_is_trained_on_in_parts(tmp_path: Path) -> None:
    code, text = run(toy_config(tmp_path, **greedy(most=1)))
    assert code == 0, text[-3000:]
    assert 'did not fit into the GPU memory. The step was done in 4 parts' in text
    assert (tmp_path / 'work' / 'epoch_1.pth').is_file()


def test_an_image_that_does_not_fit_ends_the_run_with_advice(tmp_path: Path) -> None:
    code, text = run(toy_config(tmp_path, **greedy(most=0)))
    assert code == 2, text[-3000:]
    (line,) = (x for x in text.splitlines() if x.startswith('error: '))
    assert 'in iteration 1 with a batch of 4 images, the largest sides' in line
    assert 'train_dataloader.batch_size (now 4)' in line
