import shutil
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from torch import nn

from freeanchor.engine import use_compile
from freeanchor.engine.compilation import BUCKET, LIMIT, compile_network
from tests.models.detectors import small_detector


def test_compiling_gives_batches_few_shapes() -> None:
    cfg = Config(dict(model=dict(data_preprocessor=dict(pad_size_divisor=32))))
    use_compile(cfg)
    assert cfg.compile == dict(dynamic=False)
    assert cfg.model.data_preprocessor.bucket == BUCKET


def test_what_the_config_says_is_kept() -> None:
    model = dict(data_preprocessor=dict(bucket=64))
    cfg = Config(dict(model=model, compile=dict(mode='max-autotune')))
    use_compile(cfg)
    assert cfg.compile == dict(mode='max-autotune')
    assert cfg.model.data_preprocessor.bucket == 64


@pytest.fixture
def dynamo():
    limit = 'recompile_limit'
    if not hasattr(torch._dynamo.config, limit):
        limit = 'cache_size_limit'
    before = getattr(torch._dynamo.config, limit)
    torch._dynamo.reset()
    yield SimpleNamespace(limit=lambda: getattr(torch._dynamo.config, limit))
    setattr(torch._dynamo.config, limit, before)
    torch._dynamo.reset()


def maps(model: nn.Module, images: torch.Tensor) -> list[torch.Tensor]:
    return list(model.neck(model.backbone(images)))


def test_keys_stay_and_the_number_of_compilations_is_bounded(dynamo) -> None:
    model = small_detector()
    keys = list(model.state_dict())
    compile_network(model, dict(backend='eager'))
    assert list(model.state_dict()) == keys
    assert dynamo.limit() == LIMIT


def test_traced_values_and_gradients_are_the_plain_ones(dynamo) -> None:
    """Traced by dynamo and by autograd, not yet made into machine code."""
    plain, traced = small_detector(), small_detector()
    traced.load_state_dict(plain.state_dict())
    compile_network(traced, dict(backend='aot_eager', dynamic=False))
    images = torch.randn(1, 3, 64, 64).contiguous(memory_format=torch.channels_last)
    for model in (plain, traced):
        model.train()
        sum(x.square().mean() for x in maps(model, images)).backward()
    for found, expected in zip(traced.parameters(), plain.parameters()):
        if expected.grad is not None:
            difference = (found.grad - expected.grad).norm()
            assert difference <= 1e-4 * expected.grad.norm() + 1e-8


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which('g++'), reason='needs a C++ compiler')
def test_compiled_values_are_the_plain_ones(dynamo) -> None:
    """Relative tolerance 1e-4: operators are fused and their sums reordered."""
    plain = small_detector().neck
    compiled = nn.Module()
    compiled.neck = small_detector().neck
    compiled.neck.load_state_dict(plain.state_dict())
    compile_network(compiled, True)
    inputs = [torch.randn(1, c, 512 // c, 512 // c) for c in (64, 128, 256, 512)]
    for found, expected in zip(compiled.neck(inputs), plain(inputs)):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
