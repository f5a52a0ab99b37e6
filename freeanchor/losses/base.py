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
        raise NotImplementedError
