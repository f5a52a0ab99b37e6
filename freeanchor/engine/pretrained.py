"""Start a network from weights that others have trained."""

import logging
from collections.abc import Sequence

from mmengine.logging import print_log
from mmengine.model import update_init_info
from mmengine.runner import CheckpointLoader
from torch import Tensor, nn

from freeanchor.registry import WEIGHT_INITIALIZERS

from .loading import weights_of
from .weights import CheckpointError

_SHOWN = 8  # names in a message
_COUNTER = 'num_batches_tracked'  # of batch normalisation; old files have none


@WEIGHT_INITIALIZERS.register_module()
class Pretrained:
    """Copy every tensor of a checkpoint that has a name and shape of the module's.

    Used through ``init_cfg=dict(type='Pretrained', checkpoint=...)``. What is
    missing in the file keeps its value, with a warning.

    Args:
        checkpoint: A file, an https URL, ``torchvision://NAME`` or
            ``open-mmlab://NAME``.
        prefix: Start of the names to take from the file, such as
            ``'backbone.'``; it is cut off.

    Raises:
        CheckpointError: No tensor of the file fits, or the file is unusable.
    """

    def __init__(self, checkpoint: str, prefix: str | None = None) -> None:
        self.checkpoint = checkpoint
        self.prefix = prefix

    def __call__(self, module: nn.Module) -> None:
        own = module.state_dict()
        theirs = self._read()
        fitting = {
            name: tensor
            for name, tensor in theirs.items()
            if name in own and tensor.shape == own[name].shape
        }
        if not fitting:
            raise CheckpointError(self._nothing_fits(list(own), list(theirs)))
        module.load_state_dict(fitting, strict=False)
        self._report(own, theirs, fitting)
        if hasattr(module, '_params_init_info'):
            update_init_info(module, init_info=f'loaded from {self.checkpoint}')

    def _read(self) -> dict[str, Tensor]:
        checkpoint = CheckpointLoader.load_checkpoint(self.checkpoint, 'cpu', 'silent')
        weights = {
            name.removeprefix('module.'): tensor
            for name, tensor in weights_of(checkpoint).items()
            if isinstance(tensor, Tensor)
        }
        if self.prefix is None:
            return weights
        prefix = self.prefix.rstrip('.') + '.'
        inner = {
            name.removeprefix(prefix): tensor
            for name, tensor in weights.items()
            if name.startswith(prefix)
        }
        if not inner:
            raise CheckpointError(
                f'{self.checkpoint} has no tensor whose name begins with '
                f'{prefix!r}; there are {_listed(list(weights))}.'
            )
        return inner

    def _nothing_fits(self, own: list[str], theirs: list[str]) -> str:
        text = (
            f'No tensor of {self.checkpoint} fits: the file has {_listed(theirs)}; '
            f'the module has {_listed(own)}.'
        )
        starts = {name.split('.')[0] + '.' for name in theirs}
        names = set(own)
        for start in sorted(starts):
            if any(x.startswith(start) and x[len(start) :] in names for x in theirs):
                text += f' Did you mean prefix={start!r}?'
        return text

    def _report(
        self,
        own: dict[str, Tensor],
        theirs: dict[str, Tensor],
        fitting: dict[str, Tensor],
    ) -> None:
        unused = [x for x in theirs if x not in own]
        text = f'{len(fitting)} of {len(own)} tensors loaded from {self.checkpoint}'
        if unused:
            text += f'; not used: {_listed(unused)}'
        print_log(text, logger='current')
        missing = [x for x in own if x not in theirs and not x.endswith(_COUNTER)]
        if missing:
            _warn(f'{self.checkpoint} has no {_listed(missing)}: not loaded.')
        other = [
            f'{x} {tuple(theirs[x].shape)} for {tuple(own[x].shape)}'
            for x in own
            if x in theirs and x not in fitting
        ]
        if other:
            _warn(f'{self.checkpoint} has other shapes: {_listed(other)}: not loaded.')


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - _SHOWN
    return ', '.join(names[:_SHOWN]) + (f' and {rest} more' if rest > 0 else '')


def _warn(text: str) -> None:
    print_log(text, logger='current', level=logging.WARNING)
