from pathlib import Path

import pytest

from freeanchor.engine import ConfigError
from freeanchor.engine.command_line import checked_checkpoint, newest_checkpoint


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).touch()


def test_the_newest_checkpoint_has_the_highest_number(tmp_path):
    touch(tmp_path, 'epoch_10.pth', 'epoch_9.pth', 'best_coco_bbox_mAP_epoch_99.pth')
    assert newest_checkpoint(str(tmp_path)) == str(tmp_path / 'epoch_10.pth')


def test_iterations_count_where_there_are_no_epochs(tmp_path):
    touch(tmp_path, 'iter_500.pth', 'iter_1000.pth')
    assert newest_checkpoint(str(tmp_path)) == str(tmp_path / 'iter_1000.pth')


def test_a_best_checkpoint_alone_is_not_resumed_from(tmp_path):
    touch(tmp_path, 'best_coco_bbox_mAP_epoch_99.pth')
    with pytest.raises(ConfigError, match=r'no checkpoint \(epoch_\*'):
        newest_checkpoint(str(tmp_path))


def test_a_checkpoint_may_be_a_file_or_a_url(tmp_path):
    touch(tmp_path, 'a.pth')
    for name in (str(tmp_path / 'a.pth'), 'https://example.org/a.pth'):
        assert checked_checkpoint(name) == name
    with pytest.raises(ConfigError, match=r'no checkpoint .*b\.pth'):
        checked_checkpoint(str(tmp_path / 'b.pth'))
