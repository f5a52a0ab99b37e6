"""What of a config was carried over, what was not, and what cannot be."""

from typing import Any

_NOTHING = object()


class Report:
    """Two lists of sentences about one conversion.

    ``notes`` tell of what was left out or is done in another way; ``blocks`` of
    what this package cannot do, so that the result would be another detector.
    """

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.blocks: list[str] = []

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def block(self, text: str) -> None:
        if text not in self.blocks:
            self.blocks.append(text)


class Taken:
    """A dict of a config whose keys are taken one by one, so that none is forgotten.

    Args:
        values: The dict; copied.
        path: Where it stands, with dots.
        report: Where what is not taken goes.
    """

    def __init__(self, values: dict | None, path: str, report: Report) -> None:
        self.values = dict(values or {})
        self.path = path
        self.report = report

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def take(self, key: str, default: Any = None) -> Any:
        """The value of ``key``, which is then no longer there."""
        return self.values.pop(key, default)

    def inner(self, key: str, default: dict | None = None) -> 'Taken':
        """The dict under ``key``."""
        values = self.take(key, default)
        if not isinstance(values, dict | None):
            self.report.block(f'{self.path}.{key}={_short(values)}')
            values = None
        return Taken(values, f'{self.path}.{key}', self.report)

    def expect(self, key: str, *allowed: Any) -> None:
        """Take ``key`` and say so if its value is none of ``allowed``."""
        value = self.take(key, _NOTHING)
        if value is not _NOTHING and _plain(value) not in map(_plain, allowed):
            self.report.block(f'{self.path}.{key}={value!r}')

    def drop(self, *keys: str) -> None:
        """Take what has no counterpart here and needs none."""
        for key in keys:
            self.take(key)

    def end(self, harmless: bool = False) -> None:
        """Report all that is left: as notes where it is ``harmless``."""
        for key, value in self.values.items():
            if value is not None and value is not False:
                tell = self.report.note if harmless else self.report.block
                tell(f'{self.path}.{key}={_short(value)}')


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + '...'
