"""Trunks of other libraries train and detect by their configs alone."""

import pytest
import torch

from benchmarks.trunks import TRUNKS, config_of
from freeanchor.engine.synthetic import batch_of
from freeanchor.registry import MODELS

OTHERS = [x for x in TRUNKS.values() if x not in ('r50', 'r101', 'x101_32x4d')]


def test_the_table_has_trunks_of_all_families():
    assert len(TRUNKS) >= 8
    text = ' '.join(TRUNKS)
    for family in ('ResNet', 'ResNeXt', 'ConvNeXt', 'Swin', 'RegNet', 'EfficientNet'):
        assert family in text


@pytest.mark.parametrize('name', OTHERS)
def test_a_trunk_learns_and_detects(name):
    pytest.importorskip('timm')
    cfg = config_of(name)
    model = MODELS.build(cfg.model)
    model.init_weights()
    model.train()
    size = (96, 160)  # not square: maps must not be transposed
    batch = model.data_preprocessor(batch_of(1, size, 2, 80), training=True)
    losses = model(**batch, mode='loss')
    sum(losses.values()).backward()
    first = next(x for x in model.backbone.parameters() if x.requires_grad)
    assert first.grad.abs().sum() > 0
    features = model.backbone(batch['inputs'])
    assert [x.shape[1] for x in features] == list(cfg.model.neck.in_channels)
    sizes = [tuple(x.shape[2:]) for x in features]
    assert sizes == [(96 // s, 160 // s) for s in (8, 16, 32)]
    with torch.no_grad():
        (found,) = model.eval()(**batch, mode='predict')
    assert found.pred_instances.bboxes.shape[1] == 4
