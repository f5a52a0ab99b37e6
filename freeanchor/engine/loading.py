"""Read a checkpoint file without running anything that it holds."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.runner import CheckpointLoader
from torch import Tensor

from .pickled_data import ForbiddenError
from .torch_files import is_tar, read_bare_pickle, read_torch_file
from .trust import is_trusted, read_trusted
from .weights import CheckpointError, check_digest, fetch, published_url

_RESUMED_AS_CODE = 'config'  # MMEngine's resume runs meta['config'] as Python
_LONGEST_HEADER = 100 << 20  # bytes of the description in a .safetensors file


def read_checkpoint(path: str | Path, map_location: Any = 'cpu') -> dict[str, Any]:
    """The contents of a ``.pth``, ``.safetensors`` or detectron2's ``.pkl`` file.

    Nothing in the file is run: it may hold tensors, numbers, strings, lists,
    dicts, and the numpy values and log histories of MMEngine's own checkpoints.
    Digits of a SHA-256 at the end of the file's name are checked first. Only a
    file named by :func:`freeanchor.engine.trust.trust_checkpoint` is unpickled
    in full.

    Args:
        path: The file.
        map_location: Device of the tensors; None is the CPU.

    Returns:
        A dict of tensors by name, or one that has it under ``'state_dict'``. The
        config text of MMDetection 2.x is under ``'config_text'``.

    Raises:
        FileNotFoundError: There is no such file.
        CheckpointError: The file is empty, damaged, no checkpoint, not the one
            that its name says, or holds what could run code.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        raise CheckpointError(f'{path} is a folder, not a checkpoint file.')
    if not path.is_file():
        raise FileNotFoundError(f'There is no checkpoint file {path}.')
    if path.stat().st_size == 0:
        raise CheckpointError(f'{path} is empty: writing or copying it was cut off.')
    check_digest(path)
    if path.suffix == '.safetensors':
        return _read_safetensors(path, map_location or 'cpu')
    if is_trusted(path):
        return _checked(read_trusted(path, map_location), path)
    return _checked(_read_pickle(path, map_location or 'cpu'), path)


def weights_of(checkpoint: dict[str, Any]) -> dict[str, Tensor]:
    """The tensors of a model in what :func:`read_checkpoint` returned."""
    return checkpoint.get('state_dict', checkpoint)


def _read_safetensors(path: Path, device: Any) -> dict[str, Any]:
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError:
        raise CheckpointError(
            f'{path} needs the package safetensors: pip install safetensors'
        ) from None
    with path.open('rb') as file:
        length = int.from_bytes(file.read(8), 'little')
    if length > min(path.stat().st_size - 8, _LONGEST_HEADER):
        raise CheckpointError(
            f'{path} is damaged or cut off: its header would have {length} bytes.'
        )
    try:
        with safe_open(path, 'pt', device=str(device)) as archive:
            names = list(archive.keys())
            weights = {name: archive.get_tensor(name) for name in names}
            meta = dict(archive.metadata() or {})
    except (SafetensorError, OSError, RuntimeError, ValueError, KeyError) as error:
        raise CheckpointError(f'{path} is damaged or cut off: {error}') from error
    return dict(state_dict=weights, meta=meta)


def _read_pickle(path: Path, device: Any) -> Any:
    if is_tar(path):
        raise CheckpointError(
            f'{path} is of the tar format that torch had before 0.2 and was not '
            'loaded: save it again with a newer torch.'
        )
    try:
        if path.suffix == '.pkl':
            return read_bare_pickle(path)
        return read_torch_file(path, device)
    except ForbiddenError as error:
        raise CheckpointError(
            f'{path} was not loaded: it holds more than data, which could run code: '
            f'{str(error)[:200]!r}. Save its state_dict alone, or, if you trust who '
            'made it as you trust a program, give --trust-checkpoint.'
        ) from None
    except Exception as error:
        # Damaged files fail in as many ways as there are bytes.
        raise CheckpointError(_why(path, error)) from error


def _why(path: Path, error: Exception) -> str:
    with path.open('rb') as file:
        head = file.read(64).lstrip().lower()
    if head.startswith((b'<!doctype', b'<html', b'version https://git-lfs')):
        return f'{path} is a text file, not a checkpoint: download it again.'
    reason = str(error)[:200].split('\n')[0]
    return f'{path} is damaged or no checkpoint: {reason or type(error).__name__}'


def _checked(checkpoint: Any, path: Path) -> dict[str, Any]:
    """A dict that MMEngine can take weights from, or an error."""
    if not isinstance(checkpoint, dict):
        kind = type(checkpoint).__name__
        raise CheckpointError(f'{path} holds a {kind}, not a dict of tensors.')
    if 'state_dict' not in checkpoint and isinstance(checkpoint.get('model'), dict):
        checkpoint['state_dict'] = _as_tensors(checkpoint.pop('model'))
    weights = weights_of(checkpoint)
    if not isinstance(weights, dict) or not any(
        isinstance(x, Tensor) for x in weights.values()
    ):
        keys = ', '.join(map(str, list(checkpoint)[:6]))
        raise CheckpointError(f'{path} holds no weights; its keys are: {keys}')
    if isinstance(checkpoint.get('meta'), dict):
        text = checkpoint['meta'].pop(_RESUMED_AS_CODE, None)
        if isinstance(text, str):
            checkpoint['config_text'] = text
    return checkpoint


def _as_tensors(weights: dict[str, Any]) -> dict[str, Any]:
    """detectron2's ``.pkl`` files hold arrays of numpy."""
    return {
        name: torch.tensor(x) if isinstance(x, np.ndarray) else x
        for name, x in weights.items()
    }


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
