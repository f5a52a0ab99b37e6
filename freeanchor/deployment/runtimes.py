"""What runs an exported file: each opener gives a function and the recipe's text."""

import inspect
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torchvision  # noqa: F401  its NMS is called by name
from torch import Tensor

from freeanchor.engine import ConfigError

from .program import INPUTS, OUTPUTS
from .recipe import METADATA_KEY
from .required import required

Opened = tuple[Callable[[Tensor, Tensor], Sequence[Tensor]], str | None]


def open_onnx(path: Path) -> Opened:
    """An ONNX file, run by onnxruntime on the CPU.

    Raises:
        ConfigError: onnxruntime is not installed, or cannot read the file.
    """
    runtime = required('onnxruntime', 'onnx')
    options = runtime.SessionOptions()
    options.log_severity_level = 3  # errors
    # As many threads as torch was given.
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = runtime.InferenceSession(
            str(path), options, providers=['CPUExecutionProvider']
        )
    except Exception as error:  # its errors have no class of their own in common
        raise ConfigError(f'onnxruntime cannot read {path}: {error}') from None

    def run(images: Tensor, sizes: Tensor) -> list[Tensor]:
        arrays = session.run(
            OUTPUTS, dict(zip(INPUTS, (images.numpy(), sizes.numpy())))
        )
        return [torch.from_numpy(x) for x in arrays]

    return run, session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)


def open_torch(path: Path) -> Opened:
    """A program of ``torch.export``, or a package that AOTInductor compiled.

    Raises:
        ConfigError: It is neither.
    """
    try:
        return _open_package(path) if _is_compiled(path) else _open_program(path)
    except (RuntimeError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ConfigError(f'torch cannot read {path}: {error}') from None


def _open_program(path: Path) -> Opened:
    files = {METADATA_KEY: ''}
    program = torch.export.load(path, extra_files=files)
    # Some guards tell sizes of 1 from others; what is computed is the same.
    unguarded = 'check_guards' in inspect.signature(program.module).parameters
    settings = dict(check_guards=False) if unguarded else {}
    return program.module(**settings), files[METADATA_KEY]


def _open_package(path: Path) -> Opened:
    package = torch._inductor.aoti_load_package(str(path))
    return package, package.get_metadata().get(METADATA_KEY)


def _is_compiled(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return any('data/aotinductor/' in name for name in archive.namelist())
