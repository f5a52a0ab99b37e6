"""Log and count what a data set could not use while training."""

from typing import Any

from mmengine import dist
from mmengine.hooks import Hook
from mmengine.runner import Runner

from freeanchor.registry import HOOKS

_SHOWN = 20  # images in an error


class BrokenImagesError(ValueError):
    """More images are broken than a run may do without."""

    exit_code = 3  # the data is at fault


@HOOKS.register_module()
class BrokenImagesHook(Hook):
    """Log each broken image once, and stop where there are too many.

    A data set draws another sample for an image that it cannot read and notes
    path and reason in the metainfo, as ``replaced``. It does so in the processes
    that load data, so it is counted here, where all batches come by. Each process
    counts its own; after an epoch they put together what they saw. The log then
    also says how many boxes were too thin to be targets (``num_thin_boxes``).

    Args:
        max_share: The share of the training images that may be broken; one may
            be, however few there are, unless the share is 0.

    Raises:
        BrokenImagesError: From the hook's methods; it lists the images.
    """

    def __init__(self, max_share: float = 0.01) -> None:
        if not 0 <= max_share <= 1:
            raise ValueError(f'max_share is a share from 0 to 1, not {max_share}')
        self.max_share = max_share
        self.broken: dict[str, str] = {}  # the reason, by path
        self.num_thin_boxes = 0  # in this epoch

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        samples = data_batch.get('data_samples') if isinstance(data_batch, dict) else ()
        for sample in samples or ():
            self.num_thin_boxes += sample.get('num_thin_boxes', 0)
            for path, reason in sample.get('replaced', ()):
                if path not in self.broken:
                    self.broken[path] = reason
                    runner.logger.warning(
                        f"the image '{path}' cannot be used ({reason}); another one "
                        'takes its place'
                    )
        self._judge(runner)

    def settled(self, runner: Runner, after: str) -> None:
        """Put together what all processes saw; each of them has to call it."""
        if after != 'epoch':
            return
        seen = dist.all_gather_object((self.broken, self.num_thin_boxes))
        self.broken = {path: x for broken, _ in seen for path, x in broken.items()}
        thin = sum(count for _, count in seen)
        self.num_thin_boxes = 0
        if self.broken:
            runner.logger.warning(
                f'{len(self.broken)} images could not be used so far; '
                f'{self._allowed(runner)} may be'
            )
        if thin:
            runner.logger.warning(
                f'{thin} boxes were left out in this epoch: after the pipeline they '
                'were thinner than a pixel'
            )
        self._judge(runner)

    def state_dict(self) -> dict[str, Any]:
        return dict(broken=dict(self.broken), num_thin_boxes=self.num_thin_boxes)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.broken = dict(state['broken'])
        self.num_thin_boxes = state['num_thin_boxes']

    def _allowed(self, runner: Runner) -> int:
        count = len(runner.train_dataloader.dataset)
        return max(1, int(self.max_share * count)) if self.max_share else 0

    def _judge(self, runner: Runner) -> None:
        if len(self.broken) <= self._allowed(runner):
            return
        listed = '; '.join(
            f'{path} ({reason})' for path, reason in list(self.broken.items())[:_SHOWN]
        )
        raise BrokenImagesError(
            f'{len(self.broken)} training images cannot be used, and '
            f'{self._allowed(runner)} may be: {listed}. Mend or remove them '
            '(tools/data/doctor.py finds all), or raise max_share of BrokenImagesHook'
        )
