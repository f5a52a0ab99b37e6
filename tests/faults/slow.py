"""A validation that lasts long enough to be interrupted."""

import time
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook

from freeanchor.registry import HOOKS


@HOOKS.register_module()
class SlowValidationHook(Hook):
    """Wait in each iteration of a validation, and tell by a file that it is one.

    Args:
        seconds: How long to wait.
        marker: The file, made in the first iteration.
    """

    def __init__(self, seconds: float, marker: str) -> None:
        self.seconds = seconds
        self.marker = Path(marker)

    def before_val_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None
    ) -> None:
        self.marker.touch()
        time.sleep(self.seconds)
