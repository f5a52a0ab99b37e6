"""Read a checkpoint file without running anything that it holds."""

import pickle
import re
from pathlib import Path
from typing import Any

import torch
from mmengine.runner import CheckpointLoader
from torch import Tensor

from .stand_ins import STAND_INS, without_stand_ins
from .weights import CheckpointError, fetch, published_url

# What the unpickler says of a sound file that asks for more than data.
_FORBIDDEN = re.compile(
    r'GLOBAL \w\S*|.* (?:is|are) refused|.*call reduce.*|Can only.*'
)
_RESUMED_AS_CODE = 'config'  # MMEngine's resume runs meta['config'] as Python


def read_checkpoint(path: str | Path, map_location: Any = 'cpu') -> dict[str, Any]:
    """The contents of a ``.pth`` or ``.safetensors`` file.

    Pickles are read by torch's restricted unpickler, with no way round it:
    tensors, numbers, strings, lists, dicts, and the numpy values and log
    histories of MMEngine's own checkpoints.

    Args:
        path: The file.
        map_location: Device of the tensors, as :func:`torch.load` takes it.

    Returns:
        A dict of tensors by name, or one that has it under ``'state_dict'``.

    Raises:
        FileNotFoundError: There is no such file.
        CheckpointError: The file is empty, damaged, no checkpoint, or holds
            what could run code.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        raise CheckpointError(f'{path} is a folder, not a checkpoint file.')
    if not path.is_file():
        raise FileNotFoundError(f'There is no checkpoint file {path}.')
    if path.stat().st_size == 0:
        raise CheckpointError(f'{path} is empty: writing or copying it was cut off.')
    if path.suffix == '.safetensors':
        return _read_safetensors(path)
    return _checked(_read_pickle(path, map_location), path)


def weights_of(checkpoint: dict[str, Any]) -> dict[str, Tensor]:
    """The tensors of a model in what :func:`read_checkpoint` returned."""
    return checkpoint.get('state_dict', checkpoint)


def _read_safetensors(path: Path) -> dict[str, Any]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError:
        raise CheckpointError(
            f'{path} needs the package safetensors: pip install safetensors'
        ) from None
    try:
        return load_file(path)
    except SafetensorError as error:
        raise CheckpointError(f'{path} is damaged or cut off: {error}') from error


def _read_pickle(path: Path, map_location: Any) -> Any:
    try:
        with torch.serialization.safe_globals(STAND_INS):
            checkpoint = torch.load(path, map_location, weights_only=True)
        return without_stand_ins(checkpoint)
    except Exception as error:
        # Damaged files fail in as many ways as there are bytes.
        raise CheckpointError(_why(path, error)) from error


def _why(path: Path, error: Exception) -> str:
    text = str(error)
    forbidden = _FORBIDDEN.search(text)
    if isinstance(error, pickle.UnpicklingError) and forbidden:
        return (
            f'{path} was not loaded: it holds more than data, which could run code: '
            f'{forbidden[0]}. Where the file is trusted, save its state_dict alone.'
        )
    with path.open('rb') as file:
        head = file.read(64).lstrip().lower()
    if head.startswith((b'<!doctype', b'<html', b'version https://git-lfs')):
        return f'{path} is a text file, not a checkpoint: download it again.'
    # The unpickler's own words stand before or behind torch's advice.
    reason = (
        text.split('WeightsUnpickler error: ')[-1].strip().split('\n')[0].split('. ')[0]
    )
    return f'{path} is damaged or no checkpoint: {reason or type(error).__name__}'


def _checked(checkpoint: Any, path: Path) -> dict[str, Any]:
    """A dict that MMEngine can take weights from, or an error."""
    if not isinstance(checkpoint, dict):
        kind = type(checkpoint).__name__
        raise CheckpointError(f'{path} holds a {kind}, not a dict of tensors.')
    if 'state_dict' not in checkpoint and isinstance(checkpoint.get('model'), dict):
        checkpoint['state_dict'] = checkpoint.pop('model')
    weights = weights_of(checkpoint)
    if not isinstance(weights, dict) or not any(
        isinstance(x, Tensor) for x in weights.values()
    ):
        keys = ', '.join(map(str, list(checkpoint)[:6]))
        raise CheckpointError(f'{path} holds no weights; its keys are: {keys}')
    if isinstance(checkpoint.get('meta'), dict):
        checkpoint['meta'].pop(_RESUMED_AS_CODE, None)
    return checkpoint


def load_from_local(filename: str, map_location: Any = None) -> dict[str, Any]:
    return read_checkpoint(filename, map_location)


def load_from_url(filename: str, map_location: Any = None) -> dict[str, Any]:
    return read_checkpoint(fetch(published_url(filename)), map_location)


def load_from_nowhere(filename: str, map_location: Any = None) -> dict[str, Any]:
    scheme = filename.split('://')[0]
    raise CheckpointError(
        f'{filename}: {scheme}:// is not supported; give the path of a file.'
    )


# MMEngine asks these for load_from, resume and init_cfg alike.
CheckpointLoader.register_scheme('', load_from_local, force=True)
CheckpointLoader.register_scheme(
    ['http://', 'https://', 'torchvision://', 'modelzoo://']
    + ['open-mmlab://', 'openmmlab://'],
    load_from_url,
    force=True,
)
CheckpointLoader.register_scheme(
    ['pavi://', 'mmcls://', r'(\S+\:)?s3://', r'(\S+\:)?petrel://'],
    load_from_nowhere,
    force=True,
)
