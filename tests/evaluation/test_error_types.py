"""Types of errors, and what they cost, against slow loops over the definitions."""

import numpy as np
import pytest
import torch

from freeanchor.evaluation import CocoMetric
from freeanchor.evaluation.confusion import (
    best_threshold,
    best_thresholds,
    confusion_matrix,
)
from freeanchor.evaluation.error_costs import error_costs
from freeanchor.evaluation.error_types import Scene, Verdict, judge
from tests.evaluation.test_coco_metric import CAT_IDS, META, guesses, truth, write
from tests.evaluation.test_object_groups import iou

CLASSES = 3
OBJECT = [10.0, 10.0, 10.0, 10.0]


def scene(objects: list[tuple], found: list[tuple]) -> Scene:
    """Objects (box, label, crowd) and detections (box, label, score)."""
    found = sorted(found, key=lambda x: -x[2])
    return Scene(
        np.array([x[0] for x in objects], dtype=float).reshape(-1, 4),
        np.array([x[1] for x in objects], dtype=int),
        np.array([x[2] for x in objects], dtype=bool),
        np.array([x[0] for x in found], dtype=float).reshape(-1, 4),
        np.array([x[1] for x in found], dtype=int),
        np.array([x[2] for x in found], dtype=float),
    )


def random_scene(seed: int) -> Scene:
    """Objects, and detections that find them, miss them and mistake them."""
    random = np.random.RandomState(seed)
    objects = [
        ([*random.uniform(0, 60, 2), *random.uniform(8, 30, 2)], random.randint(3), 0)
        for _ in range(random.randint(6))
    ]
    found = []
    for box, label, _ in [*objects, *objects, *objects]:
        moved = np.array(box) + random.normal(0, 3, 4)
        seen = label if random.rand() < 0.7 else random.randint(3)
        found.append((moved.clip(1).tolist(), seen, random.rand()))
    found.append(([80.0, 80.0, 5.0, 5.0], random.randint(3), random.rand()))
    if random.rand() < 0.3:
        objects.append(([70.0, 70.0, 20.0, 20.0], random.randint(3), 1))
    return scene(objects, found)


def slow_judgement(x: Scene) -> tuple[list[str], list[int], set[int]]:
    """What each detection is, about which object, and the objects missed."""
    boxes, found = x.boxes.tolist(), x.found.tolist()
    real = [j for j in range(len(boxes)) if not x.crowd[j]]
    taken: dict[int, int] = {}
    for i, box in enumerate(found):
        free = [
            (iou(box, boxes[j]), j)
            for j in real
            if j not in taken.values() and x.labels[j] == x.found_labels[i]
        ]
        if free and max(free)[0] >= 0.5:
            taken[i] = max(free)[1]
    verdicts, targets = [], []
    for i, box in enumerate(found):
        same = [
            (iou(box, boxes[j]), j) for j in real if x.labels[j] == x.found_labels[i]
        ]
        rest = [
            (iou(box, boxes[j]), j) for j in real if x.labels[j] != x.found_labels[i]
        ]
        own, other = max(same, default=(0, -1)), max(rest, default=(0, -1))
        if i in taken:
            verdict, target = 'correct', taken[i]
        elif slow_in_crowd(x, i):
            verdict, target = 'ignored', -1
        elif 0.1 <= own[0] < 0.5:
            verdict, target = 'localisation', own[1]
        elif other[0] >= 0.5:
            verdict, target = 'class', other[1]
        elif own[0] >= 0.5:
            verdict, target = 'duplicate', own[1]
        elif other[0] < 0.1:
            verdict, target = 'background', -1
        else:
            verdict, target = 'both', other[1]
        verdicts.append(verdict)
        targets.append(target)
    reached = {t for v, t in zip(verdicts, targets) if v in ('localisation', 'class')}
    return verdicts, targets, set(real) - set(taken.values()) - reached


def slow_in_crowd(x: Scene, i: int) -> bool:
    left, top, width, height = x.found[i]
    for (a, b, w, h), label, crowd in zip(x.boxes, x.labels, x.crowd):
        shared = max(0, min(left + width, a + w) - max(left, a))
        shared *= max(0, min(top + height, b + h) - max(top, b))
        if crowd and label == x.found_labels[i] and shared >= 0.5 * width * height:
            return True
    return False


def slow_ap(rows: list[tuple[int, float, bool]], objects: list[int]) -> float:
    """Mean over classes of the mean precision at 101 recalls."""
    values = []
    for label in range(CLASSES):
        of_class = sorted((x for x in rows if x[0] == label), key=lambda x: -x[1])
        if not objects[label] and not of_class:
            continue
        points, right = [], 0
        for rank, (_, _, correct) in enumerate(of_class, 1):
            right += correct
            points.append((right / max(1, objects[label]), right / rank))
        reached = [
            max((p for r, p in points if r >= recall), default=0.0)
            for recall in np.linspace(0, 1, 101)  # COCO's, to the last bit
        ]
        values.append(sum(reached) / 101 if objects[label] else 0.0)
    return sum(values) / len(values)


def slow_costs(scenes: list[Scene]) -> dict[str, float]:
    """The oracles, one detection at a time."""
    rows, objects, missed, unfound = [], [0] * CLASSES, [0] * CLASSES, [0] * CLASSES
    for number, x in enumerate(scenes):
        verdicts, targets, lost = slow_judgement(x)
        hit = {t for v, t in zip(verdicts, targets) if v == 'correct'}
        for j, label in enumerate(x.labels.tolist()):
            objects[label] += not x.crowd[j]
            missed[label] += j in lost
            unfound[label] += not x.crowd[j] and j not in hit
        mended = set()
        for i, (verdict, target) in enumerate(zip(verdicts, targets)):
            best = verdict in ('localisation', 'class')
            best = best and target not in hit and (number, target) not in mended
            if best:
                mended.add((number, target))
            new = int(x.labels[target]) if best else -1
            label, score = int(x.found_labels[i]), float(x.scores[i])
            if verdict != 'ignored':
                rows.append((label, score, verdict, new))
    before = slow_ap([(a, b, c == 'correct') for a, b, c, _ in rows], objects)
    costs = {}
    for kind in ('localisation', 'class', 'duplicate', 'background', 'both'):
        fixed = [(a, b, c == 'correct') for a, b, c, _ in rows if c != kind]
        fixed += [(new, b, True) for _, b, c, new in rows if c == kind and new >= 0]
        costs[kind] = slow_ap(fixed, objects)
    plain = [(a, b, c == 'correct') for a, b, c, _ in rows]
    costs['missed'] = slow_ap(plain, [n - m for n, m in zip(objects, missed)])
    costs['false negatives'] = slow_ap(plain, [n - m for n, m in zip(objects, unfound)])
    last = [(a, b if c else -1.0, c) for a, b, c in plain]
    costs['false positives'] = slow_ap(last, objects)
    return {'before': before} | {k: max(0, v - before) for k, v in costs.items()}


@pytest.mark.parametrize(
    ('box', 'label', 'verdict'),
    [
        ([10, 10, 10, 10], 0, Verdict.CORRECT),
        ([15, 10, 10, 10], 0, Verdict.LOCALISATION),
        ([10, 10, 10, 10], 1, Verdict.CLASS),
        ([15, 10, 10, 10], 1, Verdict.BOTH),
        ([50, 50, 10, 10], 0, Verdict.BACKGROUND),
    ],
)
def test_a_detection_is_judged_by_its_class_and_its_overlap(box, label, verdict):
    judged = judge(scene([(OBJECT, 0, False)], [(box, label, 0.9)]))
    assert judged.verdicts.tolist() == [verdict]


def test_the_lower_scored_of_two_on_an_object_is_a_duplicate():
    both = [(OBJECT, 0, 0.3), (OBJECT, 0, 0.8)]
    judged = judge(scene([(OBJECT, 0, False)], both))
    assert judged.verdicts.tolist() == [Verdict.CORRECT, Verdict.DUPLICATE]


def test_an_object_that_a_better_box_would_find_is_not_missed():
    objects = [(OBJECT, 0, False), ([60, 60, 9, 9], 1, False)]
    judged = judge(scene(objects, [([15, 10, 10, 10], 0, 0.9)]))
    assert judged.missed.tolist() == [False, True]
    assert not judged.detected.any()


def test_what_lies_in_a_crowd_is_neither_right_nor_wrong():
    judged = judge(scene([([0, 0, 50, 50], 0, True)], [(OBJECT, 0, 0.9)]))
    assert judged.verdicts.tolist() == [Verdict.IGNORED]
    assert not judged.missed.any()


def test_an_image_without_objects_or_detections_is_judged():
    assert judge(scene([], [])).verdicts.tolist() == []
    assert judge(scene([(OBJECT, 0, False)], [])).missed.tolist() == [True]
    lone = judge(scene([], [(OBJECT, 0, 0.9)]))
    assert lone.verdicts.tolist() == [Verdict.BACKGROUND]


@pytest.mark.parametrize('seed', range(40))
def test_judgements_are_those_of_slow_loops(seed):
    x = random_scene(seed)
    verdicts, targets, missed = slow_judgement(x)
    judged = judge(x)
    assert [Verdict(v).name.lower() for v in judged.verdicts] == verdicts
    assert judged.targets.tolist() == targets
    assert set(np.flatnonzero(judged.missed)) == missed


@pytest.mark.parametrize('seed', range(8))
def test_costs_are_those_of_slow_loops(seed):
    scenes = [random_scene(1000 + 20 * seed + i) for i in range(20)]
    before, costs = error_costs(scenes, [judge(x) for x in scenes], CLASSES)
    slow = slow_costs(scenes)
    assert before == pytest.approx(slow.pop('before'), abs=1e-9)
    assert costs == pytest.approx(slow, abs=1e-9)
    assert min(costs[x] for x in ('localisation', 'class', 'background')) > 0


def test_mending_what_is_the_only_error_gives_all_the_ap_back():
    only_misplaced = scene([(OBJECT, 0, False)], [([15, 10, 10, 10], 0, 0.9)])
    before, costs = error_costs([only_misplaced], [judge(only_misplaced)], CLASSES)
    assert before == 0
    assert costs['localisation'] == 1
    assert costs['background'] == costs['missed'] == costs['class'] == 0


def test_without_objects_the_cost_is_not_known():
    empty = scene([], [(OBJECT, 0, 0.9)])
    before, costs = error_costs([empty], [judge(empty)], CLASSES)
    assert np.isnan(before)
    assert 'localisation' in costs


def test_the_ap_before_is_that_of_coco(tmp_path):
    content = truth(12)
    samples = guesses(content)
    for sample in samples:
        boxes = sample['pred_instances']['bboxes']
        # COCO leaves out what has an area below 0.
        boxes[:, 2:] = boxes[:, 2:].maximum(boxes[:, :2] + 1)
    metric = CocoMetric(write(tmp_path, content), backend='pycocotools')
    metric.dataset_meta = META
    metric.process({}, samples)
    expected = metric.evaluate(len(samples))['coco/bbox_mAP_50']
    scenes = [coco_scene(content, x) for x in samples]
    before, _ = error_costs(scenes, [judge(x) for x in scenes], len(CAT_IDS))
    assert before == pytest.approx(expected, abs=1e-9)


def coco_scene(content: dict, sample: dict) -> Scene:
    objects = [
        (x['bbox'], CAT_IDS.index(x['category_id']), bool(x.get('iscrowd')))
        for x in content['annotations']
        if x['image_id'] == sample['img_id'] and x['category_id'] in CAT_IDS
    ]
    found = {k: torch.as_tensor(x) for k, x in sample['pred_instances'].items()}
    boxes = found['bboxes'].double().clone()
    boxes[:, 2:] -= boxes[:, :2]
    scores, labels = found['scores'].tolist(), found['labels'].tolist()
    return scene(objects, list(zip(boxes.tolist(), labels, scores))[:100])


@pytest.mark.parametrize('seed', range(5))
def test_every_object_stands_once_in_the_confusion_matrix(seed):
    scenes = [random_scene(500 + 10 * seed + i) for i in range(10)]
    counts = confusion_matrix(scenes, CLASSES)
    objects = np.concatenate([x.labels[~x.crowd] for x in scenes])
    assert (
        counts[:CLASSES].sum(1).tolist() == np.bincount(objects, minlength=3).tolist()
    )
    assert counts[CLASSES, CLASSES] == 0


def test_the_confusion_matrix_has_objects_in_rows_and_detections_in_columns():
    objects = [(OBJECT, 0, False), ([60, 60, 9, 9], 1, False)]
    found = [(OBJECT, 2, 0.9), ([40, 0, 5, 5], 1, 0.8)]
    counts = confusion_matrix([scene(objects, found)], CLASSES)
    assert {tuple(x) for x in np.argwhere(counts)} == {(0, 2), (3, 1), (1, 3)}


@pytest.mark.parametrize('label', [None, 0, 1, 2])
def test_no_other_threshold_has_a_higher_f1(label):
    scenes = [random_scene(700 + i) for i in range(12)]
    judgements = [judge(x) for x in scenes]
    if label is None:
        best = best_threshold(scenes, judgements)
    else:
        best = best_thresholds(scenes, judgements, CLASSES)[label]
    kept = [s for x in scenes for s in x.scores]
    assert best is not None
    assert best.f1 == pytest.approx(max(slow_f1(scenes, s, label) for s in kept))
    assert best.f1 == pytest.approx(slow_f1(scenes, best.score, label))
    assert best.f1 == pytest.approx(
        2 * best.precision * best.recall / (best.precision + best.recall)
    )


def slow_f1(scenes: list[Scene], score: float, label: int | None) -> float:
    right = wrong = objects = 0
    for x in scenes:
        verdicts, _, _ = slow_judgement(x)
        wanted = [label is None or y == label for y in x.labels]
        objects += sum(w and not c for w, c in zip(wanted, x.crowd))
        for verdict, y, s in zip(verdicts, x.found_labels, x.scores):
            if s >= score and verdict != 'ignored' and (label is None or y == label):
                right += verdict == 'correct'
                wrong += verdict != 'correct'
    return 2 * right / (right + wrong + objects)


def test_a_class_that_nothing_finds_has_no_threshold():
    x = scene([(OBJECT, 0, False)], [])
    assert best_threshold([x], [judge(x)]) is None
    assert best_thresholds([x], [judge(x)], 2) == [None, None]
