"""Read a config file, with a readable error where it cannot work."""

import ast
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from . import config_vocabulary as vocabulary
from .config_check import check_config
from .config_options import apply_options, parse_options
from .data_config import SUFFIXES, read_data_config
from .naming import ConfigError, did_you_mean


def load_config(path: str | Path, options: Sequence[str] = ()) -> Config:
    """Read a config, set options in it, and check all names.

    A ``.py`` config is a program and is run; ``.json`` and ``.yaml`` are data.
    Variables that a config file only uses to write other keys (``data_root``)
    are not in the result.

    Args:
        path: The config file.
        options: ``KEY=VALUE``, as after ``--cfg-options``.

    Raises:
        ConfigError: No such file, a file that cannot be read, or a name in it
            that nothing knows.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f'no config file {path}: {_nearest_file(path)}')
    try:
        cfg = _read(path)
    except ConfigError:
        raise
    except Exception as error:
        reason = ' '.join(str(error).split())
        raise ConfigError(f'{path}: {type(error).__name__}: {reason}') from error
    variables = _take_variables(cfg, path)
    apply_options(cfg, parse_options(options), variables)
    check_config(cfg)
    return cfg


def _read(path: Path) -> Config:
    if path.suffix in SUFFIXES:
        values = read_data_config(path)
        return Config(values, cfg_text=path.read_text('utf-8'), filename=str(path))
    if path.suffix != '.py':
        raise ConfigError(f'{path}: a config is a .py, .json or .yaml file.')
    _check_bases(path)
    return Config.fromfile(path)


def _check_bases(path: Path) -> None:
    """Refuse what MMEngine would read as a base with more than data in it."""
    for base in _bases(path):
        if base.suffix != '.py':
            raise ConfigError(
                f'{path}: the base {base} is no .py file. MMEngine would run what a '
                'YAML base asks for; make it a .py config.'
            )
        if base.is_file():
            _check_bases(base)


def _nearest_file(path: Path) -> str:
    folder = path.parent if path.parent.is_dir() else Path('configs')
    names = [x.name for x in folder.glob('*.py')]
    return did_you_mean(path.name, names) + f' (in {folder})'


def _take_variables(cfg: Config, path: Path) -> dict[str, Any]:
    """Take out of ``cfg`` what is only there to write other keys with."""
    unknown = [x for x in cfg if x not in vocabulary.TOP_KEYS]
    lazy = path.suffix == '.py' and 'read_base' in path.read_text(encoding='utf-8')
    if not unknown or lazy:
        return {}  # a config that imports its bases is checked by Python
    used, own = _names_used(path), _names_used(path, bases=False)
    inherited = _names_set_by_bases(path)
    for name in unknown:
        if name not in used | vocabulary.CUSTOMARY_VARIABLES:
            raise ConfigError(
                f'{path}: nothing reads the key {name!r}: '
                f'{did_you_mean(name, vocabulary.TOP_KEYS)} '
                'A variable must be used in the file.'
            )
        if name in inherited and name in _names_set(path) and name not in own:
            raise ConfigError(
                f'{path}: setting {name!r} again has no effect, its base config '
                'has already used it: set the keys that were made from it.'
            )
    return {name: cfg.pop(name) for name in unknown}


def _tree(path: Path) -> ast.Module:
    text = path.read_text(encoding='utf-8') if path.suffix == '.py' else ''
    # MMEngine's {{_base_.name}} and {{fileBasename}} are no Python.
    return ast.parse(re.sub(r'\{\{\s*(?:_base_\.)?([\w.]+)\s*\}\}', r'\1', text))


def _assigned(tree: ast.Module) -> dict[str, ast.expr]:
    return {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _bases(path: Path) -> list[Path]:
    value = _assigned(_tree(path)).get('_base_')
    names = ast.literal_eval(value) if value is not None else []
    return [path.parent / x for x in ([names] if isinstance(names, str) else names)]


def _names_set(path: Path) -> set[str]:
    return set(_assigned(_tree(path)))


def _names_set_by_bases(path: Path) -> set[str]:
    names: set[str] = set()
    for base in filter(Path.is_file, _bases(path)):
        names |= _names_set(base) | _names_set_by_bases(base)
    return names


def _names_used(path: Path, bases: bool = True) -> set[str]:
    """Names that the file reads, and unless told otherwise those of its bases."""
    used = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            used.add(node.id)
        elif isinstance(node, ast.Attribute):  # _base_.name
            used.add(node.attr)
    if bases:
        for base in filter(Path.is_file, _bases(path)):
            used |= _names_used(base)
    return used
