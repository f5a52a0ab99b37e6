"""From an MMDetection config to ours."""

from typing import Any

from ..config_vocabulary import TOP_KEYS
from .data import convert_dataloader, convert_evaluator
from .models import convert_model
from .old_style import is_old, modernised
from .report import Report, Taken
from .surroundings import convert_surroundings

_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
_EVALUATORS = ('val_evaluator', 'test_evaluator')
_TTA = ('tta_model', 'tta_pipeline')
# Ours are others, and stand in the runtime config.
_OTHERS = ('default_scope', 'visualizer')


def convert_config(cfg: dict[str, Any], runtime: dict[str, Any]) -> tuple[dict, Report]:
    """Turn a config of MMDetection 2.x or 3.x into one of ours.

    Args:
        cfg: Plain values, bases merged.
        runtime: Our runtime config: hooks, logs, processes.

    Returns:
        Our config, and what was not carried over. With anything among the
        report's ``blocks`` it would train or find something else.
    """
    report = Report()
    cfg = modernised(cfg, report) if is_old(cfg) else cfg
    source = Taken(cfg, 'config', report)
    ours = dict(model=convert_model(source.take('model') or {}, report))
    for key in _LOADERS:
        if source.values.get(key):
            ours[key] = convert_dataloader(source.take(key), key, report)
    for key in _EVALUATORS:
        if source.values.get(key):
            ours[key] = convert_evaluator(source.take(key), key, report)
    ours.update(convert_surroundings(source, runtime, report))
    for key in _TTA:
        if source.take(key):
            report.note(f'{key}: give tools/test.py --tta clean')
    source.drop(*_OTHERS)
    for key, value in source.values.items():
        # What the runner does not read is a variable that others were written with.
        if key in TOP_KEYS and value is not None:
            report.note(f'{key} is left out')
    return ours, report
