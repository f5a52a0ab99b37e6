"""Read what ``tools/test.py --out F.pkl`` has written, as data."""

from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from .naming import ConfigError
from .pickled_data import ForbiddenError, Name, read_pickle
from .plain_values import finished
from .stand_ins import TABLE, Storage
from .torch_files import read_older

_NEEDED = {'img_id', 'pred_instances'}
_ROOM = 16 << 20  # bytes, beside what is in proportion to the file


def read_detections(path: Path) -> list[dict[str, Any]]:
    """The samples of a test, one a tested image.

    Nothing in the file is run: it is read as data, and refused if it is more.

    Returns:
        A dict for each image, with ``img_id``, ``img_path``, ``ori_shape`` (height,
        width) and ``pred_instances``: ``bboxes (n, 4)`` xyxy in pixels of the image
        as stored, ``scores (n,)``, ``labels (n,)``.

    Raises:
        ConfigError: There is no such file, or it is another.
    """
    if not path.is_file():
        raise ConfigError(f'there is no file {path}: tools/test.py --out writes it.')
    try:
        samples = _read(path)
    except ForbiddenError as error:
        raise ConfigError(
            f'{path} was not read: it holds {error}, which detections do not need. '
            'Write it anew with tools/test.py --out.'
        ) from error
    except Exception as error:  # of a damaged pickle, any
        raise ConfigError(
            f'{path} is damaged, or no pickle of detections ({error}): write it anew '
            'with tools/test.py --out.'
        ) from error
    if not isinstance(samples, list) or not all(
        isinstance(x, dict) and set(x) >= _NEEDED for x in samples
    ):
        raise ConfigError(
            f'{path} holds no detections: a list with img_id and pred_instances of '
            'each image is expected, as tools/test.py --out writes it.'
        )
    return samples


def _read(path: Path) -> Any:
    size = path.stat().st_size
    room = 16 * size + _ROOM
    with path.open('rb') as file:
        value = read_pickle(file, {**TABLE, **_IN_PICKLE}, room)
    return finished(value, torch.device('cpu'), room)


def _storage(content: bytes) -> Storage:
    """The numbers of a tensor: a file of the older format within the pickle."""
    return read_older(BytesIO(content), len(content))


_IN_PICKLE = {
    'torch.storage._load_from_bytes': Name('torch.storage._load_from_bytes', _storage)
}
