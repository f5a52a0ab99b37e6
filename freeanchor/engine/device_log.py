"""Log values that stay on the device until somebody reads them."""

from typing import Any

import torch
from mmengine.logging import HistoryBuffer, MessageHub
from torch import Tensor

MAX_WAITING = 4096
"""Values that wait at most, should nobody ever read them."""


class DeviceMessageHub(MessageHub):
    """MMEngine's message hub, without a wait for the device at each value.

    Tensors that are put in are kept as they are. Whoever looks at a log first
    has all of them fetched in one transfer, in the order they came, so that
    every number read is the number that MMEngine's hub would hold.
    """

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self._waiting: list[tuple[str, Tensor, int]] = []

    @classmethod
    def become_current(cls, name: str) -> MessageHub:
        """The hub ``name``, new unless it exists, as MMEngine's classes find it."""
        if not MessageHub.check_instance_created(name):
            # Their `get_instance` would make a hub of their own class.
            MessageHub._instance_dict[name] = cls(name)
        return MessageHub.get_instance(name)

    def update_scalar(
        self, key: str, value: Any, count: int = 1, resumed: bool = True
    ) -> None:
        if not isinstance(value, Tensor):
            super().update_scalar(key, value, count, resumed)
            return
        assert value.numel() == 1, f'{key} is no scalar: {tuple(value.shape)}'
        self._set_resumed_keys(key, resumed)
        self._waiting.append((key, value.detach().reshape(()), count))
        if len(self._waiting) >= MAX_WAITING:
            self.fetch()

    def fetch(self) -> None:
        """Move what waits to the CPU and into the histories."""
        waiting, self._waiting = self._waiting, []
        for (key, _, count), value in zip(waiting, _values([x for _, x, _ in waiting])):
            if key in self._log_scalars:
                self._log_scalars[key].update(value, count)
            else:
                self._log_scalars[key] = HistoryBuffer([value], [count])

    @property
    def log_scalars(self) -> dict:
        self.fetch()
        return super().log_scalars

    def get_scalar(self, key: str) -> HistoryBuffer:
        # The timer reads its own value each iteration: no need to wait for it.
        if key in self._log_scalars and all(key != x for x, _, _ in self._waiting):
            return self._log_scalars[key]
        return super().get_scalar(key)

    def state_dict(self) -> dict:
        self.fetch()
        return super().state_dict()

    def load_state_dict(self, state_dict: Any) -> None:
        self.fetch()
        super().load_state_dict(state_dict)


def _values(tensors: list[Tensor]) -> list[float]:
    """Python numbers of scalars, with one transfer for each device and dtype."""
    groups: dict[Any, list[int]] = {}
    for i, tensor in enumerate(tensors):
        groups.setdefault((tensor.device, tensor.dtype), []).append(i)
    found: dict[int, float] = {}
    for indices in groups.values():
        row = torch.stack([tensors[i] for i in indices]).tolist()
        found.update(zip(indices, row))
    return [found[i] for i in range(len(tensors))]
