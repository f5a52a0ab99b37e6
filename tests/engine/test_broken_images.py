"""Images that were replaced and boxes that were left out, as the log tells."""

import logging
from types import SimpleNamespace

import pytest
from mmengine.structures import BaseDataElement

from freeanchor.engine import BrokenImagesError, BrokenImagesHook


class _Log(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture
def runner():
    """A run on 200 images: 2 may be broken where a hundredth may."""
    logger = logging.Logger('run')
    logger.addHandler(_Log())
    loader = SimpleNamespace(dataset=range(200))
    return SimpleNamespace(logger=logger, train_dataloader=loader)


def lines(runner) -> list[str]:
    return runner.logger.handlers[0].lines


def batch(*paths: str, thin: int = 0) -> dict:
    plain = BaseDataElement(metainfo=dict(img_id=1))
    note = dict(replaced=[(path, 'empty') for path in paths], num_thin_boxes=thin)
    return dict(inputs=[], data_samples=[plain, BaseDataElement(metainfo=note)])


def test_an_image_is_logged_once_with_its_reason(runner):
    hook = BrokenImagesHook()
    for _ in range(3):
        hook.before_train_iter(runner, 0, batch('a.jpg'))
    assert len(lines(runner)) == 1
    assert "'a.jpg' cannot be used (empty)" in lines(runner)[0]


def test_more_than_the_share_ends_the_run_with_a_list(runner):
    hook = BrokenImagesHook(max_share=0.01)
    hook.before_train_iter(runner, 0, batch('a.jpg', 'b.jpg'))
    with pytest.raises(BrokenImagesError, match=r'a\.jpg \(empty\).*c\.jpg') as caught:
        hook.before_train_iter(runner, 1, batch('c.jpg'))
    assert caught.value.exit_code == 3


def test_one_image_of_a_small_set_may_be_broken_unless_none_may(runner):
    BrokenImagesHook(max_share=0.001).before_train_iter(runner, 0, batch('a.jpg'))
    with pytest.raises(BrokenImagesError, match='0 may be'):
        BrokenImagesHook(max_share=0).before_train_iter(runner, 0, batch('a.jpg'))


def test_a_sound_batch_is_not_remarked_on(runner):
    hook = BrokenImagesHook(max_share=0)
    hook.before_train_iter(runner, 0, batch())
    hook.settled(runner, after='epoch')
    assert not lines(runner)


def test_thin_boxes_are_counted_by_the_epoch(runner):
    hook = BrokenImagesHook()
    for count in (2, 3):
        hook.before_train_iter(runner, 0, batch(thin=count))
    hook.settled(runner, after='iteration')
    assert not lines(runner)
    hook.settled(runner, after='epoch')
    hook.settled(runner, after='epoch')
    assert len(lines(runner)) == 1
    assert '5 boxes' in lines(runner)[0]


def test_what_was_seen_outlives_a_restart(runner):
    hook = BrokenImagesHook()
    hook.before_train_iter(runner, 0, batch('a.jpg', 'b.jpg', thin=2))
    later = BrokenImagesHook()
    later.load_state_dict(hook.state_dict())
    later.before_train_iter(runner, 0, batch('a.jpg', thin=1))
    assert len(lines(runner)) == 2  # a.jpg is no news
    assert later.num_thin_boxes == 3
    with pytest.raises(BrokenImagesError):
        later.before_train_iter(runner, 0, batch('c.jpg'))


def test_a_share_above_one_is_refused():
    with pytest.raises(ValueError, match='from 0 to 1'):
        BrokenImagesHook(max_share=10)
