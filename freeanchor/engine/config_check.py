"""Find misspelt names in a config before anything is built from it."""

from collections.abc import Iterable
from typing import Any

from mmengine import registry as mmengine
from mmengine.registry import Registry

from . import config_vocabulary as vocabulary
from .naming import ConfigError, did_you_mean, is_typo
from .signatures import accepted_arguments

_ALWAYS_VALID = frozenset({'type', '_scope_'})


def check_config(cfg: Any) -> None:
    """Look up every ``type`` of a config and the arguments that stand beside it.

    Args:
        cfg: A :class:`mmengine.config.Config`, or a dict like one.

    Raises:
        ConfigError: A key that nothing reads, a ``type`` that no registry
            knows, or an argument that the class does not take. Names the
            place and the nearest valid name.
    """
    for key, value in cfg.items():
        name = vocabulary.TOP_REGISTRY_NAMES.get(key)
        _check(value, key, key, vocabulary.registry_of(name) if name else None)


def _check(value: Any, path: str, key: str, registry: Registry | None) -> None:
    """Check ``value``, which stands at ``path`` under ``key``."""
    if isinstance(value, list | tuple):
        for i, item in enumerate(value):
            _check(item, f'{path}.{i}', key, registry)
    if not isinstance(value, dict):
        return
    if key in vocabulary.REGISTRY_NAMES:
        registry = vocabulary.registry_of(vocabulary.REGISTRY_NAMES[key])
    if key in vocabulary.PLAIN_ARGUMENTS:
        plain = vocabulary.PLAIN_ARGUMENTS[key]
        _check_arguments(value, path, 'nothing here reads', plain)
    if key in vocabulary.OPAQUE:
        return
    if path == 'default_hooks':
        _check_hooks(value)
        return
    _check_type(value, path, key, registry)
    for name, item in value.items():
        _check(item, f'{path}.{name}', name, registry)


def _check_hooks(hooks: dict) -> None:
    for name, hook in hooks.items():
        if name not in vocabulary.DEFAULT_HOOKS and (
            is_typo(name, vocabulary.DEFAULT_HOOKS) or not isinstance(hook, dict)
        ):
            raise ConfigError(
                f'default_hooks.{name}: no hook of that name is a default: '
                f'{did_you_mean(name, vocabulary.DEFAULT_HOOKS)} '
                'Hooks of your own go into custom_hooks.'
            )
        # Each hook is like an item of a list of hooks.
        _check(hook, f'default_hooks.{name}', 'default_hooks', None)


def _check_type(value: dict, path: str, key: str, registry: Registry | None) -> None:
    kind = value.get('type') or _default_type(value, path)
    if kind is None:
        if key in vocabulary.NEED_TYPE:
            raise ConfigError(f'{path}: no type is given: which class is it?')
        return
    target = _find(kind, value.get('_scope_'), path, registry)
    names, others = accepted_arguments(target)
    names = names | vocabulary.EXTRA_ARGUMENTS.get(key, set())
    # What a class hands on unseen may have any name, but hardly a slip's.
    checked = [x for x in value if not others or is_typo(x, names - {x})]
    reader = f'{getattr(target, "__name__", kind)} takes no argument'
    _check_arguments(checked, path, reader, names)


def _default_type(value: dict, path: str) -> str | None:
    if path == 'train_cfg' and 'by_epoch' in value:
        return 'EpochBasedTrainLoop' if value['by_epoch'] else 'IterBasedTrainLoop'
    if path in ('val_evaluator', 'test_evaluator') and 'metrics' in value:
        return 'Evaluator'
    return vocabulary.DEFAULT_TYPES.get(path)


def _check_arguments(
    given: Iterable[str], path: str, reader: str, valid: set[str]
) -> None:
    for name in given:
        if name == '_delete_':
            raise ConfigError(
                f'{path}._delete_: there is nothing to replace here, the base '
                'config has no such key: leave _delete_ out.'
            )
        if name not in valid | _ALWAYS_VALID:
            raise ConfigError(
                f'{path}.{name}: {reader} {name!r}: {did_you_mean(name, valid)}'
            )


def _find(kind: Any, scope: str | None, path: str, registry: Registry | None) -> Any:
    """The class that ``type`` names."""
    if not isinstance(kind, str):
        return kind
    if scope not in (None, 'freeanchor', 'mmengine'):
        kind = f'{scope}.{kind}'
    if '.' in kind:  # of another project, or a class by its full path
        return _imported(kind, path, mmengine.MODELS if registry is None else registry)
    everywhere = [vocabulary.registry_of(x) for x in _registry_names()]
    for candidate in [registry, *everywhere]:
        known = _known_types(candidate)
        if kind in known:
            return known[kind]
    valid = _known_types(registry)
    what = 'class' if registry is None else registry.name
    raise ConfigError(
        f'{path}.type: no {what} is called {kind!r}: {did_you_mean(kind, valid)}'
    )


def _imported(kind: str, path: str, registry: Registry) -> Any:
    try:
        found = registry.get(kind)
    except Exception:
        found = None
    if found is None:
        raise ConfigError(f'{path}.type: {kind!r} cannot be imported.')
    return found


def _known_types(registry: Registry | None) -> dict[str, Any]:
    """The names a registry resolves, those of its parents included."""
    known: dict[str, Any] = {}
    while registry is not None:
        registry.import_from_location()
        known = {**registry.module_dict, **known}
        registry = registry.parent
    return known


def _registry_names() -> list[str]:
    return [x for x in vars(mmengine) if isinstance(getattr(mmengine, x), Registry)]
