"""T26, T27: what was saved before can still be read."""

from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import load_checkpoint
from torch import Tensor

import tests.faults.toy  # noqa: F401  (registers the backbone)
from freeanchor.engine import read_checkpoint
from freeanchor.engine.config_text import parse_config_text
from freeanchor.engine.plain import from_plain
from freeanchor.registry import MODELS

DATA = Path(__file__).parents[1] / 'data'


@pytest.fixture(scope='module')
def model() -> torch.nn.Module:
    """The detector of the kept checkpoint, built from the text in it."""
    meta = read_checkpoint(DATA / 'previous_release.pth')['meta']
    return MODELS.build(parse_config_text(meta['cfg'])['model']).eval()


@torch.no_grad()
def outputs(model: torch.nn.Module) -> Tensor:
    image = torch.linspace(-2, 2, 3 * 64 * 64).reshape(1, 3, 64, 64)
    predictions = model.bbox_head(model.neck(model.backbone(image)))
    values = [*predictions.logits, *predictions.deltas]
    return torch.cat([x.flatten() for x in values])[::7]


def test_a_checkpoint_of_the_previous_release_gives_the_same_outputs(model):
    load_checkpoint(model, str(DATA / 'previous_release.pth'), strict=True)
    expected = read_outputs()
    torch.testing.assert_close(outputs(model), expected, rtol=2e-3, atol=2e-3)


def read_outputs() -> Tensor:
    # No checkpoint: a tensor alone.
    path = DATA / 'previous_release_outputs.pth'
    return torch.load(path, weights_only=True).float()


def test_its_training_state_is_read_whole():
    state = from_plain(read_checkpoint(DATA / 'previous_release.pth'))
    assert set(state) == {
        *('meta', 'state_dict', 'message_hub', 'optimizer', 'param_schedulers')
    }
    assert (state['meta']['epoch'], state['meta']['iter']) == (1, 10)
    losses = state['message_hub']['log_scalars']['train/loss']
    assert isinstance(losses, HistoryBuffer)
    assert len(losses.data[0]) == 10
    momenta = [x['momentum_buffer'] for x in state['optimizer']['state'].values()]
    assert all(torch.isfinite(x).all() for x in momenta)


@pytest.mark.parametrize('zipped', [True, False])
def test_a_checkpoint_of_mmdetection_gives_its_weights(model, tmp_path, zipped):
    """T27: numpy scalars, log histories and keys of its own, and no code runs."""
    weights = OrderedDict(
        (name, torch.randn(x.shape) if x.is_floating_point() else x)
        for name, x in model.state_dict().items()
    )
    weights['bbox_head.anchors_of_old'] = torch.ones(3)
    checkpoint = dict(
        meta=dict(
            epoch=12,
            iter=np.int64(7330),
            CLASSES=('person', 'bicycle'),
            config='import os\nos.abort()\n',
            hook_msgs=dict(best_score=np.float64(0.387), best_ckpt='epoch_12.pth'),
        ),
        message_hub=dict(
            log_scalars=OrderedDict(loss=HistoryBuffer([0.5], [1], 10)),
            runtime_info=dict(lr=np.float32(0.01), seen=np.arange(3)),
        ),
        state_dict=weights,
        optimizer=dict(state={}, param_groups=[dict(lr=0.01, params=[0])]),
    )
    path = tmp_path / 'free_anchor_r50.pth'
    torch.save(checkpoint, path, _use_new_zipfile_serialization=zipped)
    read = load_checkpoint(model, str(path))
    assert read['meta']['hook_msgs']['best_score'] == 0.387
    assert read['meta']['iter'] == 7330
    assert 'config' not in read['meta']
    assert read['message_hub']['runtime_info']['seen'].tolist() == [0, 1, 2]
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, weights[name])
