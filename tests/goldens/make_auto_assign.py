"""Writes what MMDetection's AutoAssign computes, ``loss_auto_assign_*``.

Needs MMDetection 3.3.0 and ``peer_mmdet``, a module that lets it run with
mmcv-lite on a CPU. With both, and this folder, on the path:

    python make_auto_assign.py
"""

import json
from pathlib import Path
from typing import Any

import deterministic
import numpy as np
import peer_mmdet as peer
import torch
from torch import Tensor

HERE = Path(__file__).parent
RECIPE = 'autoassign/autoassign_r50-caffe_fpn_1x_coco.py'
STRIDES = (8, 16, 32, 64, 128)
STDS = (0.1, 0.1, 0.2, 0.2)
# Padded size of the batch, numbers of objects, and more. No two objects of a class
# share a point: there MMDetection lets the last decide.
CASES: dict[str, dict[str, Any]] = {
    'typical': dict(batch=(96, 128), counts=(3, 5)),
    'many_classes': dict(batch=(64, 64), counts=(6, 9), num_classes=40),
    'one_image_without_objects': dict(batch=(64, 96), counts=(0, 4)),
    'no_objects_in_batch': dict(batch=(64, 64), counts=(0, 0)),
}


def main() -> None:
    for name, setting in CASES.items():
        arrays, info = case(name, setting)
        path = HERE / f'loss_auto_assign_{name}.npz'
        np.savez_compressed(path, info=np.array(json.dumps(info)), **arrays)
        print(path.name, path.stat().st_size)


def case(name: str, setting: dict) -> tuple[dict, dict]:
    """A case's arrays, and its settings and notes."""
    size, counts = setting['batch'], setting['counts']
    num_classes = setting.get('num_classes', 5)
    arrays = {}
    for i, count in enumerate(counts):
        key = f'auto_assign/{name}/{i}'
        boxes, _ = deterministic.boxes(key, count, *size, num_classes, 20)
        arrays[f'gt_bboxes_{i}'] = boxes.astype(np.float32)
        arrays[f'gt_labels_{i}'] = (np.arange(count) + i) % num_classes
    widths = dict(cls_score=num_classes, bbox_pred=4, centerness=1)
    for level, stride in enumerate(STRIDES):
        cells = [-(-n // stride) for n in size]
        for kind, width in widths.items():
            key, shape = f'{kind}_{level}', (len(counts), width, *cells)
            mean, std = (-1.0, 1.5) if kind == 'cls_score' else (0.0, 1.0)
            arrays[key] = deterministic.bell(f'auto_assign/{key}', shape, std, mean)
    for key, low, high in (('mean', -0.5, 0.5), ('sigma', 0.7, 1.5)):
        shape = num_classes, 2
        arrays[key] = deterministic.uniform(f'auto_assign/{key}', shape, low, high)
    arrays |= computed(arrays, len(counts), num_classes, size)
    info = dict(
        kind='auto_assign', case=name, expect='values', num_classes=num_classes,
        stds=STDS, img_shape=[size] * len(counts), pad_shape=[size] * len(counts),
    )  # fmt: skip
    return arrays, info


def computed(
    arrays: dict, num_images: int, num_classes: int, size: tuple
) -> dict[str, np.ndarray]:
    """Terms, their gradients in every map and parameter, in float64."""
    cfg = peer.Config.fromfile(f'{peer.CONFIG_ROOT}/{RECIPE}').model.bbox_head
    cfg.update(
        num_classes=num_classes, in_channels=32, feat_channels=32, stacked_convs=1
    )
    head = peer.MODELS.build(cfg).double()
    prior = dict(head.center_prior.named_parameters())
    for key, parameter in prior.items():
        parameter.data = torch.from_numpy(arrays[key]).double()
    leaves = {
        key: torch.from_numpy(x).double().requires_grad_()
        for key, x in arrays.items()
        if key.startswith(('cls_score', 'bbox_pred', 'centerness'))
    }
    levels = range(len(STRIDES))
    scores, deltas, quality = (
        [leaves[f'{kind}_{i}'] for i in levels]
        for kind in ('cls_score', 'bbox_pred', 'centerness')
    )
    truth = [
        peer.instances(arrays[f'gt_bboxes_{i}'], arrays[f'gt_labels_{i}'])
        for i in range(num_images)
    ]
    for x in truth:
        x.bboxes = x.bboxes.double()
    sides = [distances(*level) for level in zip(deltas, STRIDES)]
    metas = [peer.meta(size, size, size)] * num_images
    terms = head.loss_by_feat(scores, sides, quality, truth, metas)
    found = {}
    leaves |= prior
    for term, value in terms.items():
        found[f'loss/{term}'] = value.detach().numpy()
        grads = torch.autograd.grad(
            value, list(leaves.values()), retain_graph=True, allow_unused=True
        )
        for key, grad in zip(leaves, grads):
            if grad is not None and grad.any():
                found[f'grad/{term}/{key}'] = grad.float().numpy()
    return found


def distances(deltas: Tensor, stride: int) -> Tensor:
    """From each point to its box's sides, of deltas on a square of 8 strides."""
    side = 8 * stride
    dx, dy, dw, dh = (x * s for x, s in zip(deltas.unbind(1), STDS))
    half_w, half_h = side * dw.exp() / 2, side * dh.exp() / 2
    x, y = side * dx, side * dy
    return torch.stack([half_w - x, half_h - y, half_w + x, half_h + y], dim=1)


if __name__ == '__main__':
    main()
