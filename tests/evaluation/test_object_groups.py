"""Groups of objects are COCO's areas by another measure, checked by pycocotools."""

import contextlib
import io
import json
from math import inf, isnan, nan

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from freeanchor.evaluation import CocoMetric
from freeanchor.evaluation.coco_backends import BACKENDS, Annotations
from freeanchor.evaluation.object_groups import STANDARD_GROUPS, read_groups
from freeanchor.evaluation.object_measures import MEASURES, aspect_ratios, crowding
from freeanchor.registry import METRICS
from tests.evaluation.test_coco_metric import (
    CAT_IDS,
    META,
    guesses,
    measure,
    truth,
    write,
)

GROUPS = dict(
    slender=dict(by='aspect_ratio', low=2),
    square=dict(by='aspect_ratio', high=2),
    crowded=dict(by='crowding', low=0.1),
    alone=dict(by='crowding', high=0.1),
)
INSIDE, OUTSIDE = 2000.0, 1.0  # areas: a medium object and a small one


def iou(a: list[float], b: list[float]) -> float:
    """Of two boxes x, y, width, height."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


def ratio(box: list[float]) -> float:
    shorter, longer = sorted(box[2:])
    return longer / shorter if shorter > 0 else np.finfo(float).max


def crowd_of(annotation: dict, objects: list[dict]) -> float:
    """Highest IoU with another object of the image."""
    others = [
        iou(annotation['bbox'], x['bbox'])
        for x in objects
        if x['image_id'] == annotation['image_id'] and x['id'] != annotation['id']
    ]
    return max(others, default=0.0)


def membership(detection: dict, objects: list[dict], by: str) -> float:
    """What decides whether a detection that finds nothing is of a group."""
    if by == 'aspect_ratio':
        return ratio(detection['bbox'])
    here = [x for x in objects if x['image_id'] == detection['image_id']]
    overlaps = [iou(detection['bbox'], x['bbox']) for x in here]
    if max(overlaps, default=0) == 0:
        return 0.0
    return crowd_of(here[overlaps.index(max(overlaps))], objects)


def by_areas(path: str, detections: str, group: dict) -> tuple[float, float, float]:
    """AP, AP50 and AR@100 of a group that is disguised as the medium objects."""
    by, low, high = group['by'], group.get('low', 0), group.get('high', inf)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(path)
        found = coco.loadRes(detections)
        in_use = [x for x in coco.anns.values() if x['category_id'] in CAT_IDS]
        objects = [x for x in in_use if not x['iscrowd']]
        for x in coco.anns.values():
            value = ratio(x['bbox']) if by == 'aspect_ratio' else crowd_of(x, objects)
            x['area'] = INSIDE if low <= value < high else OUTSIDE
        for x in found.anns.values():
            inside = low <= membership(x, objects, by) < high
            x['area'] = INSIDE if inside else OUTSIDE
        evaluator = COCOeval(coco, found, 'bbox')
        evaluator.params.catIds = sorted(CAT_IDS)
        evaluator.evaluate()
        evaluator.accumulate()
    medium = evaluator.params.areaRngLbl.index('medium')
    precision = evaluator.eval['precision'][:, :, :, medium, -1]
    recall = evaluator.eval['recall'][:, :, medium, -1]
    parts = (precision, precision[0], recall)
    return tuple(float(x[x > -1].mean()) for x in parts)


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('name', GROUPS)
def test_a_group_has_the_numbers_of_an_area(tmp_path, backend, name):
    if backend == 'faster_coco_eval':
        pytest.importorskip('faster_coco_eval')
    content = truth(12)
    path, out = write(tmp_path, content), str(tmp_path / 'found')
    settings = dict(outfile_prefix=out, backend=backend, groups=GROUPS)
    ours = measure(path, guesses(content), **settings)
    names = (f'bbox_mAP_{name}', f'bbox_mAP_50_{name}', f'bbox_AR_{name}@100')
    numbers = tuple(ours[f'coco/{x}'] for x in names)
    assert numbers == by_areas(path, f'{out}.bbox.json', GROUPS[name])
    assert 0.1 < numbers[0] < 0.9


def test_the_usual_numbers_are_the_same_with_groups_as_without(tmp_path):
    content = truth(6)
    path, samples = write(tmp_path, content), guesses(content)
    plain = measure(path, samples)
    grouped = measure(path, samples, groups=STANDARD_GROUPS)
    assert {k: grouped[k] for k in plain} == plain
    assert set(grouped) - set(plain) == {
        f'coco/bbox_{x}' for name in ('slender', 'crowded')
        for x in (f'mAP_{name}', f'mAP_50_{name}', f'AR_{name}@100')
    }  # fmt: skip


def test_a_group_without_objects_has_no_number(tmp_path):
    content = truth(3)
    groups = dict(none=dict(by='aspect_ratio', low=1e6))
    numbers = measure(write(tmp_path, content), guesses(content), groups=groups)
    missing = {name for name, value in numbers.items() if isnan(value)}
    assert missing == {f'coco/bbox_{x}_none' for x in ('mAP', 'mAP_50')} | {
        'coco/bbox_AR_none@100'
    }


def test_ranges_that_touch_share_no_object():
    below, above = read_groups(
        dict(
            a=dict(by='aspect_ratio', high=3),
            b=dict(by='aspect_ratio', low=3),
        )
    ).values()
    assert below.closed[1] < 3 == above.closed[0]
    assert below.closed[0] == 0
    assert above.closed[1] == inf


def test_a_duplicate_beside_a_crowded_object_lowers_the_ap_of_crowded_ones(tmp_path):
    """Of two false detections, each in one group, each lowers that group's AP only."""
    boxes = [[10, 10, 40, 40], [20, 10, 40, 40], [200, 200, 40, 40]]
    content = truth(1, objects_each=3)
    for annotation, box in zip(content['annotations'], boxes):
        annotation.update(bbox=box, area=1600, category_id=3, iscrowd=0)
    perfect = [*boxes]
    groups = {k: GROUPS[k] for k in ('crowded', 'alone')}

    def precisions(*wrong: list[float]) -> list[float]:
        found = torch.tensor([*wrong, *perfect], dtype=torch.float32)
        found[:, 2:] += found[:, :2]
        sample = dict(
            bboxes=found,
            scores=torch.linspace(0.9, 0.5, len(found)),
            labels=torch.ones(len(found), dtype=torch.long),
        )
        numbers = measure(
            write(tmp_path, content),
            [dict(img_id=10, pred_instances=sample)],
            META,
            groups=groups,
        )
        return [round(numbers[f'coco/bbox_mAP_50_{k}'], 3) for k in groups]

    assert precisions() == [1, 1]
    crowded, alone = precisions([12, 40, 40, 40])
    assert (crowded < 1, alone) == (True, 1)
    crowded, alone = precisions([400, 400, 40, 40])
    assert (crowded, alone < 1) == (1, True)


@pytest.mark.parametrize('name', MEASURES)
def test_nothing_found_and_nothing_to_find_have_no_measure(name):
    nothing = Annotations([], 2, 1)
    of_truth, of_found = MEASURES[name](nothing, nothing)
    assert len(of_truth) == len(of_found) == 0


def table(*boxes: list[float], crowd: int | None = None) -> Annotations:
    rows = [
        dict(image_id=1, category_id=1, bbox=box, area=0, iscrowd=int(i == crowd))
        for i, box in enumerate(boxes)
    ]
    return Annotations(rows, 1, 1)


def test_a_ratio_is_that_of_the_longer_side():
    boxes = table([0, 0, 30, 10], [5, 5, 10, 30], [0, 0, 7, 7], [0, 0, 4, 0])
    *known, flat = aspect_ratios(boxes, boxes)[0]
    assert known == [3, 3, 1]
    assert 1e300 < flat < inf


def test_crowd_regions_crowd_nobody():
    near = [[0, 0, 10, 10], [0, 0, 10, 9]]
    found = table([0, 0, 10, 10], [50, 50, 5, 5])
    assert crowding(table(*near), found)[0].tolist() == [0.9, 0.9]
    assert crowding(table(*near), found)[1].tolist() == [0.9, 0]
    assert crowding(table(*near, crowd=1), found)[0][0] == 0
    assert crowding(table(*near, crowd=1), found)[1].tolist() == [0, 0]


def test_a_box_without_area_is_not_crowded():
    of_truth, _ = crowding(table([1, 1, 0, 0], [1, 1, 0, 0]), table())
    assert np.array_equal(of_truth, [0, 0])


@pytest.mark.parametrize(
    ('group', 'message'),
    [
        (dict(by='colour'), r'groups\.odd is .*aspect_ratio, crowding'),
        (dict(low=3), r'groups\.odd is .*by=\.\.\.'),
        (dict(by='crowding', least=3), r'groups\.odd is .*low=\.\.\.'),
        (dict(by='crowding', low=3, high=3), r'groups\.odd has no room'),
        (dict(by='crowding', low=nan), r'groups\.odd has no room'),
    ],
)
def test_a_group_that_makes_no_sense_is_refused(tmp_path, group, message):
    with pytest.raises(ValueError, match=message):
        CocoMetric(write(tmp_path, truth(1)), groups=dict(odd=group))


def test_a_group_cannot_take_the_name_of_a_usual_number():
    with pytest.raises(ValueError, match=r'groups\.s has the name'):
        read_groups(dict(s=dict(by='aspect_ratio')))


def test_groups_are_shown_as_a_table(tmp_path, monkeypatch):
    lines: list[str] = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'info', lines.append)
    content = truth(6)
    measure(write(tmp_path, content), guesses(content), groups=GROUPS)
    head, *rows = lines[-1].splitlines()[1:]
    assert head.split() == ['group', 'objects', 'AP', 'AP50', 'AR@100']
    counts = {row.split()[0]: int(row.split()[1]) for row in rows}
    in_use = [
        x
        for x in content['annotations']
        if x['category_id'] in CAT_IDS and not x['iscrowd']
    ]
    assert counts['slender'] + counts['square'] == len(in_use)
    assert counts['slender'] == sum(ratio(x['bbox']) >= 2 for x in in_use)
    assert counts['crowded'] == sum(crowd_of(x, in_use) >= 0.1 for x in in_use)


def test_a_group_is_set_in_a_config_file(tmp_path):
    path = write(tmp_path, truth(1))
    settings = json.loads(json.dumps(dict(STANDARD_GROUPS)))
    metric = METRICS.build(dict(type='CocoMetric', ann_file=path, groups=settings))
    assert list(metric.groups) == ['slender', 'crowded']
