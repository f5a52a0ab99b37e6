"""Images that were replaced and boxes that were left out, as the log tells."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest
from mmengine import dist
from mmengine.structures import BaseDataElement

from freeanchor.engine import BrokenImagesError, BrokenImagesHook
from tests.processes import run_on_processes


class _Log(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def run_on(num_images: int) -> SimpleNamespace:
    """What the hook needs of a runner."""
    logger = logging.Logger('run')
    logger.addHandler(_Log())
    loader = SimpleNamespace(dataset=range(num_images))
    return SimpleNamespace(logger=logger, train_dataloader=loader, iter=0)


@pytest.fixture
def runner():
    """A run on 200 images: 2 may be broken where a hundredth may."""
    return run_on(200)


def lines(runner) -> list[str]:
    return runner.logger.handlers[0].lines


def batch(*paths: str, thin: int = 0) -> dict:
    plain = BaseDataElement(metainfo=dict(img_id=1))
    note = dict(replaced=[(path, 'empty') for path in paths], num_thin_boxes=thin)
    return dict(inputs=[], data_samples=[plain, BaseDataElement(metainfo=note)])


def begun(runner, **arguments) -> BrokenImagesHook:
    hook = BrokenImagesHook(**arguments)
    hook.before_train(runner)
    return hook


def step(hook: BrokenImagesHook, runner, data: dict) -> None:
    hook.before_train_iter(runner, runner.iter, data)
    runner.iter += 1
    hook.settled(runner, after='iteration')


def test_an_image_is_logged_once_with_its_reason(runner):
    hook = begun(runner)
    for _ in range(3):
        step(hook, runner, batch('a.jpg'))
    assert len(lines(runner)) == 1
    assert "'a.jpg' cannot be used (empty)" in lines(runner)[0]


def test_more_than_the_share_ends_the_run_with_a_list(runner):
    hook = begun(runner, max_share=0.01)
    step(hook, runner, batch('a.jpg', 'b.jpg'))
    with pytest.raises(BrokenImagesError, match=r'a\.jpg \(empty\).*c\.jpg') as caught:
        step(hook, runner, batch('c.jpg'))
    assert caught.value.exit_code == 3


def test_one_image_of_a_small_set_may_be_broken_unless_none_may(runner):
    step(begun(runner, max_share=0.001), runner, batch('a.jpg'))
    with pytest.raises(BrokenImagesError, match='0 may be'):
        step(begun(runner, max_share=0), runner, batch('a.jpg'))


def test_a_sound_batch_is_not_remarked_on(runner):
    hook = begun(runner, max_share=0)
    step(hook, runner, batch())
    hook.settled(runner, after='epoch')
    assert not lines(runner)


def test_thin_boxes_are_counted_by_the_epoch(runner):
    hook = begun(runner)
    for count in (2, 3):
        step(hook, runner, batch(thin=count))
    assert not lines(runner)
    hook.settled(runner, after='epoch')
    hook.settled(runner, after='validation')
    hook.after_train(runner)
    assert len(lines(runner)) == 1
    assert '5 boxes' in lines(runner)[0]


def test_without_epochs_the_log_tells_after_validation_and_at_the_end(runner):
    hook = begun(runner)
    step(hook, runner, batch('a.jpg'))
    hook.settled(runner, after='validation')
    assert '1 images could not be used so far; 2 may be' in lines(runner)[-1]
    step(hook, runner, batch(thin=4))
    hook.after_train(runner)
    assert '4 boxes' in lines(runner)[-1]


def test_what_was_seen_outlives_a_restart(runner):
    hook = begun(runner)
    step(hook, runner, batch('a.jpg', thin=2))
    hook.before_train_iter(runner, 1, batch('b.jpg'))
    hook.saving(runner)
    later = begun(runner)
    later.load_state_dict(hook.state_dict())
    step(later, runner, batch('a.jpg', thin=1))
    assert len(lines(runner)) == 2  # a.jpg is no news
    assert later.num_thin_boxes == 3
    with pytest.raises(BrokenImagesError, match=r'a\.jpg.*b\.jpg.*c\.jpg'):
        step(later, runner, batch('c.jpg'))


def test_a_share_above_one_is_refused():
    with pytest.raises(ValueError, match='from 0 to 1'):
        BrokenImagesHook(max_share=10)


def _of_two(rank: int, processes: int) -> dict[str, Any]:
    """Process 1 meets all the broken images, process 0 some thin boxes."""
    runner = run_on(300)  # of which three may be broken
    hook = begun(runner)
    for path in ('a.jpg', 'b.jpg', 'a.jpg', 'c.jpg'):
        step(hook, runner, batch(path, thin=1) if rank else batch(thin=2))
    hook.saving(runner)
    saved = hook.state_dict()
    hook.settled(runner, after='epoch')
    found: dict[str, Any] = dict(broken=list(hook.broken), lines=list(lines(runner)))
    later = begun(runner)
    by_first = dist.all_gather_object(saved)[0]
    later.load_state_dict(by_first)
    found['thin'] = (by_first['num_thin_boxes'], later.num_thin_boxes)
    for i in range(6):
        try:
            step(later, runner, batch('d.jpg') if rank and i == 2 else batch())
        except BrokenImagesError as error:
            found.update(stopped_at=i, error=str(error))
            break
    return found


def test_processes_count_alike_and_stop_together():
    first, second = run_on_processes(_of_two, 2)
    assert first['broken'] == second['broken'] == ['a.jpg', 'b.jpg', 'c.jpg']
    assert first['lines'] == second['lines']
    assert [x.split("'")[1] for x in first['lines'][:3]] == first['broken']
    assert '3 images' in first['lines'][3]
    assert '12 boxes' in first['lines'][4]
    # Both load what process 0 saved: none is lost or counted twice.
    assert (first['thin'], second['thin']) == ((12, 12), (12, 0))
    # What one meets in a step the other knows after the next.
    assert first['stopped_at'] == second['stopped_at'] == 3
    assert first['error'] == second['error']
    assert first['error'].startswith('4 training images cannot be used, and 3 may be')
