"""Inference of FreeAnchor R-50: MMDetection, ours as trained and ours deployed.

Same weights, same pictures, by turns; the detections of all are compared in the
same run.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from benchmarks.candidate import detector, recipe
from benchmarks.peer import Peer, load_peer, why_no_peer
from benchmarks.timing import interleave, ratio
from freeanchor.models.deploy import deploy
from freeanchor.registry import MODELS

PEER = 'MMDetection'
SIZES = [(512, 512), (800, 1333)]
QUICK_SIZES = [(96, 128)]
# Differences of a score and in pixels that are rounding: on a CPU in float32,
# and where matrix products have the ten bits of TF32 or fewer.
EXACT, ROUNDED = (1e-4, 0.05), (0.02, 2.0)


@dataclass
class Batch:
    """What all competitors look at."""

    case: dict[str, Any]  # of the peer's bench: weights, picture, sizes
    pixels: Tensor  # (B, 3, H, W)

    def metainfo(self) -> dict[str, Any]:
        shape = tuple(self.case['img_shape'])
        return dict(
            img_shape=shape,
            ori_shape=shape,
            pad_shape=tuple(self.pixels.shape[-2:]),
            batch_input_shape=tuple(self.pixels.shape[-2:]),
            scale_factor=self.case['scale_factor'],
        )


@dataclass
class Competitor:
    inference: Callable[[], list[Any]]
    forward: Callable[[], Any] | None = None
    exact: bool = True


def measure(device: str, quick: bool) -> dict[str, Any]:
    """Time whole inference and the network alone, and compare detections."""
    peer = load_peer()
    repeats = 1 if quick else 5 if device == 'cpu' else 20
    batches = [1] if device == 'cpu' else [1, 8, 32]
    rows: list[list[Any]] = []
    ratios: list[list[Any]] = []
    raw: dict[str, Any] = {}
    for size in QUICK_SIZES if quick else SIZES:
        for images in [1, 2] if quick else batches:
            name = f'{size[0]} x {size[1]}, batch {images}'
            batch = make_batch(peer, size, images, device)
            found = compete(competitors(peer, batch, device), device, repeats)
            rows += table(name, images, found)
            ratios += aims(name, images, found, device)
            raw[name] = found
    notes = [
        'equal: share of the detections that have a partner of the same class among '
        "MMDetection's, with a score within {} and sides within {} pixels; without "
        'float32 on a CPU {} and {}'.format(*EXACT, *ROUNDED)
    ]
    return dict(
        title='Inference, FreeAnchor R-50',
        reach='on a CPU 1.3x MMDetection at batch 1, on a GPU 4x; equal detections',
        columns=['picture', 'what', 'who', 'ms', 'images/s', 'times faster', 'MiB',
                 'equal'],
        rows=rows,
        notes=notes if peer is not None else [*notes, why_no_peer()],
        raw=dict(times=raw, ratios=ratios),
    )  # fmt: skip


def make_batch(
    peer: Peer | None, size: tuple[int, int], images: int, device: str
) -> Batch:
    """Pictures that differ in brightness, and the weights to look at them with."""
    if peer is not None:
        case = peer.bench_mmdet_cpu.picture_case(size)
    else:
        padded = [-(-side // 32) * 32 for side in size]
        case = dict(
            weights={}, pixels=torch.randn(1, 3, *padded), img_shape=size,
            scale_factor=(1.0, 1.0), num_classes=80,
        )  # fmt: skip
    brightness = torch.linspace(1, 0.8, images)[:, None, None, None]
    return Batch(case, (case['pixels'] * brightness).to(device))


def competitors(peer: Peer | None, batch: Batch, device: str) -> dict[str, Competitor]:
    found: dict[str, Competitor] = {}
    if peer is not None:
        found[PEER] = theirs(peer, batch, device)
    plain = our_detector(batch).eval().to(device)
    found['ours, as trained'] = ours(plain, batch)
    found['ours, deployed'] = ours(deploy(copy.deepcopy(plain), device), batch)
    if device != 'cpu':
        if peer is not None:
            half = theirs(peer, batch, device, torch.float16)
            found[f'{PEER}, float16 autocast'] = half
        for dtype in (torch.bfloat16, torch.float16):
            name = f'ours, deployed, {str(dtype).split(".")[-1]}'
            found[name] = ours(deploy(copy.deepcopy(plain), device, dtype), batch)
            recorded = deploy(copy.deepcopy(plain), device, dtype, record=True)
            found[f'{name}, recorded'] = ours(recorded, batch)
            found[f'{name}, recorded'].forward = None
        for one in found.values():
            one.exact = False
    return found


def our_detector(batch: Batch) -> Any:
    if batch.case['weights']:
        return detector(batch.case)
    torch.manual_seed(0)
    return MODELS.build(recipe(batch.case).model)


def ours(model: nn.Module, batch: Batch) -> Competitor:
    samples = [BaseDataElement(metainfo=batch.metainfo()) for _ in batch.pixels]

    @torch.no_grad()
    def inference() -> list[Any]:
        found = model(batch.pixels, samples, mode='predict')
        return [x.pred_instances for x in found]

    @torch.no_grad()
    def forward() -> Any:
        return model(batch.pixels, mode='tensor')

    return Competitor(inference, forward)


def theirs(
    peer: Peer, batch: Batch, device: str, dtype: torch.dtype | None = None
) -> Competitor:
    """MMDetection's, with autocast to ``dtype`` if one is given."""
    build = peer.peer_mmdet
    model = build.MODELS.build(build.config(batch.case['model_name']).model)
    weights = {k: torch.from_numpy(v) for k, v in batch.case['weights'].items()}
    model.load_state_dict(weights, strict=False)
    model.eval().to(device)
    samples = [build.sample(batch.metainfo(), [], []) for _ in batch.pixels]
    kind = torch.device(device).type
    cast = dict(device_type=kind, dtype=dtype, enabled=dtype is not None)

    def inference() -> list[Any]:
        with torch.no_grad(), torch.autocast(**cast):
            found = model.predict(batch.pixels, samples)
        return [x.pred_instances for x in found]

    def forward() -> Any:
        with torch.no_grad(), torch.autocast(**cast):
            return model(batch.pixels, None, mode='tensor')

    return Competitor(inference, forward)


def compete(
    all_: dict[str, Competitor], device: str, repeats: int
) -> dict[str, dict[str, Any]]:
    """Times of both kinds of work, and the share of equal detections."""
    found: dict[str, Any] = {}
    for what in ('inference', 'forward'):
        calls = {name: getattr(x, what) for name, x in all_.items()}
        calls = {name: call for name, call in calls.items() if call is not None}
        found[what] = interleave(calls, repeats, 1, device, memory=True)
    reference = all_.get(PEER, all_['ours, as trained']).inference()
    found['equal'] = {
        name: equal_share(x.inference(), reference, *(EXACT if x.exact else ROUNDED))
        for name, x in all_.items()
    }
    return found


def equal_share(
    found: list[Any], reference: list[Any], score_limit: float, box_limit: float
) -> float:
    """Share of detections that have a partner; 0 where an image has more or fewer."""
    partners = total = 0
    for x, y in zip(found, reference, strict=True):
        if len(x.labels) != len(y.labels):
            return 0.0
        same = (
            (x.labels[:, None] == y.labels)
            & ((x.scores[:, None] - y.scores).abs() <= score_limit)
            & ((x.bboxes[:, None] - y.bboxes).abs().amax(dim=2) <= box_limit)
        )
        partners += int(same.any(dim=1).sum())
        total += len(x.labels)
    return partners / total if total else 1.0


def table(name: str, images: int, found: dict[str, Any]) -> list[list[Any]]:
    rows = []
    for what in ('inference', 'forward'):
        times = found[what]
        for who, x in times.items():
            seconds = x['wall_median_s']
            memory = x.get('peak_cuda_mb', x.get('peak_rss_growth_mb'))
            faster = ratio(times, PEER, who)
            equal = found['equal'][who] if what == 'inference' else None
            rows.append(
                [name, what, who, seconds * 1000, images / seconds, faster, memory,
                 equal]
            )  # fmt: skip
    return rows


def aims(name: str, images: int, found: dict[str, Any], device: str) -> list[list[Any]]:
    """Bars of the overview: our fastest against MMDetection as shipped."""
    aim = None if images > 1 else 1.3 if device == 'cpu' else 4
    bars = []
    for what in ('inference', 'forward'):
        times = found[what]
        best = min(
            (x for x in times if x.startswith('ours')),
            key=lambda x: times[x]['wall_median_s'],
        )
        bars.append([f'{what} {name}', ratio(times, PEER, best), aim])
    return bars
