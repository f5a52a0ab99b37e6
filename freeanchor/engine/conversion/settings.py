"""What the config text in a checkpoint tells of the weights beside it."""

import ast
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..config_text import parse_config_text
from ..naming import ConfigError

_KINDS = {
    'FreeAnchorRetinaHead': 'free_anchor',
    'RetinaHead': 'retinanet',
    'ATSSHead': 'atss',
    'PAAHead': 'paa',
    'FreeAnchorLoss': 'free_anchor',
    'RetinaLoss': 'retinanet',
    'ATSSLoss': 'atss',
    'PAALoss': 'paa',
}
_STDS = re.compile(r'target_stds=(\[[\d., ]+\])')
_PLAIN = (1.0, 1.0, 1.0, 1.0)  # where a config of MMDetection does not say


@dataclass(frozen=True)
class Settings:
    """Of a training, as far as its checkpoint says.

    Args:
        stds: What box deltas are divided by.
        kind: Start of the names of our configs: ``'retinanet'``, ``'free_anchor'``...
        style: The trunk's, ``'caffe'`` or ``'pytorch'``.
    """

    stds: tuple[float, ...] | None = None
    kind: str | None = None
    style: str | None = None


def settings_of(checkpoint: Mapping[str, Any]) -> Settings:
    """Read from ``meta['cfg']`` (3.x and ours) or the text of 2.x; never executed."""
    meta = checkpoint.get('meta')
    meta = meta if isinstance(meta, Mapping) else {}
    if 'box_stds' in meta:  # written by our converter; in .safetensors a text
        stds = meta['box_stds']
        return Settings(_four(json.loads(stds) if isinstance(stds, str) else stds))
    text = meta.get('cfg') or checkpoint.get('config_text')
    try:
        model = parse_config_text(_assignment(text, 'model')).get('model')
        return _settings(model) if isinstance(model, dict) else Settings()
    except (ConfigError, SyntaxError, ValueError):
        return Settings(_last_stds(str(text)))


def _last_stds(text: str) -> tuple[float, ...] | None:
    """Of a text that is no program: 2.x at first wrote its files one after another."""
    found = _STDS.findall(text)
    return _four(ast.literal_eval(found[-1])) if found else None


def _assignment(text: Any, name: str) -> str:
    """The line that sets ``name``; that of 2.x has others that are no plain values.

    Raises:
        ValueError: There are several, of a config and its bases.
    """
    found = [
        ast.unparse(node)
        for node in ast.parse(text if isinstance(text, str) else '').body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name
    ]
    if len(found) > 1:
        raise ValueError(f'{name} is set {len(found)} times')
    return found[0] if found else ''


def _settings(model: dict) -> Settings:
    head = _dict(model, 'bbox_head')
    coder = _dict(head, 'bbox_coder')
    stds = coder.get('stds', coder.get('target_stds', _PLAIN))
    kind = _dict(model, 'loss').get('type') or head.get('type')
    return Settings(
        _four(stds),
        _KINDS.get(str(kind)),
        _dict(model, 'backbone').get('style'),
    )


def _four(stds: Any) -> tuple[float, ...] | None:
    if not isinstance(stds, list | tuple) or len(stds) != len(_PLAIN):
        return None
    numbers = [x for x in stds if isinstance(x, int | float) and x > 0]
    return tuple(map(float, numbers)) if len(numbers) == len(stds) else None


def _dict(value: dict, key: str) -> dict:
    found = value.get(key)
    return found if isinstance(found, dict) else {}
