"""Find misspelt names in a config before anything is built from it."""

from collections.abc import Iterable
from typing import Any

from mmengine import registry as mmengine
from mmengine.registry import Registry

from freeanchor.registry import find_registered, known_types, knows_scope

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
    _check_custom_hooks(cfg.get('custom_hooks') or ())
    for key, value in cfg.items():
        name = vocabulary.TOP_REGISTRY_NAMES.get(key)
        _check(value, key, key, vocabulary.registry_of(name) if name else None)


def _check(value: Any, path: str, key: str, registry: Registry | None) -> None:
    """Check ``value``, which stands at ``path`` under ``key``."""
    if isinstance(value, list | tuple):
        for i, item in enumerate(value):
            _check(item, f'{path}.{i}', key, registry)
    _check_name(value, path, key)
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


def _check_custom_hooks(hooks: Any) -> None:
    for i, hook in enumerate([hooks] if isinstance(hooks, str) else hooks):
        if isinstance(hook, str):
            raise ConfigError(
                f'custom_hooks.{i}: {hook!r} is text, not a dict. On a command line: '
                "--cfg-options \"custom_hooks=[{'type': 'MatchingHook'}]\"."
            )


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
    """The class that ``type`` names; nothing is imported in search of it."""
    if callable(kind):  # put there by a config that is Python
        return kind
    if not isinstance(kind, str):
        raise ConfigError(f'{path}.type: {kind!r} is no name of a class.')
    if scope not in (None, 'freeanchor', 'mmengine'):
        kind = f'{scope}.{kind}'
    for candidate in _candidates(registry):
        found = find_registered(candidate, kind)
        if found is not None:
            return found
    what = 'class' if registry is None else registry.name
    if '.' in kind:
        raise ConfigError(
            f'{path}.type: no {what} {kind!r} is registered, and nothing else is '
            'built: register it in a module that custom_imports of a .py config names.'
        )
    valid = known_types(registry)
    raise ConfigError(
        f'{path}.type: no {what} is called {kind!r}: {did_you_mean(kind, valid)}'
    )


def _candidates(registry: Registry | None) -> list[Registry]:
    """Where a name may be registered that ``registry`` is asked for."""
    if registry is vocabulary.registry_of('FUNCTIONS'):
        # MMEngine asks its own for these, and that imports what it does not know.
        return [registry._get_root_registry()]
    everywhere = [vocabulary.registry_of(x) for x in _registry_names()]
    return everywhere if registry is None else [registry, *everywhere]


def _check_name(value: Any, path: str, key: str) -> None:
    """Check a value that a class uses as a ``type``, or a project's name."""
    if key in ('_scope_', 'default_scope') and value is not None:
        if not isinstance(value, str) or not knows_scope(value):
            raise ConfigError(
                f'{path}: no project {value!r} has been imported: custom_imports of a '
                '.py config does so.'
            )
    elif key in vocabulary.TYPE_ARGUMENTS and not isinstance(value, dict | None):
        name = vocabulary.TYPE_ARGUMENTS[key]
        _find(value, None, path, vocabulary.registry_of(name))
    elif key.endswith('_type') and isinstance(value, str) and '.' in value:
        _find(value, None, path, None)


def _registry_names() -> list[str]:
    return [x for x in vars(mmengine) if isinstance(getattr(mmengine, x), Registry)]
