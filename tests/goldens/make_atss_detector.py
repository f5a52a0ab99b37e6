"""Writes what a small ATSS of MMDetection detects, ``infer_atss_r18.npz``.

Run as ``make_atss.py`` is.
"""

from typing import Any

import deterministic
import numpy as np
import peer_mmdet as peer
import torch
from make_atss import KINDS, RECIPE, write
from torch import Tensor

# Ours on the left: weights are made from the names that ours have.
NAMES = {
    'retina_cls': 'atss_cls',
    'retina_reg': 'atss_reg',
    'retina_quality': 'atss_centerness',
}


def whole_detector() -> tuple[dict, dict]:
    """Outputs and detections of a small ATSS with weights made from names."""
    cfg = peer.Config.fromfile(f'{peer.CONFIG_ROOT}/{RECIPE}')
    cfg.model.backbone.init_cfg = None
    cfg.merge_from_dict(peer.R18)
    names, seed = ['atss_r18/0', 'atss_r18/1'], 5
    sizes, scales = [(128, 160), (115, 143)], [(1.25, 1.25), (1.6, 1.5)]
    pad, arrays = (128, 160), {}
    metas = [peer.meta(s, pad, pad, f) for s, f in zip(sizes, scales)]
    inputs = torch.zeros(2, 3, *pad)
    for row, name, (height, width) in zip(inputs, names, sizes):
        rgb = deterministic.image(name, height, width, seed)
        row[:, :height, :width] = torch.from_numpy(deterministic.normalised(rgb))
    for dtype, prefix in ((torch.float32, ''), (torch.float64, 'float64/')):
        model = peer.MODELS.build(cfg.model).eval()
        model.load_state_dict(weights(model, seed))
        model = model.to(dtype)
        with torch.no_grad():
            outs = model.bbox_head(model.extract_feat(inputs.to(dtype)))
            for kind, levels in zip(KINDS, outs):
                arrays |= samples_of(f'{prefix}features/{kind}', levels)
            arrays |= detections(model, outs, metas, prefix)
    info = dict(
        case='atss_r18', model='atss_r18', weights_seed=seed, image_seed=seed,
        image_names=names, num_classes=3, batch_shape=list(inputs.shape),
        img_shape=sizes, scale_factor=scales, pad_shape=[pad, pad],
        test_cfg=cfg.model.test_cfg.to_dict(),
    )  # fmt: skip
    return arrays, info


def weights(model: Any, seed: int) -> dict[str, Tensor]:
    """From the names that our state dict has."""
    found = {}
    for key, value in model.state_dict().items():
        own = key
        for ours, theirs in NAMES.items():
            own = own.replace(theirs, ours)
        if own.endswith('.scale'):
            array = deterministic.uniform(own, (), 0.8, 1.2, seed)
        else:
            array = deterministic.tensor_for(own, tuple(value.shape), seed)
        found[key] = torch.as_tensor(array)
    return found


def samples_of(key: str, levels: list[Tensor]) -> dict[str, np.ndarray]:
    """Of each level its mean, deviation and norm, and 16 values."""
    flat = [x.double().flatten() for x in levels]
    rows = [[x.mean(), x.std(correction=0), x.norm()] for x in flat]
    values = [[x[k * (len(x) - 1) // 15].item() for k in range(16)] for x in flat]
    return {key: np.array(rows), f'{key}/values': np.array(values)}


def detections(model: Any, outs: tuple, metas: list, prefix: str) -> dict:
    """In pixels of the network's input and of the original image."""
    found = {}
    for place, rescale in (('network', False), ('original', True)):
        results = model.bbox_head.predict_by_feat(
            *outs, batch_img_metas=metas, rescale=rescale
        )
        for i, result in enumerate(results):
            for kind in ('bboxes', 'scores', 'labels'):
                found[f'{prefix}{place}/{kind}_{i}'] = result[kind].numpy()
    return found


if __name__ == '__main__':
    write('infer_atss_r18', *whole_detector())
