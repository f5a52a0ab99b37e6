"""Files of weights alone, under a name that proves what is in them."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from .durable import write_atomically
from .naming import ConfigError

ENDINGS = ('.safetensors', '.pth')


def write_published(
    weights: dict[str, Tensor], meta: dict[str, Any], out: str | Path
) -> Path:
    """Write ``weights`` to ``out``, its digest in the name.

    Args:
        weights: Tensors by name.
        meta: Plain values; in a ``.safetensors`` file they become texts, JSON where
            they were none.
        out: A file that ends with ``.safetensors``, ``.pth`` or not at all.

    Returns:
        The file that was written: the first eight digits of its SHA-256 stand at
        the end of its name.

    Raises:
        ConfigError: See :func:`check_place`; or safetensors is not installed.
    """
    path, ending = check_place(out)
    # Each tensor by itself, without what else lay in its memory.
    own = {name: x.detach().clone() for name, x in weights.items()}
    content = _serialized(own, meta, ending)
    digits = hashlib.sha256(content).hexdigest()[:8]
    path = path.with_name(f'{path.stem}-{digits}{ending}')

    def write(file: BinaryIO) -> None:
        file.write(content)

    write_atomically(path, write)
    return path


def check_place(out: str | Path) -> tuple[Path, str]:
    """The path that ``out`` is, and its ending, ``.safetensors`` by default.

    Raises:
        ConfigError: It ends otherwise, or its folder does not exist.
    """
    path = Path(out)
    ending = path.suffix or ENDINGS[0]
    if ending not in ENDINGS or not path.parent.is_dir():
        raise ConfigError(
            f'{out}: give a {" or ".join(ENDINGS)} file in a folder that exists.'
        )
    return path, ending


def _serialized(weights: dict[str, Tensor], meta: dict[str, Any], ending: str) -> bytes:
    if ending == '.pth':
        file = io.BytesIO()
        torch.save(dict(meta=meta, state_dict=weights), file)
        return file.getvalue()
    try:
        from safetensors.torch import save
    except ImportError:
        raise ConfigError(
            'safetensors is not installed: pip install safetensors, or name a .pth file'
        ) from None
    weights = {name: x.contiguous() for name, x in weights.items()}
    # Metadata of this format are texts.
    texts = {
        key: x if isinstance(x, str) else json.dumps(x, default=str)
        for key, x in meta.items()
    }
    return save(weights, texts)
