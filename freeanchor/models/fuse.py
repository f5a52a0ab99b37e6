"""Fold batch normalisation into the convolutions before it, for inference."""

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from .convolution import is_plain

_NORMS = (nn.BatchNorm2d, nn.SyncBatchNorm)


def fuse(model: nn.Module, *example: Any) -> nn.Module:
    """Fold each batch normalisation into the convolution whose output it takes.

    Which belong together is seen in a run on ``example``, so that names and
    the order of definition do not matter. A normalisation stays where another
    function reads the convolution's output, or where several feed it.

    In the state dict the keys of folded normalisations are gone (``bn1.weight``,
    ``bn1.running_mean``, ...), the convolution's ``weight`` has other values,
    and it has a ``bias``. Load a checkpoint first and fuse then; a fused
    model is not for training.

    Args:
        model: A module on the device of ``example``; changed in place and left
            in evaluation mode, without gradients.
        example: What ``model`` is called with, for example a
            ``(1, 3, 64, 64)`` image.

    Returns:
        ``model``.
    """
    pairs = _pairs(model, example)
    model.eval()
    for norm_name, conv_name in pairs.items():
        conv, norm = model.get_submodule(conv_name), model.get_submodule(norm_name)
        fused = fuse_conv_bn_eval(conv, norm)  # type: ignore[type-var, arg-type]
        model.set_submodule(conv_name, fused)
        # timm's normalisations hold what comes after them, such as a ReLU.
        rest = list(norm.children())
        model.set_submodule(norm_name, nn.Sequential(*rest) if rest else nn.Identity())
    return model.eval().requires_grad_(False)


def _pairs(model: nn.Module, example: tuple) -> dict[str, str]:
    """Names of normalisations, and of the convolutions that feed only them."""
    # In training mode, because norms that do not learn may be folded while
    # they run; and on a copy, whose statistics may move.
    model = copy.deepcopy(model)
    watch = _Watch()
    for name, module in model.named_modules():
        if isinstance(module, _NORMS) and module.running_mean is not None:
            watch.norms[id(module.running_mean)] = name
            module.train()
        elif is_plain(module):
            watch.convs[id(module.weight)] = name
    with torch.no_grad(), watch:
        model(*example)
    return {
        norm: next(iter(convs))
        for norm, convs in watch.givers.items()
        if len(convs) == 1 and watch.takers.get(next(iter(convs))) == {norm}
    }


class _Watch(TorchFunctionMode):
    """Note which functions take the output of which convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.convs: dict[int, str] = {}  # by the id of their weight
        self.norms: dict[int, str] = {}  # by the id of their running mean
        self.givers: dict[str, set[str]] = {}
        self.takers: dict[str, set[str]] = {}
        self._made: dict[int, tuple[str, Tensor]] = {}

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        out = function(*args, **(kwargs or {}))
        if not any(isinstance(x, Tensor) for x in tree_leaves(out)):
            return out  # a question about a tensor, such as its shape
        taker = repr(function)
        if function is F.batch_norm:
            taker = self.norms.get(id(args[1]), taker)
            self.givers.setdefault(taker, set()).add(self._giver(args[0]))
        for x in tree_leaves((args, kwargs)):
            self.takers.setdefault(self._giver(x), set()).add(taker)
        if function is F.conv2d and id(args[1]) in self.convs:
            # Held, so that no other tensor gets its id.
            self._made[id(out)] = self.convs[id(args[1])], out
        return out

    def _giver(self, x: Any) -> str:
        return self._made[id(x)][0] if id(x) in self._made else ''
