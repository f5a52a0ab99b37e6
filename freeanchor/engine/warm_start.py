"""Begin a training with the weights of any RetinaNet."""

import logging
from typing import Any

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor

from freeanchor.registry import HOOKS

from .command_line import checked_checkpoint
from .conversion import Converted, convert, rescaled
from .weights import CheckpointError

_SHOWN = 8  # names in a message


@HOOKS.register_module()
class WarmStartHook(Hook):
    """Make the checkpoint of ``load_from`` fit the model that is to be trained.

    The file may be of any source that :func:`freeanchor.engine.conversion.convert`
    knows. Where its box coder has other stds, the box branch is rescaled. Tensors
    of another shape, such as those of other classes, are left out. What is done
    goes into the log. A run that is resumed is left alone.
    """

    # Before hooks that copy the weights, as EMAHook does.
    priority = 'VERY_HIGH'

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        if runner._resume:
            return
        name = runner._load_from
        try:
            converted = convert(checkpoint)
        except CheckpointError as error:
            raise CheckpointError(f'--warm-start {name}: {error}') from None
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        _say(f'warm start from {name}, a file of {converted.source.name}')
        converted, note = rescaled(converted, model.bbox_head.coder.stds)
        for text in (*converted.notes, note):
            _say(text)
        _compare_reading(converted, runner.cfg.model)
        own = model.state_dict()
        checkpoint['state_dict'] = fitting(converted.weights, own, str(name))
        _report(converted, own)


def use_warm_start(cfg: Any, checkpoint: str) -> None:
    """Change a config so that its training begins with a checkpoint's weights.

    Args:
        cfg: The config, changed in place.
        checkpoint: A file, or the name of published weights.

    Raises:
        ConfigError: There is no such file.
    """
    cfg.load_from = checked_checkpoint(checkpoint)
    cfg.setdefault('default_hooks', {})['warm_start'] = dict(type='WarmStartHook')


def fitting(
    weights: dict[str, Tensor], own: dict[str, Tensor], name: str
) -> dict[str, Tensor]:
    """The tensors that have a name and shape of the model's.

    Args:
        weights: Of the file.
        own: Of the model.
        name: Of the file, for the error.

    Raises:
        CheckpointError: There are none but the counters of norms.
    """
    kept = {k: x for k, x in weights.items() if k in own and x.shape == own[k].shape}
    if not any(x.dim() > 1 for x in kept.values()):
        raise CheckpointError(
            f'--warm-start {name}: none of its weights fits the model'
        )
    return kept


def _compare_reading(converted: Converted, model: Any) -> None:
    """Warn where the source reads images or strides in another way."""
    style = converted.settings.style
    own = model.backbone.get('style', 'pytorch')
    if style is not None and style != own:
        _say(
            f"its trunk is of style='{style}', this one of '{own}': a rough start",
            logging.WARNING,
        )
    if converted.source.reading:
        _say(f'{converted.source.name} has {converted.source.reading}: compare')


def _report(converted: Converted, own: dict[str, Tensor]) -> None:
    weights = converted.weights
    other = [
        f'{x} {tuple(weights[x].shape)} for {tuple(own[x].shape)}'
        for x in own
        if x in weights and weights[x].shape != own[x].shape
    ]
    missing = [x for x in own if x not in weights]
    unused = [*converted.unmatched, *(x for x in weights if x not in own)]
    number = len(own) - len(other) - len(missing)
    _say(f'{number} of {len(own)} tensors begin with its weights')
    for names, why in (
        (other, 'left out, another shape'),
        (missing, 'not in the file'),
        (unused, 'of no use here'),
    ):
        if names:
            _say(f'{why}: {_listed(names)}', logging.WARNING)


def _listed(names: list[str]) -> str:
    rest = len(names) - _SHOWN
    return ', '.join(names[:_SHOWN]) + (f' and {rest} more' if rest > 0 else '')


def _say(text: str, level: int = logging.INFO) -> None:
    if text:
        print_log(text, logger='current', level=level)
