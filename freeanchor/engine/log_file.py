"""The log of numbers, of which a full disk takes lines and not the run."""

from typing import Any

from mmengine import visualization
from mmengine.logging import MMLogger

from freeanchor.registry import VISBACKENDS


@VISBACKENDS.register_module()
class LocalVisBackend(visualization.LocalVisBackend):
    """MMEngine's; a line that cannot be written is left out, with a warning.

    Arguments are those of MMEngine's. It warns when it begins to fail, and says
    how many lines are missing when it can write again.
    """

    _missing = 0

    def _dump(self, value_dict: dict, file_path: str, file_format: str) -> None:
        try:
            super()._dump(value_dict, file_path, file_format)
        except OSError as error:
            if self._missing == 0:
                self._warn(f'{file_path} was not written ({error}): training goes on.')
            self._missing += 1
            return
        if self._missing:
            self._warn(f'{file_path} is written again; it lacks {self._missing} lines.')
            self._missing = 0

    def _warn(self, text: Any) -> None:
        MMLogger.get_current_instance().warning(text)
