"""Write the goldens of PAA: what MMDetection and scikit-learn compute.

    python tests/goldens/make_paa.py

It needs MMDetection 3.3.0 and scikit-learn, and on the Python path the
repository and a module ``peer_mmdet`` that imports MMDetection and offers its
``MODELS``, ``CONFIG_ROOT``, ``R18``, ``instances``, ``meta`` and ``versions``.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import deterministic
import numpy as np
import torch
from mmengine.config import Config
from peer_mmdet import CONFIG_ROOT, MODELS, R18, instances, meta, versions
from sklearn.mixture import GaussianMixture

STRIDES = (8, 16, 32, 64, 128)
NINE = dict(
    type='AnchorGenerator',
    ratios=[0.5, 1.0, 2.0],
    octave_base_scale=4,
    scales_per_octave=3,
    strides=list(STRIDES),
)
Boxes = list[tuple[list[list[float]], list[int]]]


# ------------------------------------------------------------------- mixtures


def value_sets() -> dict[str, np.ndarray]:
    """Costs as candidates have them, from easy to degenerate."""
    random = np.random.RandomState(0)
    sets = {
        f'two_groups_{i}': np.concatenate(
            [random.normal(0.8, 0.2, n), random.normal(low, spread, m)]
        )
        for i, (n, m, low, spread) in enumerate(
            [
                (9, 36, 2.5, 0.4),
                (20, 25, 1.4, 0.3),
                (3, 40, 3.0, 1.0),
                (40, 2, 9.0, 0.1),
            ]
        )
    }
    for n in (2, 3, 5, 9, 18, 45):
        sets[f'uniform_{n}'] = random.uniform(0.5, 3, n)
        sets[f'skewed_{n}'] = random.exponential(1.0, n) + 0.2
    sets['untrained'] = random.normal(2.4, 0.05, 45)
    sets['far_apart'] = np.concatenate([random.normal(1, 0.1, 5), [8.0, 12.0]])
    sets['equal'] = np.full(9, 1.75)
    sets['two_equal'] = np.full(2, 0.3)
    sets['all_but_one_equal'] = np.concatenate([np.full(8, 2.0), [2.5]])
    sets['two_values'] = np.repeat([1.0, 2.0], [4, 7])
    return {name: np.sort(values) for name, values in sets.items()}


def fit(values: np.ndarray) -> dict[str, Any]:
    column = values[:, None]
    mixture = GaussianMixture(
        2,
        weights_init=np.array([0.5, 0.5]),
        means_init=np.array([column.min(), column.max()]).reshape(2, 1),
        precisions_init=np.ones((2, 1)),
        covariance_type='diag',
    ).fit(column)
    return dict(
        values=values,
        weights=mixture.weights_,
        means=mixture.means_[:, 0],
        variances=mixture.covariances_[:, 0],
        component=mixture.predict(column),
        log_density=mixture.score_samples(column),
        steps=mixture.n_iter_,
    )


def write_mixtures(folder: Path) -> None:
    arrays = {
        f'{name}/{key}': value
        for name, values in value_sets().items()
        for key, value in fit(values).items()
    }
    write(folder / 'gaussian_mixtures.npz', arrays, dict(kind='mixtures'))


# --------------------------------------------------------------------- losses


def random_boxes(name: str, counts: list[int], size: tuple, classes: int) -> Boxes:
    found = [
        deterministic.boxes(f'paa/{name}/{i}', n, *size, classes)
        for i, n in enumerate(counts)
    ]
    return [(boxes.tolist(), labels.tolist()) for boxes, labels in found]


def loss_cases() -> dict[str, dict[str, Any]]:
    small, square = (96, 128), (64, 64)
    same = [[20.0, 0.0, 85.0, 63.0]] * 3  # the last takes the best anchor
    between = [[4.0, 0.0, 68.0, 64.0]] * 2  # two anchors are the best
    return {
        'typical_3': dict(boxes=random_boxes('3', [5, 9], small, 3)),
        'typical_80': dict(
            size=square, num_classes=80, boxes=random_boxes('80', [4, 6], square, 80)
        ),
        'crowded_of_one_class': dict(
            num_classes=1, boxes=random_boxes('crowded', [60, 25], small, 1)
        ),
        'no_objects_in_batch': dict(boxes=[([], []), ([], [])]),
        'one_image_without_objects': dict(
            boxes=[([], []), *random_boxes('one', [7], small, 3)]
        ),
        'few_candidates': dict(
            boxes=[(same, [0, 1, 2]), (between, [1, 1])], size=(64, 128)
        ),
        'padding': dict(
            boxes=random_boxes('padding', [6, 5], (50, 60), 3),
            img_shape=[(90, 120), (50, 60)],
        ),
        'nine_anchors': dict(
            size=square,
            boxes=random_boxes('nine', [5, 3], square, 3),
            head=dict(anchor_generator=NINE),
        ),
        'trained': dict(boxes=random_boxes('trained', [4, 6], small, 3), trained=True),
        'settings': dict(
            boxes=random_boxes('settings', [6, 6], small, 3),
            head=dict(
                topk=4,
                loss_cls=dict(type='FocalLoss', use_sigmoid=True, gamma=1.5, alpha=0.4),
                loss_bbox=dict(type='GIoULoss', loss_weight=2.0),
                loss_centerness=dict(
                    type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0
                ),
            ),
        ),
    }


def config() -> Config:
    cfg = Config.fromfile(f'{CONFIG_ROOT}/paa/paa_r50_fpn_1x_coco.py')
    cfg.model.backbone.init_cfg = None
    return cfg


def head_of(case: dict[str, Any]) -> torch.nn.Module:
    model = config().model
    spec = model.bbox_head
    spec.update(num_classes=case.get('num_classes', 3), **case.get('head', {}))
    # Its layers are not used.
    spec.update(in_channels=32, feat_channels=32, stacked_convs=1)
    spec.update(train_cfg=model.train_cfg, test_cfg=model.test_cfg)
    return MODELS.build(spec)


def maps_of(
    name: str, case: dict[str, Any], head: torch.nn.Module
) -> dict[str, np.ndarray]:
    height, width = case.get('size', (96, 128))
    anchors, images = head.num_base_priors, len(case['boxes'])
    found = {}
    for level, stride in enumerate(STRIDES):
        shape = -(-height // stride), -(-width // stride)
        for kind, values, std, mean in (
            ('cls_score', head.cls_out_channels, 1.0, -2.5),
            ('bbox_pred', 4, 0.6, 0.0),
            ('iou_pred', 1, 1.0, 0.3),
        ):
            found[f'{kind}_{level}'] = deterministic.bell(
                f'paa/{name}/{kind}_{level}',
                (images, anchors * values, *shape),
                std,
                mean,
            )
    if case.get('trained'):
        for image, (boxes, labels) in enumerate(case['boxes']):
            make_sure(found, image, boxes, labels)
    return found


def make_sure(
    maps: dict[str, np.ndarray], image: int, boxes: list, labels: list
) -> None:
    """Raise the class of each object, and move boxes, near the object's middle."""
    for (x1, y1, x2, y2), label in zip(boxes, labels):
        for level, stride in enumerate(STRIDES):
            scores, deltas = maps[f'cls_score_{level}'], maps[f'bbox_pred_{level}']
            rows, cols = np.indices(scores.shape[2:]) * stride
            reach = 0.25 * np.array([y2 - y1, x2 - x1]) + 0.5 * stride
            y, x = (y1 + y2) / 2 - rows, (x1 + x2) / 2 - cols
            near = (np.abs(y) < reach[0]) & (np.abs(x) < reach[1])
            side = 8.0 * stride
            target = (
                x / side,
                y / side,
                np.log((x2 - x1) / side),
                np.log((y2 - y1) / side),
            )
            scores[image, label][near] += 3.5
            for k, (value, std) in enumerate(zip(target, (0.1, 0.1, 0.2, 0.2))):
                own = deltas[image, k]
                own[near] = (0.4 * own + np.broadcast_to(value, near.shape) / std)[near]


def run_loss(
    case: dict[str, Any], maps: dict[str, np.ndarray], dtype: torch.dtype
) -> tuple[dict, dict, list]:
    """Terms, their gradients, and the labels after assignment of each image."""
    head, labels = head_of(case), []
    reassign = head.paa_reassign

    def spy(*args: Any) -> tuple:
        found = reassign(*args)
        labels.append(found[0].numpy())
        return found

    head.paa_reassign = spy
    leaves = {
        k: torch.from_numpy(v).to(dtype).requires_grad_() for k, v in maps.items()
    }
    by_kind = [
        [leaves[f'{kind}_{level}'] for level in range(len(STRIDES))]
        for kind in ('cls_score', 'bbox_pred', 'iou_pred')
    ]
    truth = [instances(*x) for x in case['boxes']]
    size = case.get('size', (96, 128))
    shapes = case.get('img_shape', [size] * len(truth))
    # Padding of each image, and of the batch: anchors beyond the former are ignored.
    metas = [meta(shape, batch_input_shape=size) for shape in shapes]
    terms = head.loss_by_feat(*by_kind, truth, metas)
    grads = {
        (term, name): torch.autograd.grad(
            value, leaf, retain_graph=True, allow_unused=True
        )[0]
        for term, value in terms.items()
        for name, leaf in leaves.items()
    }
    return terms, grads, labels


def write_loss(folder: Path, name: str, case: dict[str, Any]) -> None:
    head = head_of(case)
    arrays: dict[str, Any] = maps_of(name, case, head)
    maps = dict(arrays)
    for i, (boxes, labels) in enumerate(case['boxes']):
        arrays[f'gt_bboxes_{i}'] = np.array(boxes, np.float32).reshape(-1, 4)
        arrays[f'gt_labels_{i}'] = np.array(labels, np.int64)
    for prefix, dtype in (('loss', torch.float32), ('loss_float64', torch.float64)):
        terms, grads, assigned = run_loss(case, maps, dtype)
        arrays |= {f'{prefix}/{k}': v.detach().numpy() for k, v in terms.items()}
        if dtype == torch.float32:
            arrays['assigned_labels'] = np.stack(assigned).astype(np.int16)
            arrays |= recorded(grads)
    size = case.get('size', (96, 128))
    shapes = case.get('img_shape', [size] * len(case['boxes']))
    info = dict(
        kind='paa',
        case=name,
        expect='values',
        img_shape=shapes,
        pad_shape=[meta(x)['pad_shape'] for x in shapes],
        settings=settings_of(case),
    )
    write(folder / f'loss_paa_{name}.npz', arrays, info)


def recorded(grads: dict) -> dict[str, np.ndarray]:
    """Norms of the gradients, and their entries, in part where they are many."""
    arrays = {}
    for (term, name), grad in grads.items():
        if grad is None or not grad.any():
            continue
        key = f'grad/{term}/{name}'
        arrays[f'l2/{key}'] = grad.double().norm().numpy()
        values = grad.numpy()
        if values.size > 2000:
            arrays[f'{key}/every7'] = values.reshape(-1)[::7]
        else:
            arrays[key] = values
    return arrays


def settings_of(case: dict[str, Any]) -> dict[str, Any]:
    spec = config().model.bbox_head
    spec.update(num_classes=case.get('num_classes', 3), **case.get('head', {}))
    names = ('num_classes', 'topk', 'anchor_generator', 'bbox_coder')
    losses = ('loss_cls', 'loss_bbox', 'loss_centerness')
    return {key: spec.to_dict()[key] for key in names + losses}


# ------------------------------------------------------------------ detections


def our_name(key: str) -> str:
    """The name of MMDetection's parameter in our head."""
    for theirs, ours in (
        ('atss_cls', 'retina_cls'),
        ('atss_reg', 'retina_reg'),
        ('atss_centerness', 'retina_quality'),
    ):
        key = key.replace(f'bbox_head.{theirs}.', f'bbox_head.{ours}.')
    return key


def weights(shapes: dict[str, Any], seed: int) -> dict[str, torch.Tensor]:
    """Deterministic weights by our names; the levels' scales are near 1."""
    scales = {k for k in shapes if k.endswith('.scale')}
    rest = {our_name(k): v for k, v in shapes.items() if k not in scales}
    values = deterministic.fill_state(rest, seed)
    values |= {k: deterministic.uniform(k, (), 0.8, 1.2, seed) for k in scales}
    return {k: torch.as_tensor(values[our_name(k)]) for k in shapes}


def write_detections(folder: Path, name: str, score_voting: bool) -> None:
    cfg = config()
    cfg.merge_from_dict(R18)
    cfg.model.bbox_head.score_voting = score_voting
    cfg.model.test_cfg.score_thr = 0.18
    model = MODELS.build(cfg.model).eval()
    names = [k for k in model.state_dict() if not k.startswith('data_preprocessor')]
    shapes = {k: model.state_dict()[k].shape for k in names}
    model.load_state_dict(weights(shapes, seed=5), strict=False)
    info = dict(
        kind='paa',
        model='paa_r18',
        weights_seed=5,
        image_seed=3,
        num_classes=3,
        score_thr=0.18,
        score_voting=score_voting,
        image_names=['paa_a', 'paa_b'],
        img_shape=[(160, 224), (192, 180)],
        pad_shape=[(160, 224), (192, 192)],
        scale_factor=[(1.0, 1.0), (1.25, 1.2)],
        batch_shape=(2, 3, 192, 224),
    )
    arrays = {}
    for dtype, prefix in (
        (torch.float32, 'network'),
        (torch.float64, 'float64/network'),
    ):
        arrays |= detections(model.to(dtype), info, dtype, prefix)
    write(folder / f'infer_{name}.npz', arrays, info)


@torch.no_grad()
def detections(
    model: torch.nn.Module, info: dict[str, Any], dtype: torch.dtype, prefix: str
) -> dict[str, np.ndarray]:
    inputs = torch.zeros(info['batch_shape'])
    for i, (name, size) in enumerate(zip(info['image_names'], info['img_shape'])):
        rgb = deterministic.image(name, *size, info['image_seed'])
        inputs[i, :, : size[0], : size[1]] = torch.from_numpy(
            deterministic.normalised(rgb)
        )
    maps = model.bbox_head(model.neck(model.backbone(inputs.to(dtype))))
    metas = [
        meta(size, batch_input_shape=inputs.shape[2:], scale_factor=factor)
        for size, factor in zip(info['img_shape'], info['scale_factor'])
    ]
    arrays = {}
    for rescale, where in (
        (False, prefix),
        (True, prefix.replace('network', 'original')),
    ):
        found = model.bbox_head.predict_by_feat(
            *maps, batch_img_metas=metas, rescale=rescale
        )
        for i, own in enumerate(found):
            for key in ('bboxes', 'scores', 'labels'):
                arrays[f'{where}/{key}_{i}'] = own[key].numpy()
    return arrays


# ---------------------------------------------------------------------- files


def write(path: Path, arrays: dict[str, Any], info: dict[str, Any]) -> None:
    info = dict(info, made_with=versions())
    np.savez_compressed(path, **arrays, info=json.dumps(info, sort_keys=True))
    print(f'{path.name}: {path.stat().st_size / 1000:.0f} kB')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--folder', type=Path, default=Path(__file__).parent)
    folder = parser.parse_args().folder
    write_mixtures(folder)
    for name, case in loss_cases().items():
        write_loss(folder, name, case)
    write_detections(folder, 'paa_r18', score_voting=True)
    write_detections(folder, 'paa_r18_plain', score_voting=False)


if __name__ == '__main__':
    main()
