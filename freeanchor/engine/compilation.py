"""``torch.compile`` for the network, with a bounded number of compilations."""

from typing import Any

import torch
from torch import nn

BUCKET = 128
"""Pixels: sides of a compiled model's batches are multiples of it."""
LIMIT = 64
"""Shapes that are compiled for; further ones run as they are written."""
PARTS = ('backbone', 'neck', 'bbox_head')


def use_compile(cfg: Any) -> None:
    """Change a config so that the network is compiled, in place.

    Batches are padded to multiples of 128 pixels unless the config says
    otherwise, because each shape of a batch is compiled for by itself.
    """
    if not cfg.get('compile'):
        cfg.compile = dict(dynamic=False)
    cfg.model.data_preprocessor.setdefault('bucket', BUCKET)


def compile_network(model: nn.Module, options: dict | bool) -> None:
    """Compile backbone, neck and head of ``model``, in place.

    The first batch of each shape then takes a minute or more. Loss and
    post-processing are left alone; keys of the state dict stay.

    Args:
        model: A detector; parts that it lacks are skipped.
        options: Arguments of ``torch.compile``, or True for ``dynamic=False``.
    """
    arguments = dict(dynamic=False) if options is True else dict(options or {})
    limit = 'recompile_limit'
    if not hasattr(torch._dynamo.config, limit):  # before torch 2.7
        limit = 'cache_size_limit'
    setattr(torch._dynamo.config, limit, LIMIT)
    for name in PARTS:
        part = getattr(model, name, None)
        if isinstance(part, nn.Module):
            part.compile(**arguments)
