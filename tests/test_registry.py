"""The names of a config stand for what was registered, and for nothing else."""

import pytest
import torch
from mmengine import registry as mmengine
from mmengine.hooks import EMAHook

from freeanchor import registry
from freeanchor.registry import HOOKS, OPTIMIZERS, RUNNERS


@pytest.mark.parametrize('key', ['EMAHook', 'mmengine.EMAHook'])
def test_a_name_is_found_in_the_parent(key):
    assert HOOKS.get(key) is EMAHook


@pytest.mark.parametrize(
    'key', ['mmengine.hooks.EMAHook', 'mmengine.hooks.ema_hook.EMAHook']
)
def test_a_full_path_of_what_is_registered_is_found(key):
    assert HOOKS.get(key) is EMAHook
    assert OPTIMIZERS.get('torch.optim.SGD') is torch.optim.SGD


@pytest.mark.parametrize(
    'key', ['os.system', 'builtins.exec', 'antigravity', 'antigravity.Hook', 'os', '.']
)
@pytest.mark.parametrize(
    'kind', [x for x in vars(registry) if x.isupper() and x != 'SCOPE']
)
def test_no_registry_resolves_to_what_is_not_registered(kind, key):
    assert getattr(registry, kind).get(key) is None


def test_every_registry_of_mmengine_has_a_closed_one_of_ours():
    for kind, root in vars(mmengine).items():
        if isinstance(root, mmengine.Registry):
            ours = getattr(registry, kind, None)
            assert isinstance(ours, registry.ClosedRegistry), kind
            assert ours.parent is root


def test_nothing_is_called_that_is_not_registered(tmp_path):
    marker = tmp_path / 'marker'
    for build in (HOOKS.build, registry.MODELS.build):
        with pytest.raises(KeyError, match='is not in the'):
            build(dict(type='os.system', command=f'touch {marker}'))
    with pytest.raises(KeyError, match='is not in the'):
        RUNNERS.build(dict(runner_type='os.system'))
    assert not marker.exists()
