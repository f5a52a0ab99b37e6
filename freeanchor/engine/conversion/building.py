"""A config's model for its names and shapes."""

from typing import Any

from freeanchor.engine.signatures import accepted_arguments
from freeanchor.registry import MODELS, find_registered


def build_untrained(model: dict[str, Any]) -> Any:
    """The model of a config, without weights that would have to be downloaded.

    Every ``init_cfg`` is left out; what can be built ``pretrained`` is not.

    Args:
        model: The config's ``model``; not changed.
    """
    return MODELS.build(_without_pretrained(model))


def _without_pretrained(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    kept = {k: _without_pretrained(v) for k, v in node.items() if k != 'init_cfg'}
    target = find_registered(MODELS, kept['type']) if 'type' in kept else None
    if target is not None and 'pretrained' in accepted_arguments(target).names:
        kept['pretrained'] = False
    return kept
