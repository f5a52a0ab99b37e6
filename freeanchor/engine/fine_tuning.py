"""Begin a training with what fits of another detector, such as one of other classes."""

import logging
from typing import Any

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop, Runner

from .conversion.settings import settings_of
from .loading import weights_of
from .warm_start import WarmStartHook
from .weights import CheckpointError

_SHOWN = 6  # names in a message


class FineTuningHook(Hook):
    """Keep of ``load_from`` what the model has in name and shape, and say the rest.

    What the file lacks, or has in another shape, begins as the model drew it; so
    does the classification of a head for other classes. Nothing is rescaled:
    :class:`freeanchor.engine.WarmStartHook` does that.

    Raises:
        CheckpointError: From loading: nothing fits.
    """

    priority = 'LOWEST'  # averaged weights are in their place by then

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        name = runner._load_from
        own = model.state_dict()
        found = {
            key.removeprefix('module.'): x for key, x in weights_of(checkpoint).items()
        }
        kept = {k: x for k, x in found.items() if k in own and x.shape == own[k].shape}
        if not any(x.dim() > 1 for x in kept.values()):
            raise CheckpointError(
                f'load_from={name}: none of its weights fits the model. Those of other '
                'projects are read by --warm-start'
            )
        other = [
            f'{key} {tuple(found[key].shape)} for {tuple(own[key].shape)}'
            for key in own
            if key in found and key not in kept
        ]
        rest = {
            'not loaded, another shape': other,
            'not in the file': [x for x in own if x not in found],
            'in the file, of no use here': [x for x in found if x not in own],
        }
        _say(f'{len(kept)} of {len(own)} tensors begin as in {name}')
        for why, names in rest.items():
            # Counters of norms, which old files lack, are no weights.
            names = [x for x in names if 'num_batches_tracked' not in x]
            if names:
                _say(f'{why}: {_listed(names)}', logging.WARNING)
        _compare_coders(checkpoint, model)
        # With the model's own in the gaps MMEngine has nothing to repeat.
        checkpoint['state_dict'] = {**own, **kept}


def keep_what_fits(runner: Runner) -> None:
    """Give a runner the hook, if its training begins with a ``load_from``."""
    is_warm = any(isinstance(x, WarmStartHook) for x in runner.hooks)
    in_training = isinstance(runner._train_loop, BaseLoop)
    if runner._load_from is not None and in_training and not is_warm:
        runner.register_hook(FineTuningHook())


def _compare_coders(checkpoint: dict[str, Any], model: Any) -> None:
    """Warn where the file's box branch speaks in other units."""
    stds = settings_of(checkpoint).stds
    coder = getattr(getattr(model, 'bbox_head', None), 'coder', None)
    if stds is not None and coder is not None and tuple(stds) != tuple(coder.stds):
        _say(
            f'its box coder has stds={tuple(stds)}, this one {tuple(coder.stds)}: '
            '--warm-start instead of load_from rescales the box branch',
            logging.WARNING,
        )


def _listed(names: list[str]) -> str:
    rest = len(names) - _SHOWN
    return ', '.join(names[:_SHOWN]) + (f' and {rest} more' if rest > 0 else '')


def _say(text: str, level: int = logging.INFO) -> None:
    print_log(text, logger='current', level=level)
