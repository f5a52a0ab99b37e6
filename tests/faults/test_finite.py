"""A step that is not finite never reaches the weights (T4)."""

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.faults.runs import run, state_of, toy_config
from tools.analysis.replay_batch import replay

IMPORTS = ['tests.faults.toy', 'tests.faults.fragile']
OVERRIDES = dict(
    custom_imports=dict(imports=IMPORTS, allow_failed_imports=False),
    model=dict(backbone=dict(type='FragileBackbone')),
    train_cfg=dict(max_epochs=2, val_interval=2),
    custom_hooks=[dict(type='EMAHook', momentum=0.1)],
)


def even_image(folder: Path) -> str:
    """Make one of the training images even; its path."""
    annotations = json.loads((folder / 'data/annotations/train.json').read_text())
    name = annotations['images'][7]['file_name']
    (path,) = (x for x in (folder / 'data').rglob(name) if 'train' in str(x.parent))
    image = cv2.imread(str(path))
    cv2.imwrite(str(path), np.full_like(image, 90))
    return str(path)


def check_weights(folder: Path) -> None:
    for path in (folder / 'work').glob('*.pth'):
        state = state_of(path)
        for part in ('state_dict', 'ema_state_dict'):
            assert all(x.isfinite().all() for x in state[part].values()), path


def test_the_image_is_left_out_counted_and_can_be_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """T4: the run goes on, and a replay names the image and the terms."""
    config = toy_config(tmp_path, **OVERRIDES)
    path = even_image(tmp_path)
    code, text = run(config)
    assert code == 0, text[-3000:]
    assert '1 step not finite and left out, 2 in all' in text
    check_weights(tmp_path)
    saved = sorted((tmp_path / 'work/bad_batches').glob('*rank_0.pth'))
    assert len(saved) == 2
    capsys.readouterr()
    assert replay(str(saved[0]), str(config))
    whole, *alone = capsys.readouterr().out.split('alone: ')
    then, now = re.findall(r'(?:then|now): +(.*)', whole)
    assert then == now  # to the last printed digit
    assert 'positive_bag_loss nan (NOT FINITE)' in now
    assert [path in x for x in alone] == ['NOT FINITE' in x for x in alone]
    assert len(alone) == 4


def test_the_run_stops_where_nothing_may_be_left_out(tmp_path: Path) -> None:
    """T4: before the step, with exit code 4 and a line that says what to do."""
    config = toy_config(
        tmp_path, **OVERRIDES, default_hooks=dict(finite_loss=dict(max_skips=0))
    )
    path = even_image(tmp_path)
    code, text = run(config)
    assert code == 4, text[-3000:]
    (line,) = (x for x in text.splitlines() if x.startswith('error: '))
    assert 'rank 0: ' in line
    assert 'positive_bag_loss nan' in line
    assert path in line
    assert re.search(r'annotations \d+', line)
    assert 'tools/analysis/replay_batch.py' in line
    check_weights(tmp_path)
