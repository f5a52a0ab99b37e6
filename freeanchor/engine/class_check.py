"""Refuse to train or test a head with another number of classes than the data."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from freeanchor.registry import HOOKS

from .naming import ConfigError


@HOOKS.register_module()
class ClassCheckHook(Hook):
    """Compare ``num_classes`` of the model with the classes of every data set.

    Raises:
        ConfigError: The numbers differ; before the first iteration.
    """

    def before_train(self, runner: Runner) -> None:
        _compare(runner.model, runner.train_dataloader.dataset)
        if runner.val_loop is not None:
            _compare(runner.model, runner.val_dataloader.dataset)

    def before_test(self, runner: Runner) -> None:
        _compare(runner.model, runner.test_dataloader.dataset)


def _compare(model: Any, dataset: Any) -> None:
    classes = (getattr(dataset, 'metainfo', None) or {}).get('classes')
    if classes is None:
        return
    if is_model_wrapper(model):
        model = model.module
    # Not the trunk: one of timm keeps the number of its ImageNet classes.
    num_classes = getattr(getattr(model, 'bbox_head', None), 'num_classes', None)
    if num_classes not in (None, len(classes)):
        names = ', '.join(classes[:5]) + (', ...' if len(classes) > 5 else '')
        raise ConfigError(
            f'model.bbox_head has num_classes={num_classes}, but the data set '
            f'{getattr(dataset, "ann_file", "")} has {len(classes)} classes '
            f'({names}): set model.bbox_head.num_classes={len(classes)}, or name '
            'the classes to use in metainfo.classes of the data set.'
        )
