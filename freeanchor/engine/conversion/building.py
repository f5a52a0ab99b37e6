"""A config's model for its names and shapes."""

from typing import Any

from freeanchor.registry import MODELS


def build_untrained(model: dict[str, Any]) -> Any:
    """The model of a config, without weights that would have to be downloaded.

    Args:
        model: The config's ``model``.
    """
    return MODELS.build(_without_pretrained(model))


def _without_pretrained(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    kept = {k: _without_pretrained(v) for k, v in node.items() if k != 'init_cfg'}
    if kept.get('type') == 'TimmBackbone':
        kept['pretrained'] = False
    return kept
