"""Log and count what a data set could not use while training."""

from typing import Any

from mmengine import dist
from mmengine.hooks import Hook
from mmengine.runner import Runner

from freeanchor.registry import HOOKS

from .agreement import Agreement

_SHOWN = 20  # images in an error


class BrokenImagesError(ValueError):
    """More images are broken than a run may do without."""

    exit_code = 3  # the data is at fault


@HOOKS.register_module()
class BrokenImagesHook(Hook):
    """Log each broken image once, and stop where there are too many.

    A data set draws another sample for an image that it cannot read and notes
    path and reason in the metainfo, as ``replaced``. It does so in the processes
    that load data, so it is counted here, where all batches come by. When one of
    several training processes meets such an image, all learn of it within two
    iterations, so that they count alike and stop together.

    After an epoch, or without epochs after a validation and at the end, the log says
    how many images could not be used and how many boxes were too thin to be
    targets (``num_thin_boxes``).

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
        self.num_thin_boxes = 0  # seen by this process since the log said so
        self._news: dict[str, str] = {}  # what only this process knows of
        self._agreement: Agreement | None = None
        self._told_at = 0  # iterations

    def before_train(self, runner: Runner) -> None:
        self._agreement = Agreement()

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        samples = data_batch.get('data_samples') if isinstance(data_batch, dict) else ()
        for sample in samples or ():
            self.num_thin_boxes += sample.get('num_thin_boxes', 0)
            replaced = dict(sample.get('replaced', ()))
            self._news |= {k: v for k, v in replaced.items() if k not in self.broken}

    def settled(self, runner: Runner, after: str) -> None:
        """Put together what all processes saw; each of them has to call it."""
        if after != 'iteration' or self._is_there_news():
            self._share(runner)
        self._judge(runner)
        if after != 'iteration':
            self._tell(runner)

    def after_train(self, runner: Runner) -> None:
        self._tell(runner)

    def saving(self, runner: Runner) -> None:
        """The first process saves what all have seen."""
        self._share(runner)
        total = sum(dist.all_gather_object(self.num_thin_boxes))
        self.num_thin_boxes = 0 if dist.get_rank() else total

    def state_dict(self) -> dict[str, Any]:
        return dict(broken=dict(self.broken), num_thin_boxes=self.num_thin_boxes)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.broken = dict(state['broken'])
        # All processes load what the first one saved.
        self.num_thin_boxes = 0 if dist.get_rank() else state['num_thin_boxes']

    def _is_there_news(self) -> bool:
        assert self._agreement is not None, 'before_train makes it'
        return self._agreement.any(bool(self._news))

    def _share(self, runner: Runner) -> None:
        """Log what any process has news of."""
        seen = dist.all_gather_object(self._news)
        news = {path: reason for x in seen for path, reason in x.items()}
        self._news = {}
        for path in (x for x in news if x not in self.broken):
            runner.logger.warning(
                f"the image '{path}' cannot be used ({news[path]}); another one takes "
                'its place'
            )
        self.broken |= news

    def _tell(self, runner: Runner) -> None:
        if runner.iter == self._told_at:  # the end of an epoch, then a validation
            return
        self._told_at = runner.iter
        thin = sum(dist.all_gather_object(self.num_thin_boxes))
        self.num_thin_boxes = 0
        if self.broken:
            runner.logger.warning(
                f'{len(self.broken)} images could not be used so far; '
                f'{self._allowed(runner)} may be'
            )
        if thin:
            runner.logger.warning(
                f'{thin} boxes were left out since the last such line: they were '
                'thinner than a pixel after the pipeline'
            )

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
