"""Writes what MMDetection's own ATSS loses, ``loss_atss_*.npz``.

Needs MMDetection 3.3.0 and ``peer_mmdet``, a module that lets it run with
mmcv-lite on a CPU. With both, and this folder, on the path:

    python make_atss.py
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import deterministic
import numpy as np
import peer_mmdet as peer
import torch
from torch import Tensor

HERE = Path(__file__).parent
RECIPE = 'atss/atss_r50_fpn_1x_coco.py'
STRIDES = (8, 16, 32, 64, 128)
KINDS = {'cls_score': 'num_classes', 'bbox_pred': 4, 'centerness': 1}
NINE = dict(
    type='AnchorGenerator',
    octave_base_scale=4,
    ratios=[0.5, 1.0, 2.0],
    scales_per_octave=3,
    strides=list(STRIDES),
)
SMALL = (64, 96)
# Padded size of the batch, sizes of its images, numbers of objects, and more.
CASES: dict[str, dict[str, Any]] = {
    'typical_3': dict(batch=(96, 128), counts=(5, 9)),
    'typical_80': dict(batch=(64, 64), counts=(4, 6), num_classes=80),
    'one_class': dict(batch=(96, 128), counts=(5, 9), num_classes=1),
    'one_image_without_objects': dict(batch=(96, 128), counts=(0, 6)),
    'no_objects_in_batch': dict(batch=SMALL, counts=(0, 0)),
    'crowded': dict(batch=(96, 128), counts=(40, 25)),
    'tiny_and_huge': dict(batch=(96, 128), counts=(12, 2), sides=((2, 12), (90, 127))),
    'partly_outside': dict(batch=(96, 128), counts=(6, 6), shift=30.0),
    'batch_of_3': dict(
        batch=(96, 128), images=((96, 100), (70, 128), (50, 60)), counts=(3, 4, 2)
    ),
    # Nine positions of nine anchors each: MMDetection counts anchors.
    'nine_anchors': dict(batch=(64, 64), counts=(4, 5), anchors=NINE, topk=81),
}


def main() -> None:
    for name, setting in CASES.items():
        write(f'loss_atss_{name}', *loss_case(name, setting))


def write(name: str, arrays: dict[str, Any], info: dict[str, Any]) -> None:
    text = json.dumps(info, sort_keys=True)
    np.savez_compressed(HERE / f'{name}.npz', info=np.array(text), **arrays)
    print(name, (HERE / f'{name}.npz').stat().st_size)


def loss_case(name: str, setting: dict) -> tuple[dict, dict]:
    """A case's arrays, and its settings and notes."""
    spec, head = head_of(setting)
    inputs = maps(name, setting, head.num_base_priors)
    truth = objects(name, setting)
    metas = [peer.meta(size, size, setting['batch']) for size in image_sizes(setting)]
    arrays = dict(inputs)
    for i, (boxes, labels) in enumerate(truth):
        arrays[f'gt_bboxes_{i}'], arrays[f'gt_labels_{i}'] = boxes, labels
    arrays |= losses(head, inputs, truth, metas, torch.float32, '')
    arrays |= losses(head, inputs, truth, metas, torch.float64, '_float64')
    targets = assignment(head, inputs, truth, metas)
    labels, weights = (torch.cat(x, dim=1).numpy() for x in targets[1:3])
    arrays['assigned_labels'] = labels.astype(np.int16)
    arrays['label_weights'] = weights.astype(np.int8)
    info = dict(
        kind='atss', case=name, expect='values', avg_factor=int(targets[-1]),
        topk=setting.get('topk', 9), settings=spec,
        img_shape=[m['img_shape'] for m in metas],
        pad_shape=[m['pad_shape'] for m in metas],
    )  # fmt: skip
    return arrays, info


def head_of(setting: dict) -> tuple[dict, Any]:
    cfg = peer.Config.fromfile(f'{peer.CONFIG_ROOT}/{RECIPE}').model
    spec = cfg.bbox_head
    spec.num_classes = setting.get('num_classes', 3)
    if 'anchors' in setting:
        spec.anchor_generator = setting['anchors']
    train_cfg = cfg.train_cfg
    train_cfg.assigner.topk = setting.get('topk', 9)
    unused = dict(in_channels=32, feat_channels=32, stacked_convs=1)
    head = peer.MODELS.build(
        {**spec, **unused, 'train_cfg': train_cfg, 'test_cfg': cfg.test_cfg}
    )
    return spec.to_dict(), head


def image_sizes(setting: dict) -> list[tuple[int, int]]:
    return setting.get('images') or [setting['batch']] * len(setting['counts'])


def maps(name: str, setting: dict, per_cell: int) -> dict[str, np.ndarray]:
    """What the head's convolutions might give."""
    num_images, found = len(setting['counts']), {}
    for level, stride in enumerate(STRIDES):
        size = [-(-n // stride) for n in setting['batch']]
        for kind, width in KINDS.items():
            width = setting.get(width, 3) if isinstance(width, str) else width
            key, shape = f'{kind}_{level}', (num_images, per_cell * width, *size)
            mean, std = (-2.0, 1.5) if kind == 'cls_score' else (0.0, 0.7)
            found[key] = deterministic.bell(f'atss/{name}/{key}', shape, std, mean)
    return found


def objects(name: str, setting: dict) -> list[tuple[np.ndarray, np.ndarray]]:
    """Boxes and labels of each image."""
    found = []
    for i, (count, (h, w)) in enumerate(zip(setting['counts'], image_sizes(setting))):
        low, high = setting.get('sides', ((10, None),) * 9)[i]
        boxes, labels = deterministic.boxes(
            f'atss/{name}/{i}', count, h, w, setting.get('num_classes', 3), low, high
        )
        shift = setting.get('shift', 0.0)
        boxes += np.float32(shift) * np.where(np.arange(count) % 2, 1, -1)[:, None]
        found.append((boxes.astype(np.float32), labels))
    return found


def as_lists(
    inputs: dict[str, np.ndarray], dtype: torch.dtype
) -> dict[str, list[Tensor]]:
    return {
        kind: [
            torch.from_numpy(inputs[f'{kind}_{level}']).to(dtype).requires_grad_()
            for level in range(len(STRIDES))
        ]
        for kind in KINDS
    }


def truth_in(truth: list, dtype: torch.dtype) -> list:
    instances = [peer.instances(*x) for x in truth]
    for x in instances:
        x.bboxes = x.bboxes.to(dtype)
    return instances


@contextmanager
def anchors_in(head: Any, dtype: torch.dtype) -> Iterator[None]:
    """The head's anchors are float32 whatever it predicts in."""
    original = head.get_anchors

    def cast(*args: Any, **kwargs: Any) -> tuple[list, list]:
        anchors, flags = original(*args, **kwargs)
        return [[x.to(dtype) for x in own] for own in anchors], flags

    head.get_anchors = cast
    yield
    head.get_anchors = original


def losses(
    head: Any, inputs: dict, truth: list, metas: list, dtype: torch.dtype, suffix: str
) -> dict[str, np.ndarray]:
    """Each term, and its gradient in every map."""
    leaves = as_lists(inputs, dtype)
    with anchors_in(head, dtype):
        terms = head.loss_by_feat(*leaves.values(), truth_in(truth, dtype), metas)
    rows = [(f'{k}_{i}', x) for k, xs in leaves.items() for i, x in enumerate(xs)]
    found = {}
    for term, levels in terms.items():
        value = sum(x.sum() for x in levels)
        found[f'loss{suffix}/{term}'] = value.detach().numpy()
        grads = torch.autograd.grad(
            value, [x for _, x in rows], retain_graph=True, allow_unused=True
        )
        for (leaf, x), grad in zip(rows, grads):
            grad = torch.zeros_like(x) if grad is None else grad
            key = f'grad/{term}/{leaf}'
            found[f'l2{suffix}/{key}'] = grad.double().norm().numpy()
            if grad.any() and not suffix:
                found[f'{key}/every7'] = grad.flatten()[::7].numpy()
    return found


def assignment(head: Any, inputs: dict, truth: list, metas: list) -> tuple:
    sizes = [inputs[f'cls_score_{level}'].shape[-2:] for level in range(len(STRIDES))]
    anchors, flags = head.get_anchors(sizes, metas, device='cpu')
    targets = head.get_targets(
        [list(x) for x in anchors], flags, truth_in(truth, torch.float32), metas
    )
    return targets


if __name__ == '__main__':
    main()
