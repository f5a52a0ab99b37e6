import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from torch import nn

from freeanchor.engine import ConfigError, use_amp
from freeanchor.engine import amp as amp_module


def config(**wrapper):
    return Config(
        dict(optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1), **wrapper))
    )


def test_the_forward_pass_runs_in_bfloat16_and_the_weights_stay_float32():
    model = nn.Linear(4, 2)
    settings = dict(type='Bfloat16OptimWrapper', optimizer=dict(type='SGD', lr=0.1))
    with DefaultScope.overwrite_default_scope('freeanchor'):
        wrapper = build_optim_wrapper(model, settings)
    before = model.weight.detach().clone()
    with wrapper.optim_context(model):
        out = model(torch.ones(1, 4))
    wrapper.update_params(out.float().sum())
    assert out.dtype is torch.bfloat16
    assert model.weight.dtype is torch.float32
    assert not torch.equal(model.weight, before)


def test_bfloat16_where_the_device_has_it(monkeypatch):
    monkeypatch.setattr(amp_module, 'has_bfloat16', lambda: True)
    cfg = config(type='OptimWrapper')
    use_amp(cfg)
    assert cfg.optim_wrapper.type == 'Bfloat16OptimWrapper'


def test_else_float16_with_a_scaler(monkeypatch):
    monkeypatch.setattr(amp_module, 'has_bfloat16', lambda: False)
    cfg = config()
    use_amp(cfg)
    assert cfg.optim_wrapper.type == 'AmpOptimWrapper'
    assert cfg.optim_wrapper.dtype == 'float16'
    assert cfg.optim_wrapper.loss_scale == 'dynamic'


def test_a_wrapper_of_the_users_own_is_not_replaced():
    with pytest.raises(ConfigError, match=r'optim_wrapper\.type'):
        use_amp(config(type='ApexOptimWrapper'))
