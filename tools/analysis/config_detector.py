"""A trained detector by a config whose values the command line may have changed."""

from typing import Any


def build_detector(cfg: Any, checkpoint: str, device: str | None = None) -> Any:
    """The :class:`freeanchor.inference.Detector` of a config and a checkpoint.

    Raises:
        ConfigError: There is no such checkpoint, or weights of the model are missing.
    """
    from freeanchor.engine.command_line import checked_checkpoint
    from freeanchor.inference import load_detector

    return load_detector(checked_checkpoint(checkpoint), cfg, device)
