"""Writes what MMDetection's TOODHead computes from given maps, ``loss_tal_*``.

Its loss and assignment only: the head that makes its maps is left out. Needs
MMDetection 3.3.0 and ``peer_mmdet``, a module that lets it run with mmcv-lite on
a CPU. With both, and this folder, on the path:

    python make_tal.py
"""

import json
from pathlib import Path
from typing import Any

import deterministic
import numpy as np
import peer_mmdet as peer
import torch
from mmengine.logging import MessageHub
from torch import Tensor

HERE = Path(__file__).parent
RECIPE = 'tood/tood_r50_fpn_1x_coco.py'
STRIDES = (8, 16, 32, 64, 128)
NINE = dict(octave_base_scale=4, ratios=[0.5, 1.0, 2.0], scales_per_octave=3)
# Padded size of the batch, sizes of its images, numbers of objects, and more.
CASES: dict[str, dict[str, Any]] = {
    'one_anchor': dict(batch=(96, 128), counts=(5, 9)),
    'nine_anchors': dict(batch=(64, 96), counts=(4, 5), anchors=NINE),
    'many_classes': dict(batch=(64, 64), counts=(4, 6), num_classes=40),
    'crowded': dict(batch=(96, 128), counts=(30, 20)),
    'one_image_without_objects': dict(batch=(64, 96), counts=(0, 6)),
    'no_objects_in_batch': dict(batch=(64, 64), counts=(0, 0)),
    'padded': dict(batch=(96, 128), images=((96, 100), (70, 128)), counts=(3, 4)),
}


def main() -> None:
    MessageHub.get_instance('goldens')
    MessageHub.get_current_instance().update_info('epoch', 11)  # past its first ones
    for name, setting in CASES.items():
        arrays, info = case(name, setting)
        path = HERE / f'loss_tal_{name}.npz'
        np.savez_compressed(path, info=np.array(json.dumps(info)), **arrays)
        print(path.name, path.stat().st_size)


def case(name: str, setting: dict) -> tuple[dict, dict]:
    """A case's arrays, and its settings and notes."""
    spec, head = head_of(setting)
    sizes = setting.get('images') or [setting['batch']] * len(setting['counts'])
    metas = [peer.meta(size, size, setting['batch']) for size in sizes]
    truth = [
        deterministic.boxes(f'tal/{name}/{i}', n, *size, spec['num_classes'], 10)
        for i, (n, size) in enumerate(zip(setting['counts'], sizes))
    ]
    arrays = {}
    for i, (boxes, labels) in enumerate(truth):
        boxes = boxes.astype(np.float32)
        arrays[f'gt_bboxes_{i}'], arrays[f'gt_labels_{i}'] = boxes, labels
    arrays |= maps(name, setting, head, arrays)
    arrays |= computed(head, arrays, metas)
    info = dict(
        kind='tal', case=name, expect='values', settings=spec,
        img_shape=sizes, pad_shape=sizes,
    )  # fmt: skip
    return arrays, info


def head_of(setting: dict) -> tuple[dict, Any]:
    cfg = peer.Config.fromfile(f'{peer.CONFIG_ROOT}/{RECIPE}').model
    spec = cfg.bbox_head
    spec.num_classes = setting.get('num_classes', 3)
    spec.anchor_type = 'anchor_based'
    spec.anchor_generator.update(setting.get('anchors', {}))
    unused = dict(in_channels=32, feat_channels=32, stacked_convs=1)
    head = peer.MODELS.build({**spec, **unused, 'train_cfg': cfg.train_cfg})
    return spec.to_dict(), head


def maps(name: str, setting: dict, head: Any, truth: dict) -> dict[str, np.ndarray]:
    """Logits, and deltas that bring every second anchor near some object."""
    num_images, found = len(setting['counts']), {}
    shapes = [[-(-n // s) for n in setting['batch']] for s in STRIDES]
    anchors = head.prior_generator.grid_priors(shapes, device='cpu')
    for level, (size, own) in enumerate(zip(shapes, anchors)):
        widths = dict(cls_score=head.cls_out_channels, bbox_pred=4)
        for kind, width in widths.items():
            key = f'{kind}_{level}'
            shape = (num_images, head.num_base_priors * width, *size)
            mean, std = (-0.5, 1.5) if kind == 'cls_score' else (0.0, 0.5)
            found[key] = deterministic.bell(f'tal/{name}/{key}', shape, std, mean)
        for i in range(num_images):
            boxes = torch.from_numpy(truth[f'gt_bboxes_{i}'])
            if len(boxes):
                nearest = peer.bbox_overlaps(own, boxes).argmax(dim=1)
                aim = head.bbox_coder.encode(own, boxes[nearest]).clamp(-20, 20)
                aim[1::2] = 0
                aim = aim.reshape(*size, -1).permute(2, 0, 1).numpy()
                found[f'bbox_pred_{level}'][i] += aim
    return found


def computed(head: Any, arrays: dict, metas: list) -> dict[str, np.ndarray]:
    """Terms, their gradients in every map, and the assignment."""
    leaves = {
        kind: [
            torch.from_numpy(arrays[f'{kind}_{i}']).requires_grad_()
            for i in range(len(STRIDES))
        ]
        for kind in ('cls_score', 'bbox_pred')
    }
    truth = [
        peer.instances(arrays[f'gt_bboxes_{i}'], arrays[f'gt_labels_{i}'])
        for i in range(len(metas))
    ]
    shapes = [x.shape[-2:] for x in leaves['cls_score']]
    anchors = head.prior_generator.grid_priors(shapes, device='cpu')
    scores = [x.sigmoid() for x in leaves['cls_score']]
    boxes = [
        decoded(head, *level) for level in zip(anchors, leaves['bbox_pred'], STRIDES)
    ]
    found, seen = {}, {}
    original = head.get_targets

    def remember(*args: Any, **kwargs: Any) -> tuple:
        seen['targets'] = original(*args, **kwargs)
        return seen['targets']

    head.get_targets = remember
    terms = head.loss_by_feat(scores, boxes, truth, metas)
    for term, levels in terms.items():
        value = sum(levels)
        found[f'loss/{term}'] = value.detach().numpy()
        for kind, rows in leaves.items():
            grads = torch.autograd.grad(
                value, rows, retain_graph=True, allow_unused=True
            )
            for i, grad in enumerate(grads):
                if grad is not None and grad.any():
                    found[f'grad/{term}/{kind}_{i}'] = grad.numpy()
    _, labels, weights, _, alignment = seen['targets']
    found['assigned_labels'] = torch.cat(labels, dim=1).numpy().astype(np.int16)
    found['label_weights'] = torch.cat(weights, dim=1).numpy().astype(np.int8)
    found['alignment'] = torch.cat(alignment, dim=1).numpy()
    return found


def decoded(head: Any, anchors: Tensor, deltas: Tensor, stride: int) -> Tensor:
    """Boxes in strides, as TOODHead's network gives them."""
    num_images, _, height, width = deltas.shape
    rows = deltas.permute(0, 2, 3, 1).reshape(-1, 4)
    repeated = anchors.repeat(num_images, 1)
    boxes = head.bbox_coder.decode(repeated, rows) / stride
    return boxes.reshape(num_images, height, width, -1).permute(0, 3, 1, 2)


if __name__ == '__main__':
    main()
