"""What a change of a config does to a training that goes on."""

import os
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

# Keys that say where things are, how fast they come and what is written about
# them. A run gives the same weights whatever they are.
_HARMLESS = (
    'accept_config_changes',
    'compile*',
    'custom_imports*',
    'default_hooks.*',
    'env_cfg.*',
    'experiment_name',
    'find_unused_parameters',
    'launcher',
    'load_from',
    'log_level',
    'log_processor*',
    'model.*init_cfg*',  # the checkpoint's weights take their place
    'model_wrapper_cfg*',
    'randomness.deterministic',
    'resume',
    'runner_type',
    'test_*',
    'tta_*',
    'train_cfg.dynamic_intervals*',
    'train_cfg.val_begin',
    'train_cfg.val_interval',
    'val_dataloader.batch_size',
    'visualizer*',
    'work_dir',
    '*.backend_args*',
    '*.data_root',
    '*_dataloader.num_workers',
    '*_dataloader.persistent_workers',
    '*_dataloader.pin_memory',
    '*_dataloader.prefetch_factor',
    '*_dataloader.timeout',
)
# Hooks among the default ones that change what is trained.
_SERIOUS_HOOKS = tuple(
    f'default_hooks.*{x}*' for x in ('early', 'ema', 'param_scheduler', 'sampler_seed')
)
# Another folder is harmless, another name is another data set.
_PATHS = ('*.ann_file', '*.data_prefix.*')
# Schedules that do not depend on where training ends.
_OPEN_SCHEDULES = ('ConstantLR', 'ExponentialLR', 'MultiStepLR', 'StepLR')


def kind_of(key: str, old: Any, new: Any) -> str:
    """``'harmless'`` if the weights do not depend on it, else ``'serious'``.

    Args:
        key: The place in the config, with dots.
        old: The value before.
        new: The value after.
    """
    if _matches(key, _HARMLESS) and not _matches(key, _SERIOUS_HOOKS):
        return 'harmless'
    both = isinstance(old, str) and isinstance(new, str)
    if both and _matches(key, _PATHS) and _name(old) == _name(new):
        return 'harmless'
    return 'serious'


def is_open_ended(cfg: Mapping[str, Any]) -> bool:
    """Whether every schedule is the same however long training takes."""
    schedules = cfg.get('param_scheduler') or []
    schedules = [schedules] if isinstance(schedules, Mapping) else list(schedules)
    return all(
        isinstance(x, Mapping) and ('end' in x or x.get('type') in _OPEN_SCHEDULES)
        for x in schedules
    )


def _matches(key: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(key, x) for x in patterns)


def _name(path: str) -> str:
    return os.path.basename(os.path.normpath(path))
