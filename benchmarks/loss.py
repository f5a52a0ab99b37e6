"""The loss, forward and backward: MMDetection and ours on the same maps.

2 images of 800 x 1333 pixels, padded to 800 x 1344: 201,600 anchors each. The maps
are leaves, gradients go to their ``.grad``, and memory is what a call adds to
them, gradients included.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor

from benchmarks.candidate import CONFIG, samples_of
from benchmarks.machine import ROOT
from benchmarks.peer import Peer, load_peer, why_no_peer
from benchmarks.timing import interleave, ratio
from freeanchor.registry import MODELS
from freeanchor.structures import Objects

PEER, OURS = 'MMDetection', 'ours'
CONFIGS = {
    'FreeAnchor': CONFIG,
    'RetinaNet': ROOT / 'configs' / 'retinanet_r50_fpn_1x.py',
}
STRIDES = (8, 16, 32, 64, 128)
SIZE, QUICK_SIZE = (800, 1333), (96, 128)
# Maps beyond this many values are ours alone: the peer needs seven copies.
MOST_FOR_PEER = 100_000_000


def measure(device: str, quick: bool) -> dict[str, Any]:
    """Time both losses, and how ours grows with objects, classes and pixels."""
    peer = load_peer()
    size, repeats = (QUICK_SIZE, 1) if quick else (SIZE, 5 if device == 'cpu' else 30)
    rows: list[list[Any]] = []
    ratios: list[list[Any]] = []
    raw: dict[str, Any] = {}
    for method, objects in [
        ('FreeAnchor', 5), ('FreeAnchor', 20), ('FreeAnchor', 100),
        ('RetinaNet', 20), ('RetinaNet', 100),
    ]:  # fmt: skip
        for precision in precisions(device):
            case = make_case(objects, size, 80, device, precision)
            name = f'{method}, {objects} objects, {precision}'
            raw[name] = compete(method, case, peer, device, repeats)
            rows += table(name, case, raw[name])
            ratios += aims(name, raw[name], device)
    curves = growth(peer, device, quick, raw)
    return dict(
        title='Loss, forward and backward, 2 x 800 x 1344, 80 classes',
        reach='on a CPU 10x MMDetection with 1.2x the logits in memory; on an H100 '
        '1 ms at 100 objects an image',
        columns=['loss', 'who', 'ms', 'processor ms', 'MiB', 'x logits', 'faster'],
        rows=rows,
        notes=[
            'MiB: growth of memory at the peak of a call, gradients of the maps '
            'included; x logits: that, in logits tensors',
            *largest(device, quick, raw),
            *([] if peer else [why_no_peer()]),
        ],
        raw=dict(times=raw, ratios=ratios, curves=curves),
    )  # fmt: skip


def precisions(device: str) -> list[str]:
    return ['float32'] if device == 'cpu' else ['float32', 'bfloat16 channels-last']


def make_case(
    objects: int,
    size: tuple[int, int],
    num_classes: int,
    device: str,
    precision: str = 'float32',
) -> dict[str, Any]:
    """Maps as heads leave them, and objects of 2 images."""  # fmt: skip
    torch.manual_seed(0)
    padded = tuple(-(-side // 32) * 32 for side in size)
    cells = [[-(-side // stride) for side in padded] for stride in STRIDES]

    def leaf(channels: int, cell: list[int], mean: float, std: float) -> Tensor:
        x = torch.randn(2, channels, *cell, device=device).mul_(std).add_(mean)
        if precision.startswith('bfloat16'):
            x = x.bfloat16().contiguous(memory_format=torch.channels_last)
        return x.requires_grad_()

    truth = [boxes(objects, size) for _ in range(2)]
    return dict(
        cls_scores=[leaf(9 * num_classes, x, -4.0, 0.8) for x in cells],
        bbox_preds=[leaf(36, x, 0.0, 0.6) for x in cells],
        gt_bboxes=truth,
        gt_labels=[torch.randint(num_classes, (objects,)) for _ in truth],
        img_shape=size,
        pad_shape=padded,
        num_classes=num_classes,
    )


def boxes(number: int, size: tuple[int, int]) -> Tensor:
    """``(N, 4)`` xyxy of 16 pixels to two thirds of the picture."""
    limit = torch.tensor([size[1], size[0]])
    sides = 16 * (limit / 24) ** torch.rand(number, 2)
    corner = torch.rand(number, 2) * (limit - sides)
    return torch.cat([corner, corner + sides], dim=1)


def ours(method: str, case: dict[str, Any], device: str) -> Callable[[], Any]:
    cfg = Config.fromfile(CONFIGS[method]).model
    # The layers of the head are not used, only its anchors.
    cfg.bbox_head.update(
        in_channels=1, feat_channels=1, stacked_convs=0, num_classes=case['num_classes']
    )
    head = MODELS.build(cfg.bbox_head).to(device)
    loss, samples = MODELS.build(cfg.loss), samples_of(case)

    def call() -> None:
        predictions = head.predictions(case['cls_scores'], case['bbox_preds'])
        losses = loss(predictions, Objects.gather(samples, device))
        sum(losses.values()).backward()

    return call


def theirs(
    method: str, case: dict[str, Any], peer: Peer, device: str
) -> Callable[[], Any]:
    build = peer.peer_mmdet
    kind = method.lower()
    head = build.build_head(kind, dict(num_classes=case['num_classes'])).to(device)
    truth = [
        build.InstanceData(bboxes=b.to(device), labels=y.to(device))
        for b, y in zip(case['gt_bboxes'], case['gt_labels'])
    ]
    metas = [build.meta(case['img_shape'], case['pad_shape']) for _ in truth]

    def call() -> None:
        losses = head.loss_by_feat(case['cls_scores'], case['bbox_preds'], truth, metas)
        terms = (x if isinstance(x, Tensor) else sum(x) for x in losses.values())
        sum(terms).backward()

    return call


def compete(
    method: str, case: dict[str, Any], peer: Peer | None, device: str, repeats: int
) -> dict[str, Any]:
    calls = {}
    small = logits_numel(case) < MOST_FOR_PEER
    # Theirs fails on half precision, as its users know.
    if peer is not None and small and case['cls_scores'][0].dtype == torch.float32:
        calls[PEER] = theirs(method, case, peer, device)
    calls[OURS] = ours(method, case, device)

    def clear() -> None:
        for x in case['cls_scores'] + case['bbox_preds']:
            x.grad = None

    return interleave(calls, repeats, 1, device, clear, memory=True)


def logits_numel(case: dict[str, Any]) -> int:
    return sum(x.numel() for x in case['cls_scores'])


def memory(times: dict[str, Any]) -> float:
    found = times.get('peak_cuda_mb', times.get('peak_rss_growth_mb'))
    return math.nan if found is None else found


def table(name: str, case: dict[str, Any], found: dict[str, Any]) -> list[list[Any]]:
    size = logits_numel(case) * case['cls_scores'][0].element_size() / 2**20
    rows = []
    for who, times in found.items():
        faster = ratio(found, PEER, OURS) if who == OURS else None
        rows.append(
            [
                name,
                who,
                round(1000 * times['wall_median_s'], 1),
                round(1000 * times['cpu_median_s'], 1),
                memory(times),
                round(memory(times) / size, 2),
                None if faster is None else round(faster, 1),
            ]
        )
    return rows


def aims(name: str, found: dict[str, Any], device: str) -> list[list[Any]]:
    faster = ratio(found, PEER, OURS)
    if faster is None:
        return []
    aim = 10 if device == 'cpu' and name.startswith('FreeAnchor') else None
    saved = memory(found[PEER]) / memory(found[OURS])
    return [
        [f'loss: {name}', round(faster, 2), aim],
        [f'memory of the loss: {name}', round(saved, 2), None],
    ]


def growth(
    peer: Peer | None, device: str, quick: bool, raw: dict[str, Any]
) -> list[dict[str, Any]]:
    """Time and memory against objects, classes and pixels, as curves."""
    repeats = 1 if quick else 3
    small = (400, 672)
    axes: dict[str, list[tuple[int, dict[str, Any]]]] = {
        'objects an image': [
            (n, dict(objects=n, size=small, num_classes=80))
            for n in ((2, 4) if quick else (1, 10, 50, 100, 200, 500))
        ],
        'classes': [
            (n, dict(objects=20, size=small, num_classes=n))
            for n in ((2, 4) if quick else (1, 20, 80, 365, 1203))
        ],
        'pixels of an image': [
            (h * w, dict(objects=20, size=(h, w), num_classes=80))
            for h, w in (
                ((64, 64), (64, 96))
                if quick
                else ((200, 336), (400, 672), (800, 1344), (1600, 1344))
            )
        ],
    }
    curves = []
    for x, points in axes.items():
        lines: dict[str, dict[str, list]] = {'ms': {}, 'MiB': {}}
        for value, arguments in points:
            if quick and x != 'pixels of an image':
                arguments['size'] = QUICK_SIZE
            case = make_case(device=device, **arguments)
            found = compete('FreeAnchor', case, peer, device, repeats)
            raw[f'{x}: {value}'] = found
            for who, times in found.items():
                milliseconds = 1000 * times['wall_median_s']
                lines['ms'].setdefault(who, []).append([value, milliseconds])
                lines['MiB'].setdefault(who, []).append([value, memory(times)])
        for y, values in lines.items():
            curves.append(dict(title=f'{y} by {x}', x=x, y=y, lines=values))
    return curves


def largest(device: str, quick: bool, raw: dict[str, Any]) -> list[str]:
    """LVIS's classes and a crowd, at full size: it has to run at all."""
    if quick:
        return []
    case = make_case(500, SIZE, 1203, device)
    found = raw['1203 classes, 500 objects'] = compete(
        'FreeAnchor', case, None, device, 1
    )[OURS]
    size = logits_numel(case) * 4 / 2**20
    return [
        '2 x 800 x 1344, 1,203 classes, 500 objects an image: '
        f'{1000 * found["wall_median_s"]:.0f} ms, {memory(found):.0f} MiB beside '
        f'{size:.0f} MiB of logits'
    ]
