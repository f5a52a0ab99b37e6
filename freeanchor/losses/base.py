"""What every training objective receives and returns."""

import torch
from torch import Tensor, nn

from freeanchor.structures import DensePredictions, Objects

from .entries import Entries, read_entries


class DenseLoss(nn.Module):
    """A training objective of a dense detector.

    Write a new one in one file: subclass, register, name it in a config.
    Parameters of its own are trained and saved with the detector's.

    Attributes:
        reads_quality: Whether it trains a head's quality branch. If not, scores
            of detections are left without it.
    """

    reads_quality = False

    def __init__(self) -> None:
        super().__init__()
        self.register_forward_hook(_with_quality_in_the_graph)

    def forward(
        self, predictions: DensePredictions, objects: Objects
    ) -> dict[str, Tensor]:
        """Compare predictions with the objects that are there.

        Autocast is off; logits and deltas come in the network's dtype, and
        the maths belongs in float32 or wider.

        Returns:
            Scalars to be summed into the total, each with ``loss`` in its
            name. All logits, deltas and parameters of the loss must stay in
            the graph, also of a batch with no object. A quality branch that
            the loss does not read is kept there for it, with gradient 0.
        """
        raise NotImplementedError

    def counts(
        self, predictions: DensePredictions, objects: Objects
    ) -> dict[str, int | Tensor]:
        """What each term is divided by, at least 1, for a batch in parts.

        The counts of the parts of a batch add up to that of the batch, and do
        not depend on what is predicted. A loss that has them is trained in
        parts where a batch does not fit into memory.

        Returns:
            A count for each term that the loss returns, by its name.

        Raises:
            NotImplementedError: The loss is no sum over images.
        """
        raise NotImplementedError(f'{type(self).__name__} is no sum over images')


def _with_quality_in_the_graph(
    loss: nn.Module,
    inputs: tuple[DensePredictions, Objects],
    terms: dict[str, Tensor],
) -> dict[str, Tensor] | None:
    """Add nothing to a term, read from the quality branch.

    DistributedDataParallel waits for the gradient of every parameter, also of
    a branch that the objective has no use for.
    """
    quality = inputs[0].quality
    if not quality or not torch.is_grad_enabled():
        return None
    none = torch.zeros(0, dtype=torch.long, device=quality[0].device)
    name, value = next(iter(terms.items()))
    unread = read_entries(quality, Entries(none, none)).sum().to(value.dtype)
    return {**terms, name: value + unread}
