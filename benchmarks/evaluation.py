"""COCO evaluation: pycocotools, the compiled backend, and MMDetection's metric."""

import json
import logging
import os
import socket
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from mmengine.dist import all_gather_object, collect_results
from mmengine.logging import MMLogger

from benchmarks.peer import load_peer, why_no_peer
from benchmarks.timing import interleave, ratio
from freeanchor.evaluation import CocoMetric
from freeanchor.evaluation.coco_backends import BACKENDS
from freeanchor.evaluation.gather import gather_results

CLASSES, OBJECTS, DETECTIONS, SIZE = 80, 7, 100, 640.0
REFERENCE, PEER = 'ours, pycocotools', 'MMDetection'
SEED = 0


def measure(device: str, quick: bool) -> dict[str, Any]:
    """Time evaluation and the gathering of results; runs on the CPU alone."""
    num_images, repeats = (60, 1) if quick else (5000, 3)
    MMLogger.get_current_instance().setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        path, samples = scene(Path(folder), num_images)
        times, numbers = evaluations(path, samples, repeats)
    gathers = gather_times(num_images, 3 if quick else 7)
    best = 'ours, faster_coco_eval'
    return dict(
        title=f'COCO evaluation of {num_images} images x {DETECTIONS} detections',
        reach='at least 4x faster than pycocotools, equal to the last digit; results '
        'gathered without a pickle file',
        columns=['what', 'wall time (s)', 'processor time (s)', 'times faster'],
        rows=[
            [k, x['wall_median_s'], x['cpu_median_s'], ratio(times, REFERENCE, k)]
            for k, x in times.items()
        ]
        + [
            [k, x, None, gathers['gathering: MMEngine, pickle files'] / x]
            for k, x in gathers.items()
        ],
        notes=notes(numbers),
        raw=dict(
            times=times,
            gathers=gathers,
            numbers={name: found['bbox_mAP'] for name, found in numbers.items()},
            ratios=[
                [
                    'COCO evaluation (against pycocotools)',
                    ratio(times, REFERENCE, best),
                    4,
                ],
                ['COCO evaluation', ratio(times, PEER, best), None],
            ],
        ),
    )


def scene(folder: Path, num_images: int) -> tuple[str, list[dict]]:
    """An annotation file, and detections of ten classes on each image."""
    rng = np.random.RandomState(SEED)
    annotations: list[dict] = []
    samples = []
    for image_id in range(1, num_images + 1):
        classes = rng.choice(CLASSES, 10, replace=False)
        truth, labels = boxes(rng, OBJECTS), rng.choice(classes[:4], OBJECTS)
        for box, label in zip(truth.round(2).tolist(), labels.tolist()):
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=image_id,
                    category_id=label + 1,
                    bbox=box,
                    area=box[2] * box[3],
                    iscrowd=int(rng.rand() < 0.02),
                )
            )
        samples.append(detections(rng, image_id, truth, labels, classes))
    sizes = dict(width=int(SIZE), height=int(SIZE))
    content = dict(
        info={},
        images=[
            dict(id=i + 1, file_name=f'{i}.jpg', **sizes) for i in range(num_images)
        ],
        annotations=annotations,
        categories=[dict(id=i + 1, name=f'class{i}') for i in range(CLASSES)],
    )
    path = folder / 'truth.json'
    path.write_text(json.dumps(content))
    return str(path), samples


def boxes(rng: np.random.RandomState, count: int) -> np.ndarray:
    """Boxes x, y, width, height of all sizes, inside the image."""
    size = np.exp(rng.uniform(np.log(8), np.log(400), (count, 2)))
    return np.concatenate([rng.rand(count, 2) * (SIZE - size), size], axis=1)


def detections(
    rng: np.random.RandomState,
    image_id: int,
    truth: np.ndarray,
    labels: np.ndarray,
    classes: np.ndarray,
) -> dict:
    """Half of them near an object; scores as a detector sorts them."""
    which = rng.randint(len(truth), size=DETECTIONS // 2)
    near = truth[which] * rng.uniform(0.85, 1.15, (len(which), 4))
    rest = DETECTIONS - len(which)
    found = torch.from_numpy(np.concatenate([near, boxes(rng, rest)])).float()
    found[:, 2:] += found[:, :2]
    chosen = np.concatenate([labels[which], rng.choice(classes, rest)])
    scores = torch.from_numpy(rng.uniform(0.05, 1, DETECTIONS)).float()
    scores, order = scores.sort(descending=True)
    instances = dict(
        bboxes=found[order], scores=scores, labels=torch.from_numpy(chosen)[order]
    )
    size = (int(SIZE), int(SIZE))
    return dict(img_id=image_id, ori_shape=size, pred_instances=instances)


def evaluations(
    path: str, samples: list[dict], repeats: int
) -> tuple[dict[str, dict], dict[str, dict]]:
    """Times and numbers of each competitor, from detections to numbers."""
    names = [f'class{i}' for i in range(CLASSES)]
    meta = dict(classes=names, cat_ids=list(range(1, CLASSES + 1)))
    metrics: dict[str, Any] = {
        f'ours, {name}': CocoMetric(path, classwise=True, backend=name)
        for name in BACKENDS
    }
    peer = load_peer()
    if peer is not None:
        spec = dict(type='CocoMetric', ann_file=path, metric='bbox', classwise=True)
        metrics[PEER] = peer.peer_mmdet.METRICS.build(spec)
    numbers: dict[str, dict] = {}

    def call_of(name: str) -> Callable[[], None]:
        metric = metrics[name]
        metric.dataset_meta = meta

        def call() -> None:
            for start in range(0, len(samples), 2):
                metric.process({}, samples[start : start + 2])
            found = metric.evaluate(len(samples))
            numbers[name] = {k.removeprefix('coco/'): v for k, v in found.items()}

        return peer.peer_mmdet.quiet(call) if peer is not None else call

    calls = {name: call_of(name) for name in metrics}
    return interleave(calls, repeats, warmup=0), numbers


def notes(numbers: dict[str, dict]) -> list[str]:
    reference, *others = (numbers[f'ours, {name}'] for name in BACKENDS)
    same = all(str(found) == str(reference) for found in others)
    lines = [
        f'The {len(reference)} numbers of our backends, AP of each class included, '
        f'are {"equal to the last digit" if same else "NOT EQUAL"}.',
        'Times run from the detections of each batch to the numbers; the annotation '
        'file has been read before.',
        'Gathering: 2 gloo processes with half of the images each.',
    ]
    if PEER not in numbers:
        return [*lines, why_no_peer()]
    theirs = {k: v for k, v in numbers[PEER].items() if k in reference}
    apart = max(abs(v - reference[k]) for k, v in theirs.items())
    return [
        *lines,
        f'MMDetection reports three decimals; {len(theirs)} of them differ from ours '
        f'by {apart:.4f} at most.',
    ]


def gather_times(num_images: int, repeats: int) -> dict[str, float]:
    """Median seconds to gather the results of two processes, by way."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / 'times.json'
        args = (port, num_images, repeats, str(out))
        torch.multiprocessing.spawn(_gather_worker, args, nprocs=2)
        return json.loads(out.read_text())


def _gather_worker(
    rank: int, port: int, num_images: int, repeats: int, out: str
) -> None:
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    os.chdir(Path(out).parent)  # MMEngine writes into the current folder
    torch.set_num_threads(1)
    dist.init_process_group('gloo', rank=rank, world_size=2)
    rng = np.random.RandomState(rank)
    own: list = [(i, rng.rand(DETECTIONS, 6)) for i in range(rank, num_images, 2)]
    ways: dict[str, Callable[[], Any]] = {
        'MMEngine, pickle files': lambda: collect_results(own, num_images, 'cpu'),
        'MMEngine, pickled objects': lambda: all_gather_object(own),
        'ours, tensors': lambda: gather_results(own, 6),
    }
    marks: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            dist.barrier()
            began = time.perf_counter()
            way()
            dist.barrier()
            marks[name].append(time.perf_counter() - began)
    if rank == 0:
        found = {f'gathering: {k}': statistics.median(v) for k, v in marks.items()}
        Path(out).write_text(json.dumps(found))
    dist.destroy_process_group()
