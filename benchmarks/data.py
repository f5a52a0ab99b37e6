"""The training pipeline and the annotations, beside MMDetection's.

Images a second of one core: read, decode, resize to 1333 x 800, flip, pack, on
the same JPEGs of 640 x 480 by turns; the same followed by the preprocessor, to
a normalised batch on the CPU; and what two workers of a data loader need in
memory once they have looked at 118,000 images' annotations.

Pictures are taken from the folder ``$FREEANCHOR_JPEGS`` where it is set, and
drawn at random otherwise.
"""

import copy
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate

from benchmarks.coco_size import HEIGHT, WIDTH, coco_size, realistic_jpegs
from benchmarks.peer import load_peer, why_no_peer
from benchmarks.timing import interleave
from freeanchor.registry import MODELS, TRANSFORMS

ROOT = Path(__file__).resolve().parents[1]
_BATCH = 2
_STEPS = ('pipeline', 'pipeline and preprocessor, batch 2')


def measure(device: str, quick: bool) -> dict[str, Any]:
    """The suite's tables; on the CPU whatever the device."""
    peer = load_peer()
    images = [
        _info(path) for path in realistic_jpegs(os.environ.get('FREEANCHOR_JPEGS'))
    ]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    try:
        makers = {'freeanchor': ours()}
        if peer is not None:
            makers = {'mmdet': theirs(peer), **makers}
        speed = _speed(makers, images[:8] if quick else images, 2 if quick else 9)
        equal = _difference(makers, images) if peer is not None else None
    finally:
        torch.set_num_threads(threads)
    folder = coco_size(2_000, 15_000) if quick else coco_size()
    memory = {
        f'{name}, {start}': _worker_memory(name, start, folder)
        for start in ('fork', 'spawn')
        for name in makers
    }
    notes = _notes(equal, memory) + ([] if peer else [why_no_peer()])
    return dict(
        title='Data: training pipeline on one core, memory of workers',
        reach='at least 1.3 x the images a second with equal pixels; '
        'annotations are not copied per worker',
        columns=['', 'images/s', 'of mmdet', 'processor ms an image'],
        rows=list(_rows(speed, list(makers))),
        notes=notes,
        raw=dict(
            speed=speed,
            difference=equal,
            memory=memory,
            ratios=aims(speed, memory) if peer is not None else [],
        ),
    )


def aims(speed: dict[str, Any], memory: dict[str, Any]) -> list[list[Any]]:
    """Bars of the overview."""
    bars = [
        [
            f'{step}, one core',
            round(
                times['mmdet']['cpu_median_s'] / times['freeanchor']['cpu_median_s'], 2
            ),
            1.3 if step == _STEPS[0] else None,
        ]
        for step, times in speed.items()
    ]
    theirs, ours = (
        memory[f'{x}, fork']['parent']['rss'] for x in ('mmdet', 'freeanchor')
    )
    return [*bars, ['memory with annotations of COCO', round(theirs / ours, 2), None]]


def ours() -> tuple[Compose, torch.nn.Module]:
    """Pipeline and preprocessor of the R-50 recipe."""
    cfg = Config.fromfile(ROOT / 'configs' / 'free_anchor_r50_fpn_1x.py')
    steps = [TRANSFORMS.build(x) for x in cfg.train_dataloader.dataset.pipeline]
    return Compose(steps), MODELS.build(cfg.model.data_preprocessor)


def theirs(peer: Any) -> tuple[Compose, torch.nn.Module]:
    """Pipeline and preprocessor of MMDetection's R-50 recipe."""
    from mmdet.registry import TRANSFORMS as PEER_TRANSFORMS

    cfg = peer.peer_mmdet.config('freeanchor_r50')
    pipeline = cfg.train_dataloader.dataset.pipeline
    steps = [PEER_TRANSFORMS.build(x) for x in pipeline]
    preprocessor = peer.peer_mmdet.MODELS.build(cfg.model.data_preprocessor)
    return Compose(steps), preprocessor


def _info(path: Path) -> dict[str, Any]:
    """What a data set tells of an image with seven boxes."""
    boxes = [[20.5 * k, 30.0, 20.5 * k + 60, 200.25 + k] for k in range(7)]
    instances = [dict(bbox=x, bbox_label=i, ignore_flag=0) for i, x in enumerate(boxes)]
    return dict(
        img_id=1, img_path=str(path), width=WIDTH, height=HEIGHT, instances=instances
    )


def _speed(
    makers: dict[str, tuple[Compose, torch.nn.Module]], images: list[dict], repeats: int
) -> dict[str, dict[str, dict[str, Any]]]:
    found = {}
    for step in _STEPS:
        calls = {
            name: _call(pipeline, preprocessor if step != _STEPS[0] else None, images)
            for name, (pipeline, preprocessor) in makers.items()
        }
        times = interleave(calls, repeats)
        for name in times:
            times[name]['images'] = len(images)
        found[step] = times
    return found


def _call(
    pipeline: Compose, preprocessor: torch.nn.Module | None, images: list[dict]
) -> Callable[[], None]:
    # As a data set does: a fresh dict for each sample.
    packed = [pickle.dumps(x) for x in images]

    def call() -> None:
        np.random.seed(0)  # flips the same images for both
        for i in range(0, len(images), _BATCH):
            samples = [pipeline(pickle.loads(x)) for x in packed[i : i + _BATCH]]
            if preprocessor is not None:
                preprocessor(pseudo_collate(samples), True)

    return call


def _difference(makers: dict, images: list[dict]) -> dict[str, float]:
    """The largest differences of pixels (of 255) and of box sides, in pixels."""
    pixels, boxes = [0.0], [0.0]
    for seed, image in enumerate(images):
        samples = []
        for pipeline, _ in makers.values():
            np.random.seed(seed)
            samples.append(pipeline(copy.deepcopy(image)))
        one, two = samples
        pixels.append((one['inputs'].float() - two['inputs'].float()).abs().max())
        corners = [x['data_samples'].gt_instances.bboxes for x in samples]
        corners = [getattr(x, 'tensor', x).float() for x in corners]
        boxes.append((corners[0] - corners[1]).abs().max())
    return dict(pixels=float(max(pixels)), boxes=float(max(boxes)))


def _worker_memory(name: str, start: str, folder: Path) -> dict[str, Any]:
    command = [sys.executable, '-m', 'benchmarks.worker_memory', name, start]
    environ = {**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [*command, str(folder)], env=environ, cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f'{command} failed:\n{done.stderr[-2000:]}')
    return json.loads(done.stdout.splitlines()[-1])


def _rows(speed: dict, names: list[str]) -> Iterator[list[Any]]:
    for step, times in speed.items():
        for name in names:
            cpu = times[name]['cpu_median_s'] / times[name]['images']
            ratio = times.get('mmdet', times[name])['cpu_median_s']
            ratio /= times[name]['cpu_median_s']
            ms = round(cpu * 1e3, 2)
            yield [f'{step}: {name}', round(1 / cpu, 1), f'{ratio:.2f} x', ms]


def _notes(equal: dict | None, memory: dict[str, dict[str, Any]]) -> list[str]:
    notes = ['By processor time, one thread.']
    if equal is not None:
        notes.append(
            f'Largest difference to mmdet: {equal["pixels"]:g} of 255 in a pixel, '
            f'{equal["boxes"]:.1g} pixels in a box.'
        )
    for kind, found in memory.items():
        notes.append(
            f'{kind}: a worker that has read the annotations of {found["images"]} '
            f'images holds {found["after"]["private"]:.0f} MiB of its own '
            f'({found["before"]["private"]:.0f} before), '
            f'{found["after"]["pss"]:.0f} MiB by shares; the parent '
            f'{found["parent"]["rss"]:.0f} MiB.'
        )
    return notes
