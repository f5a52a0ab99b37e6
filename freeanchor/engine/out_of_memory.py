"""One training step, also where a batch does not fit into the GPU's memory."""

from typing import Any

from mmengine.runner import Runner


def train_step(runner: Runner, data_batch: Any) -> dict:
    """Train on one batch.

    Args:
        runner: Of the training; its model and optimiser are used.
        data_batch: What the data loader gave.

    Returns:
        The losses by name, for the log.
    """
    return runner.model.train_step(data_batch, optim_wrapper=runner.optim_wrapper)
