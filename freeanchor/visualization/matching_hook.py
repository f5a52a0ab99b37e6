"""How the matching of a few objects changes while a detector is trained."""

import logging
from itertools import islice
from pathlib import Path
from typing import Any

from mmengine import dist
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import EpochBasedTrainLoop, Runner

from freeanchor.losses import FreeAnchorLoss
from freeanchor.registry import HOOKS

from .matched_objects import (
    Moment,
    Sample,
    first_sample,
    has_objects,
    largest_first,
    picture_name,
    view_matching,
)
from .originals import original_of


class MatchingError(ValueError):
    """A config whose matching cannot be drawn; the tools print it as one line."""

    exit_code = 2


@HOOKS.register_module()
class MatchingHook(Hook):
    """Draw what FreeAnchor matches in a few validation images, at each validation.

    The pictures lie in ``WORK_DIR/TIMESTAMP/OUT_DIR``, one for each object, and
    every validation adds a row: see
    :func:`freeanchor.visualization.matching.save_matching`. The images are the first
    of the validation set that have objects, the objects the largest. Training is
    what it would be without the hook: the model is in evaluation mode, and the
    loop keeps the random state.

    It goes into a config as
    ``custom_hooks = [dict(type='MatchingHook', num_images=2)]``.

    Args:
        num_images: How many images.
        max_objects: Objects of an image, at most.
        max_rows: Rows of a picture, at most: the first and the latest are kept.
        out_dir: Name of the folder.

    Raises:
        ValueError: A number is less than 1, or ``max_rows`` is 1.
        MatchingError: Before training, the loss has no bags, or the validation
            pipeline gives no objects.
    """

    priority = 'LOW'

    def __init__(
        self,
        num_images: int = 2,
        max_objects: int = 2,
        max_rows: int = 6,
        out_dir: str = 'matching',
    ) -> None:
        if num_images < 1 or max_objects < 1 or max_rows < 2:
            raise ValueError(
                f'num_images={num_images} and max_objects={max_objects} are 1 or more, '
                f'max_rows={max_rows} is 2 or more'
            )
        self.num_images = num_images
        self.max_objects = max_objects
        self.max_rows = max_rows
        self.out_dir = out_dir
        self._samples: list[Sample] | None = None
        self._moments: dict[str, list[Moment]] = {}

    def before_train(self, runner: Runner) -> None:
        if runner.val_loop is not None:
            _check_loss(runner.model)
            _check_objects(runner.val_dataloader.dataset)

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        # Only by now is the model in evaluation mode, with averaged weights if any.
        if batch_idx > 0 or not dist.is_main_process():
            return
        model = _check_loss(runner.model)
        for sample in self._chosen(runner.val_dataloader.dataset):
            try:
                self._draw(runner, model, sample)
            except OSError as error:
                # A run is worth more than a picture of it.
                print_log(
                    f'No picture of the matching: {error}',
                    logger='current',
                    level=logging.WARNING,
                )

    def _chosen(self, dataset: Any) -> list[Sample]:
        if self._samples is None:
            every = (dataset[i] for i in range(len(dataset)))
            self._samples = list(islice(filter(has_objects, every), self.num_images))
            if not self._samples:
                print_log(
                    'MatchingHook draws nothing: the validation set has no objects.',
                    logger='current',
                    level=logging.WARNING,
                )
        return self._samples

    def _draw(self, runner: Runner, model: Any, sample: Sample) -> None:
        from .matching import save_matching  # takes a while to import

        image = original_of(sample['data_samples'])
        views = view_matching(model, sample)
        names = runner.val_dataloader.dataset.metainfo.get('classes') or ()
        folder = Path(runner.log_dir) / self.out_dir
        folder.mkdir(parents=True, exist_ok=True)
        for row in largest_first(views, self.max_objects):
            name = picture_name(sample, row)
            moments = self._moments.setdefault(name, [])
            moments.append(Moment(_now(runner), views[row]))
            if len(moments) > self.max_rows:
                del moments[1]
            label = views[row].label
            text = str(names[label]) if label < len(names) else str(label)
            save_matching(folder / f'{name}.png', image, moments, text)


def _check_loss(model: Any) -> Any:
    """The detector itself, if it has bags to be drawn."""
    model = model.module if is_model_wrapper(model) else model
    if not isinstance(model.loss, FreeAnchorLoss):
        raise MatchingError(
            f'MatchingHook: model.loss is {type(model.loss).__name__}, which has no '
            'bags; take the hook out of custom_hooks.'
        )
    return model


def _check_objects(dataset: Any) -> None:
    if 'gt_instances' not in first_sample(dataset)['data_samples']:
        raise MatchingError(
            'MatchingHook: the validation pipeline gives no objects; add '
            "dict(type='LoadAnnotations', with_bbox=True) to it, before Resize."
        )


def _now(runner: Runner) -> str:
    """The time of training; asking before it would build its data."""
    loop = runner._train_loop
    if loop is None or isinstance(loop, dict):
        return 'validation'
    if isinstance(loop, EpochBasedTrainLoop):
        return f'epoch {runner.epoch}'
    return f'iteration {runner.iter}'
