"""What is changed in the copy of an annotation file, and the list of it."""

from typing import Any


def note(changes: list[dict[str, Any]], change: str, entry: Any, why: str) -> None:
    """Add to the list what happens to an entry, which is given as it was."""
    changes.append(dict(change=change, entry=entry, why=why))


def rename(annotations: list[dict], key: str, new_id: dict[Any, Any]) -> None:
    """Let annotations refer to other images or categories, by ``key``."""
    for i, annotation in enumerate(annotations):
        value = annotation.get(key)
        if isinstance(value, int | str) and value in new_id:
            annotations[i] = {**annotation, key: new_id[value]}
