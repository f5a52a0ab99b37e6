"""Whether a checkpoint holds the weights of a model, all of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor, nn

from .loading import weights_of
from .naming import ConfigError

_SHOWN = 4  # names in a message
_COUNTER = 'num_batches_tracked'  # of batch normalisation; old files have none


def differences_of_weights(
    own: Mapping[str, Tensor], weights: Mapping[str, Tensor]
) -> str:
    """How a checkpoint differs from a model, after "it"; empty if it does not.

    Args:
        own: The model's state dict.
        weights: The checkpoint's.
    """
    faults = {
        'has no': [x for x in own if x not in weights],
        'has besides': [x for x in weights if x not in own],
        'has': _of_other_shape(own, weights),
    }
    return '; it '.join(f'{what} {_listed(x)}' for what, x in faults.items() if x)


class WholeWeightsHook(Hook):
    """Refuses a checkpoint that leaves weights of the model as they were drawn.

    A test of such a model says nothing, and nothing would tell.

    Raises:
        ConfigError: From loading: names what is missing.
    """

    priority = 'LOWEST'  # averaged weights are in their place by then

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        load_whole(model, weights_of(checkpoint))


def load_whole(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Load ``weights``; they must be all that the model has.

    Args:
        model: Changed in place.
        weights: Tensors by name; a ``module.`` before each is cut off.

    Raises:
        ConfigError: Names what is missing or of another shape.
    """
    weights = {name.removeprefix('module.'): x for name, x in weights.items()}
    what = _unfit(model, weights)
    if what:
        raise ConfigError(
            f'the checkpoint is not of the model of this config: {what}. Test with '
            'the config it was trained with; weights of other programs are '
            'rewritten by tools/checkpoints/convert.py'
        )


def _unfit(model: nn.Module, weights: dict[str, Tensor]) -> str:
    """What of ``weights`` does not fit, or is missing; empty where nothing is."""
    shapes = _of_other_shape(model.state_dict(), weights)
    if shapes:
        return f'it has {_listed(shapes)}'
    try:
        # Modules may know older names of their weights.
        missing = model.load_state_dict(weights, strict=False).missing_keys
    except RuntimeError as error:  # a shape under such a name
        return ' '.join(str(error).split())
    missing = [x for x in missing if not x.endswith(_COUNTER)]
    return f'it has no {_listed(missing)}' if missing else ''


def _of_other_shape(
    own: Mapping[str, Tensor], weights: Mapping[str, Tensor]
) -> list[str]:
    return [
        f'{x} {tuple(weights[x].shape)} instead of {tuple(own[x].shape)}'
        for x in own
        if x in weights and weights[x].shape != own[x].shape
    ]


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - _SHOWN
    return ', '.join(names[:_SHOWN]) + (f' and {rest} more' if rest > 0 else '')
