"""The tool as a function, for processes that are forked with everything imported."""

import importlib.util
import os
import sys
from pathlib import Path

import cv2  # noqa: F401  (imported for the processes that are forked)
import torch

import freeanchor.boxes
import freeanchor.datasets
import freeanchor.engine
import freeanchor.evaluation
import freeanchor.losses
import freeanchor.models
import freeanchor.visualization  # noqa: F401

ROOT = Path(__file__).parents[2]


def train(arguments: list[str], output: Path, env: dict[str, str]) -> None:
    """Run tools/train.py as a program of its own does.

    The process leads a new group, works in the folder of ``output`` and writes
    everything into that file.
    """
    os.setsid()
    os.chdir(output.parent)
    os.environ.update(env)
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    torch.set_num_threads(1)
    path = ROOT / 'tools' / 'train.py'
    sys.argv = [str(path), *arguments]
    sys.path[:0] = [str(ROOT)]
    spec = importlib.util.spec_from_file_location('train_tool', path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    code = module.main()
    sys.stdout.flush()
    sys.exit(code)
