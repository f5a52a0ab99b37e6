"""Schedule, optimiser and hooks of an MMDetection 3.x config, in our terms."""

from typing import Any

from .report import Report, Taken

# Ours, whatever theirs: how it logs and draws, and what checks it.
_OUR_HOOKS = ('timer', 'param_scheduler', 'sampler_seed', 'visualization')
_CHECKPOINT = ('interval', 'by_epoch', 'max_keep_ckpts', 'save_best', 'rule')
_NEEDLESS_HOOKS = ('NumClassCheckHook', 'CheckInvalidLossHook')
_SAME_HOOKS = ('EMAHook', 'EarlyStoppingHook')
_SAME = (
    'train_cfg',
    'val_cfg',
    'test_cfg',
    'param_scheduler',
    'optim_wrapper',
    'auto_scale_lr',
    'env_cfg',
    'randomness',
    'log_level',
    'find_unused_parameters',
    'work_dir',
    'load_from',
    'resume',
)
_LEAST_KEPT = 2  # checkpoints; one damaged file must not be the only one


def convert_surroundings(source: Taken, runtime: dict, report: Report) -> dict:
    """All but the model and the data.

    Args:
        source: The config's top level; what is used is taken from it.
        runtime: Our own runtime config, which theirs changes in part.
        report: Where what cannot be carried goes.
    """
    ours = dict(runtime)
    for key in _SAME:
        value = source.take(key)
        if value is not None:
            ours[key] = value
    ours['default_hooks'] = _default_hooks(
        source.inner('default_hooks'), runtime['default_hooks']
    )
    processor = source.inner('log_processor')
    known = {
        k: processor.values[k] for k in ('window_size', 'by_epoch') if k in processor
    }
    ours['log_processor'] = {**runtime['log_processor'], **known}
    hooks = _custom_hooks(source.take('custom_hooks') or [], report)
    if hooks:
        ours['custom_hooks'] = hooks
    return ours


def _default_hooks(source: Taken, own: dict[str, dict]) -> dict[str, dict]:
    ours = {name: dict(hook) for name, hook in own.items()}
    logger = source.inner('logger')
    if 'interval' in logger:
        ours['logger']['interval'] = logger.take('interval')
    checkpoint = source.inner('checkpoint')
    for key in _CHECKPOINT:
        if checkpoint.values.get(key) is not None:
            ours['checkpoint'][key] = checkpoint.take(key)
    kept = ours['checkpoint'].get('max_keep_ckpts', -1)
    if 0 < kept < _LEAST_KEPT:
        ours['checkpoint']['max_keep_ckpts'] = _LEAST_KEPT
    checkpoint.drop('type')
    checkpoint.end(harmless=True)
    source.drop(*_OUR_HOOKS)
    source.end(harmless=True)
    return ours


def _custom_hooks(hooks: list[dict], report: Report) -> list[dict[str, Any]]:
    kept = []
    for hook in hooks:
        kind = hook.get('type')
        if kind in _SAME_HOOKS:
            kept.append(hook)
        elif kind not in _NEEDLESS_HOOKS:
            report.note(f'custom_hooks: {kind} is left out')
    return kept
