"""What every training objective receives and returns."""

from torch import Tensor, nn

from freeanchor.structures import DensePredictions, Objects


class DenseLoss(nn.Module):
    """A training objective of a dense detector.

    Write a new one in one file: subclass, register, name it in a config.
    """

    def forward(
        self, predictions: DensePredictions, objects: Objects
    ) -> dict[str, Tensor]:
        """Compare predictions with the objects that are there.

        Autocast is off; logits and deltas come in the network's dtype, and
        the maths belongs in float32 or wider.

        Returns:
            Scalars to be summed into the total, each with ``loss`` in its
            name. Every prediction must stay in the graph, also of a batch
            with no object.
        """
        raise NotImplementedError
