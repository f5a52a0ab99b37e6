"""One training step: MMDetection's by turns with ours, from batch to new weights.

On a CPU R-50 at 512 x 512; on a GPU the default 2 x 800 x 1333 with and without
mixed precision and compilation, larger trunks, and the shape of MLPerf's RetinaNet.
"""

import time
from collections.abc import Callable
from typing import Any

import torch
from mmengine.config import Config
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.batch_shapes import shapes_of_an_epoch
from benchmarks.machine import ROOT
from benchmarks.peer import Peer, load_peer, why_no_peer
from benchmarks.timing import interleave, ratio
from freeanchor.engine import use_amp, use_compile
from freeanchor.engine.compilation import compile_network
from freeanchor.engine.synthetic import batch_of, optim_wrapper_of
from freeanchor.registry import MODELS

Call = Callable[[], Any]
CONFIGS = dict(r50='r50', r101='r101', x101='x101_32x4d')
OBJECTS = 10
# NVIDIA's MLPerf Training v4.0 RetinaNet, images/s on one H100, as logged there.
MLPERF = 291


def measure(device: str, quick: bool) -> dict[str, Any]:
    """Time training steps; see ``benchmarks/README.md`` for what is returned."""
    peer = load_peer()
    cases = cpu_cases(quick) if device == 'cpu' else cuda_cases(quick)
    raw: dict[str, Any] = {}
    rows = []
    for title, images, size, makers in cases:
        calls, flops = built(makers, peer, device, images, size)
        repeats = 2 if quick else 5 if device == 'cpu' else 20
        times = interleave(calls, repeats, 1 if device == 'cpu' else 5, device,
                           memory=True)  # fmt: skip
        raw[title] = dict(times=times, flops=flops)
        rows += table(title, images, times)
        calls.clear()
    raw['ratios'] = aims(raw, device)
    raw['shapes'] = shapes_of_an_epoch(images=2000 if quick else 20000)
    raw['matrix_rate'] = matrix_rate(device, quick)
    return dict(
        title='Training step, FreeAnchor',
        reach="on a CPU 1.3x MMDetection's step; on a GPU 4x its FreeAnchor, 2x its "
        'RetinaNet with AMP, half of its memory',
        columns=['batch', 'who', 'ms', 'images/s', 'times faster', 'MiB at peak'],
        rows=rows,
        notes=notes(peer, raw, device),
        raw=raw,
    )


def aims(raw: dict[str, Any], device: str) -> list[list[Any]]:
    """Bars of the overview: how many times faster, and what is aimed at."""
    bars = []
    for title, found in raw.items():
        times = found['times']
        for theirs_name, ours_name, aim in (
            ('MMDetection', 'ours', 1.3 if device == 'cpu' else None),
            ('MMDetection', 'ours, --amp', 4.0),
            ('MMDetection RetinaNet, AMP', 'ours, --amp', 2.0),
        ):
            faster = ratio(times, theirs_name, ours_name)
            if faster is not None:
                who = f'{ours_name} against {theirs_name}'
                bars.append([f'step: {title}, {who}', round(faster, 2), aim])
    return bars


def cpu_cases(quick: bool) -> list[tuple[str, int, tuple[int, int], dict]]:
    size = (128, 128) if quick else (512, 512)
    makers = dict(MMDetection=theirs('freeanchor'), ours=ours('r50'))
    if quick:  # the paths that a GPU takes
        makers['ours, --amp'] = ours('r50', amp=True)
    return [(f'1 x {size[0]} x {size[1]}, R-50', 1, size, makers)]


def cuda_cases(quick: bool) -> list[tuple[str, int, tuple[int, int], dict]]:
    size = (256, 320) if quick else (800, 1333)
    default = {
        'MMDetection': theirs('freeanchor'),
        'MMDetection RetinaNet, AMP': theirs('retinanet', amp=True),
        'ours': ours('r50'),
        'ours, --amp': ours('r50', amp=True),
        'ours, --amp --compile': ours('r50', amp=True, compiled=True),
    }
    cases = [(f'2 x {size[0]} x {size[1]}, R-50', 2, size, default)]
    for trunk in ('r101', 'x101'):
        makers = {
            'MMDetection': theirs('freeanchor', trunk),
            'ours': ours(trunk),
            'ours, --amp': ours(trunk, amp=True),
        }
        cases.append((f'2 x {size[0]} x {size[1]}, {trunk}', 2, size, makers))
    images, square = (2, (256, 256)) if quick else (32, (800, 800))
    makers = {
        'ours, --amp': ours('x50', amp=True),
        'ours, --amp --compile': ours('x50', amp=True, compiled=True),
    }
    cases.append(
        (f'{images} x {square[0]} x {square[1]}, X-50', images, square, makers)
    )
    return cases


def built(
    makers: dict[str, Callable], peer: Peer | None, device: str, images: int, size: Any
) -> tuple[dict[str, Call], int]:
    """The callables of a case, and the operations of one of our steps."""
    calls, flops = {}, 0
    for name, maker in makers.items():
        call = maker(peer, device, images, size)
        if call is None:
            continue
        calls[name] = call
        if name.startswith('ours') and not flops:
            with FlopCounterMode(display=False) as counter:
                call()
            flops = counter.get_total_flops()
    return calls, flops


def ours(trunk: str, amp: bool = False, compiled: bool = False) -> Callable:
    def make(peer: Peer | None, device: str, images: int, size: Any) -> Call:
        name = CONFIGS.get(trunk, 'r50')
        cfg = Config.fromfile(ROOT / 'configs' / f'free_anchor_{name}_fpn_1x.py')
        cfg.model.backbone.pop('init_cfg', None)
        if trunk == 'x50':
            cfg.model.backbone.update(type='ResNeXt', groups=32, base_width=4)
        if amp:
            use_amp(cfg)
        if compiled:
            use_compile(cfg)
        model = MODELS.build(cfg.model)
        model.init_weights()
        model = model.to(device).to(memory_format=torch.channels_last).train()
        if compiled:
            compile_network(model, cfg.compile)
        return step_of(model, cfg.optim_wrapper, device, images, size, True)

    return make


def theirs(name: str, trunk: str = 'r50', amp: bool = False) -> Callable:
    def make(peer: Peer | None, device: str, images: int, size: Any) -> Call | None:
        if peer is None:
            return None
        cfg = peer.peer_mmdet.config(f'{name}_{trunk}')
        cfg.model.backbone.init_cfg = None
        model = peer.peer_mmdet.MODELS.build(cfg.model).to(device).train()
        if amp:
            cfg.optim_wrapper.type = 'AmpOptimWrapper'
        return step_of(model, cfg.optim_wrapper, device, images, size, False, peer)

    return make


def step_of(
    model: Any, optim: Any, device: str, images: int, size: Any, fused: bool,
    peer: Peer | None = None,
) -> Call:  # fmt: skip
    """A training step from a batch as the loader gives it."""
    if fused:
        wrapper = optim_wrapper_of(model, optim, device)
    else:
        assert peer is not None
        wrapper = peer.peer_mmdet.build_optim_wrapper(model, optim)
    batch = batch_of(images, size, OBJECTS, model.bbox_head.num_classes)
    if not fused:
        batch['data_samples'] = [as_theirs(x, peer) for x in batch['data_samples']]
    if device == 'cuda':
        batch['inputs'] = [x.pin_memory() for x in batch['inputs']]

    def call() -> None:
        model.train_step(dict(batch), wrapper)

    return call


def as_theirs(sample: Any, peer: Any) -> Any:
    size, truth = sample.img_shape, sample.gt_instances
    metainfo = peer.peer_mmdet.meta(size, None, None, (1.0, 1.0))
    return peer.peer_mmdet.sample(metainfo, truth.bboxes, truth.labels)


def table(title: str, images: int, times: dict) -> list[list[Any]]:
    rows = []
    for name, found in times.items():
        seconds = found['wall_median_s']
        memory = found.get('peak_cuda_mb', found.get('peak_rss_growth_mb'))
        faster = ratio(times, 'MMDetection', name)
        rows.append([
            title, name, round(seconds * 1e3, 1), round(images / seconds, 2),
            round(faster, 2) if faster else None, memory,
        ])  # fmt: skip
    return rows


def matrix_rate(device: str, quick: bool) -> float:
    """Floating-point operations a second of a large bfloat16 matrix product."""
    side = 512 if quick or device == 'cpu' else 8192
    a = torch.randn(side, side, device=device, dtype=torch.bfloat16)
    repeats = 2 if quick or device == 'cpu' else 50
    a @ a
    if device == 'cuda':
        torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(repeats):
        a @ a
    if device == 'cuda':
        torch.cuda.synchronize()
    return 2 * side**3 * repeats / (time.perf_counter() - began)


def notes(peer: Peer | None, raw: dict[str, Any], device: str) -> list[str]:
    found = [f'{OBJECTS} objects an image; batches start in memory, in uint8']
    if peer is None:
        found.append(why_no_peer())
    if device == 'cuda':
        rate = raw['matrix_rate']
        found.append(f'measured bfloat16 matrix rate: {rate / 1e12:.0f} TFLOP/s')
        for title, case in raw.items():
            for name, times in case.get('times', {}).items() if 'x' in title else ():
                if name.startswith('ours, --amp'):
                    share = case['flops'] / times['wall_median_s'] / rate
                    found.append(f'{title}, {name}: {share:.0%} of that rate')
        found.append(f'MLPerf v4.0 RetinaNet logs {MLPERF} images/s on an H100 (X-50)')
    for name, count in raw['shapes'].items():
        found.append(f'shapes of batches, with COCO-like sizes, {name}: {count}')
    return found
