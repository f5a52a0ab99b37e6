"""What a run has left in its work folder: config, curves, checkpoints."""

import json
from pathlib import Path
from typing import Any

_UNITS = 1 << 20


def find_config(folder: Path, named: str | None) -> str:
    """The config of a run: the one that is named, or the newest in its folder.

    Raises:
        ConfigError: There is no such folder, or no config in it.
    """
    from freeanchor.engine import ConfigError

    if not folder.is_dir():
        raise ConfigError(f'there is no work folder {folder}.')
    found = sorted(folder.glob('*.py'), key=lambda x: x.stat().st_mtime)
    if named is None and not found:
        raise ConfigError(
            f'{folder} has no config, which a run leaves there: is it a work folder? '
            'If so, name the config with --config.'
        )
    return named or str(found[-1])


def read_curves(folder: Path) -> dict[str, list[dict[str, float]]]:
    """What was logged while the run went on, over all times it was started.

    A start that goes on from an earlier step replaces what was logged after it.

    Returns:
        ``'training'``, a dict every few steps, with ``step``, ``loss`` and its parts,
        ``lr``; ``'validation'``, a dict each, with ``step``, an epoch or iteration.

    Raises:
        ConfigError: A log is damaged.
    """
    training: list[dict] = []
    validation: list[dict] = []
    for path in sorted(folder.glob('*/vis_data/scalars.json')):
        lines = [x for x in read_lines(path) if 'step' in x]
        _continue(training, [x for x in lines if 'loss' in x])
        _continue(validation, [x for x in lines if any('mAP' in key for key in x)])
    return dict(training=training, validation=validation)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a log; without the last if a killed run wrote half of it.

    Raises:
        ConfigError: Another line is damaged.
    """
    from freeanchor.engine import ConfigError

    texts = path.read_text(encoding='utf-8', errors='replace').splitlines()
    lines = []
    for number, text in enumerate(texts, start=1):
        try:
            if text.strip():
                lines.append(json.loads(text))
        except ValueError as error:
            if number < len(texts):
                raise ConfigError(
                    f'{path}, line {number}: it is damaged ({error}); remove that line.'
                ) from error
    return lines


def _continue(known: list[dict], lines: list[dict]) -> None:
    if lines:
        known[:] = [x for x in known if x['step'] < lines[0]['step']] + lines


def list_checkpoints(folder: Path) -> list[dict[str, Any]]:
    """The checkpoints of a run, the newest last, with what they are."""
    last = folder / 'last_checkpoint'
    newest = Path(last.read_text().strip()).name if last.is_file() else ''
    found = sorted(folder.glob('*.pth'), key=lambda x: x.stat().st_mtime)
    return [
        dict(
            name=path.name,
            megabytes=round(path.stat().st_size / _UNITS, 1),
            best=path.name.startswith('best_'),
            last=path.name == newest,
        )
        for path in found
    ]


def choose_checkpoint(folder: Path, named: str) -> str:
    """A checkpoint by its path, or ``'best'`` or ``'last'`` of the folder.

    Raises:
        ConfigError: The folder has none.
    """
    from freeanchor.engine import ConfigError
    from freeanchor.engine.command_line import checked_checkpoint

    if named not in ('best', 'last'):
        return checked_checkpoint(named)
    found = [x['name'] for x in list_checkpoints(folder) if x[named]]
    if not found:
        raise ConfigError(f'--checkpoint {named}: {folder} has no such checkpoint.')
    return str(folder / found[-1])


def best_of(validation: list[dict[str, float]]) -> dict[str, Any] | None:
    """The highest AP of all validations, and at which step it was."""
    scored = [
        (value, x['step'])
        for x in validation
        for key, value in x.items()
        if key.endswith('bbox_mAP') and value == value
    ]
    if not scored:
        return None
    value, step = max(scored)
    return dict(AP=value, step=step)
