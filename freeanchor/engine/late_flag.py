"""A flag on the device that is looked at later, when it costs no wait."""

import torch
from torch import Tensor


class LateFlag:
    """A scalar that is on its way from the device.

    Args:
        flag: 0 or 1, on any device. Work that is queued later may change it.
    """

    def __init__(self, flag: Tensor) -> None:
        self.is_late = flag.is_cuda
        """Whether reading at once would wait for the device."""
        self._value = flag.detach().reshape(1)
        if self.is_late:
            arrived = torch.empty(1, dtype=flag.dtype, pin_memory=True)
            self._value = arrived.copy_(self._value, non_blocking=True)
            self._arrival = torch.cuda.Event()
            self._arrival.record()

    def read(self) -> bool:
        """Whether it is set; waits for the work before it, not after it."""
        if self.is_late:
            self._arrival.synchronize()
        return bool(self._value.tolist()[0])
