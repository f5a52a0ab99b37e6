"""What a project's RetinaNet differs in from ours, as data."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

Weights = dict[str, Tensor]
Step = Callable[[Weights], str]
"""Changes weights, by our names, in place; says what it did, or nothing (``''``)."""


@dataclass(frozen=True)
class Source:
    r"""Where a checkpoint comes from.

    Args:
        name: Of the project, as on a command line.
        marks: Regular expressions; a file of this source has a name that matches
            each of them.
        names: Pairs of a regular expression, which matches a whole name there,
            and our name for it (``\1`` is its first group).
        dropped: Regular expressions of what is no weight: buffers that we compute.
        steps: What is done after the names, in this order.
        stds: What box deltas are divided by; None where a file says it itself.
        norm_eps: What is added to a variance, where it is not the 1e-5 of
            :class:`torch.nn.BatchNorm2d`.
        reading: How it reads images and strides, for whoever chooses a config.
        configs: Patterns of the names of our configs of its geometry; ``{kind}`` is
            that of the loss, ``{trunk}`` the trunk's.
    """

    name: str
    marks: tuple[str, ...]
    names: tuple[tuple[str, str], ...]
    dropped: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    stds: tuple[float, ...] | None = None
    norm_eps: float = 1e-5
    reading: str = ''
    configs: tuple[str, ...] = ('{kind}_{trunk}_fpn_1x',)
