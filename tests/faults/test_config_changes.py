"""A run goes on with another config only as far as somebody has said so (T12)."""

from pathlib import Path

import pytest

from .comparing import differences
from .runs import run, state_of, toy_config
from .test_directory import hashes

# What surrounds the network, which these changes are about, is not compared.
TRAINED = ('state_dict', 'optimizer', 'param_schedulers', 'loop', 'ranks')


def toy(folder: Path, epochs: int) -> Path:
    folder.mkdir()
    return toy_config(folder, train_cfg=dict(max_epochs=epochs))


def checkpoints(work: Path) -> dict[str, str]:
    """SHA-256 of the checkpoints, and of the file that says which is the last."""
    return {
        name: value
        for name, value in hashes(work).items()
        if name.endswith('.pth') or name == 'last_checkpoint'
    }


def resume(config: Path, *options: str) -> tuple[int, str]:
    """Go on, without looking for faults of the data before."""
    return run(config, '--resume', '--check', 'off', *options)


def test_another_training_is_refused_until_it_is_accepted(tmp_path):
    """T12: every change is listed; accepted, the new values are the ones used."""
    config = toy(tmp_path / 'run', epochs=1)
    work = config.parent / 'work'
    assert run(config)[0] == 0
    before = checkpoints(work)
    another = [
        '--cfg-options',
        'train_cfg.max_epochs=2',
        'optim_wrapper.optimizer.lr=0.02',
        'param_scheduler.1.milestones=[1]',
        'train_dataloader.batch_size=8',
    ]
    code, text = resume(config, *another)
    assert code == 2, text[-3000:]
    line = text.splitlines()[-1]
    assert 'optim_wrapper.optimizer.lr: 0.005 -> 0.02' in line
    assert 'param_scheduler.1.milestones: [2] -> [1]' in line
    assert 'train_dataloader.batch_size: 4 -> 8' in line
    assert 'max_epochs' not in line  # a longer run is the same so far
    assert '--accept-config-changes' in line
    assert checkpoints(work) == before

    classes = ['--cfg-options', 'model.bbox_head.num_classes=7']
    code, text = resume(config, *classes)
    assert code == 2, text[-3000:]
    assert 'model.bbox_head.num_classes: 6 -> 7' in text.splitlines()[-1]
    # No flag makes weights fit, and none starts with some of them at random.
    code, text = resume(config, '--accept-config-changes', *classes)
    assert code == 2, text[-3000:]
    assert 'bbox_head.retina_cls.weight' in text.splitlines()[-1]
    assert checkpoints(work) == before

    code, text = resume(config, '--accept-config-changes', *another)
    assert code == 0, text[-3000:]
    state = state_of(work / 'epoch_2.pth')
    # Behind the new milestone, a tenth of the new rate.
    assert state['optimizer']['param_groups'][0]['lr'] == pytest.approx(0.002)
    # Two epochs of five steps of 8 images.
    assert state['meta']['iter'] == 10


@pytest.mark.slow
def test_what_changes_no_weight_may_change_and_changes_no_bit(tmp_path):
    """T12: a longer run, other workers, other logs."""
    calm = toy(tmp_path / 'calm', epochs=2)
    assert run(calm)[0] == 0
    changed = toy(tmp_path / 'changed', epochs=1)
    assert run(changed)[0] == 0
    code, text = resume(
        changed,
        '--cfg-options',
        'train_cfg.max_epochs=2',
        'train_dataloader.num_workers=1',
        'val_dataloader.batch_size=3',
        'default_hooks.logger.interval=2',
    )
    assert code == 0, text[-3000:]
    assert 'train_dataloader.num_workers: 0 -> 1' in text
    states = [state_of(x.parent / 'work' / 'epoch_2.pth') for x in (calm, changed)]
    assert differences(*({key: x[key] for key in TRAINED} for x in states)) == []
