"""Ours, as a competitor in the bench of MMDetection.

    cd FOLDER && PYTHONPATH=.:REPOSITORY PEER_ENV/bin/python bench_mmdet_cpu.py \
        --candidate benchmarks.candidate:make

What a user gets: the config as it is shipped, the loss on the given maps
themselves, the optimizer's wrapper of the config, and for inference a detector
prepared by ``freeanchor.models.deploy``.
"""

from collections.abc import Callable
from typing import Any

import torch
from mmengine.config import Config
from mmengine.structures import BaseDataElement, InstanceData

from benchmarks.machine import ROOT
from freeanchor.engine.synthetic import optim_wrapper_of
from freeanchor.models.deploy import deploy
from freeanchor.registry import MODELS
from freeanchor.structures import Objects

CONFIG = ROOT / 'configs' / 'free_anchor_r50_fpn_1x.py'


def make(kind: str, case: dict[str, Any]) -> Callable[[], Any] | None:
    """A callable that does one piece of work as the bench defines it.

    Args:
        kind: ``'loss'``, ``'train_step'``, ``'inference'`` or ``'forward'``;
            for any other there is None.
        case: What is worked on, see the bench's docstring.
    """
    makers = {
        'loss': make_loss,
        'train_step': make_train_step,
        'inference': make_inference,
        'forward': make_forward,
    }
    return makers[kind](case) if kind in makers else None


def make_loss(case: dict[str, Any]) -> Callable[[], dict[str, float]]:
    """Forward and backward of the loss, from the maps to their gradients."""
    cfg = recipe(case)
    # The layers of the head are not used, only its anchors.
    cfg.model.bbox_head.update(in_channels=1, feat_channels=1, stacked_convs=0)
    head, loss = MODELS.build(cfg.model.bbox_head), MODELS.build(cfg.model.loss)
    samples = samples_of(case)

    def call() -> dict[str, float]:
        predictions = head.predictions(case['cls_scores'], case['bbox_preds'])
        losses = loss(predictions, Objects.gather(samples))
        sum(losses.values()).backward()
        return {name: value.item() for name, value in losses.items()}

    return call


def make_train_step(case: dict[str, Any]) -> Callable[[], dict[str, float]]:
    """Forward, backward, clipping and the step of the optimizer."""
    # As the runner and the preprocessor leave them.
    channels_last = dict(memory_format=torch.channels_last)
    model = detector(case).train().to(**channels_last)
    pixels = case['pixels'].contiguous(**channels_last)
    wrapper = optim_wrapper_of(model, recipe(case).optim_wrapper, 'cpu')
    samples = samples_of(case)

    def call() -> dict[str, float]:
        losses = model(pixels, samples, mode='loss')
        total, log = model.parse_losses(losses)
        wrapper.update_params(total)
        return {name: float(x) for name, x in log.items() if name != 'loss'}

    return call


def make_inference(case: dict[str, Any]) -> Callable[[], tuple]:
    """Boxes, scores and labels of a picture, in pixels of the original."""
    model = deploy(detector(case))
    (sample,) = samples_of(case)

    @torch.no_grad()
    def call() -> tuple:
        (found,) = model(case['pixels'], [sample], mode='predict')
        instances = found.pred_instances
        return instances.bboxes, instances.scores, instances.labels

    return call


def make_forward(case: dict[str, Any]) -> Callable[[], Any]:
    """The network alone."""
    model = deploy(detector(case))

    @torch.no_grad()
    def call() -> Any:
        return model(case['pixels'], mode='tensor')

    return call


def recipe(case: dict[str, Any]) -> Config:
    """The shipped recipe for the classes of a case, without pretrained weights."""
    cfg = Config.fromfile(CONFIG)
    cfg.model.backbone.init_cfg = None
    cfg.model.bbox_head.num_classes = case['num_classes']
    return cfg


def detector(case: dict[str, Any]) -> Any:
    """The recipe's detector with the weights of a case."""
    model = MODELS.build(recipe(case).model)
    weights = {name: torch.from_numpy(x) for name, x in case['weights'].items()}
    model.load_state_dict(weights)
    return model


def samples_of(case: dict[str, Any]) -> list[BaseDataElement]:
    """The pictures' sizes and, where a case has them, objects."""
    shape = case['img_shape']
    metainfo = dict(
        img_shape=shape,
        pad_shape=tuple(-(-side // 32) * 32 for side in shape),
        scale_factor=case.get('scale_factor', (1.0, 1.0)),
    )
    samples = []
    for boxes, labels in zip(case['gt_bboxes'], case['gt_labels']):
        sample = BaseDataElement(metainfo=metainfo)
        sample.gt_instances = InstanceData(bboxes=boxes, labels=labels)
        samples.append(sample)
    return samples
