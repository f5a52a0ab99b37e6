"""NMS recall against slow loops in float64."""

from collections.abc import Sequence
from math import isnan
from pathlib import Path

import pytest
import torch
from mmengine.dataset import DefaultSampler
from mmengine.logging import MMLogger

from freeanchor.evaluation import NMSRecallMetric
from freeanchor.evaluation.nms_recall import THRESHOLDS
from freeanchor.registry import METRICS
from tests.evaluation.test_coco_metric import CAT_IDS, META, truth, write
from tests.evaluation.test_object_groups import iou
from tests.processes import run_on_processes

Box = list[float]
Found = list[tuple[Box, float, int]]  # x, y, width, height; score; label


def candidates(content: dict, each: int = 12) -> list[dict]:
    """Many boxes around every object, of its class or of another."""
    generator = torch.Generator().manual_seed(0)
    samples = []
    for image in content['images']:
        near = [x for x in content['annotations'] if x['image_id'] == image['id']]
        boxes = torch.tensor([x['bbox'] for x in near]).reshape(-1, 4)
        boxes = boxes.repeat(each, 1).double()
        noise = torch.randn(boxes.shape, generator=generator, dtype=torch.float64)
        boxes[:, 2:] *= (noise[:, 2:] / 8).exp()
        boxes[:, :2] += noise[:, :2] * boxes[:, 2:] / 12
        count = len(boxes)
        labels = [
            CAT_IDS.index(x['category_id']) if x['category_id'] in CAT_IDS else 0
            for x in near
        ] * each
        other = torch.rand(count, generator=generator) < 0.3
        labels = torch.where(
            other, (torch.tensor(labels) + 1) % 3, torch.tensor(labels)
        )
        boxes[:, 2:] += boxes[:, :2]
        found = dict(
            bboxes=boxes,
            scores=torch.rand(count, generator=generator, dtype=torch.float64) ** 3,
            labels=labels.long(),
        )
        samples.append(dict(img_id=image['id'], pred_instances=found))
    return samples


def measure(path: str, samples: list[dict], **settings) -> dict[str, float]:
    metric = NMSRecallMetric(path, **settings)
    metric.dataset_meta = META
    metric.process({}, samples)
    return metric.evaluate(len(samples))


def suppressed(found: Found, nms_iou: float) -> Found:
    """What NMS leaves of each class."""
    left: Found = []
    for box, score, label in sorted(found, key=lambda x: -x[1]):
        rivals = [b for b, _, c in left if c == label]
        if all(iou(box, rival) <= nms_iou for rival in rivals):
            left.append((box, score, label))
    return left


def slow(
    content: dict, samples: list[dict], nms_iou: float, class_aware: bool
) -> list[float]:
    """NR_50 to NR_90, an object and a box at a time."""
    before = [0] * len(THRESHOLDS)
    after = [0] * len(THRESHOLDS)
    for sample in samples:
        instances = sample['pred_instances']
        rows = zip(*(instances[k].tolist() for k in ('bboxes', 'scores', 'labels')))
        found = [
            ([x1, y1, x2 - x1, y2 - y1], score, label)
            for (x1, y1, x2, y2), score, label in rows
            if score > 0.05
        ]
        left = suppressed(found, nms_iou)
        for x in content['annotations']:
            wanted = x['category_id'] in CAT_IDS and not x['iscrowd']
            if x['image_id'] != sample['img_id'] or not wanted:
                continue
            for boxes, counts in ((found, before), (left, after)):
                best = max(
                    (
                        iou(box, x['bbox'])
                        for box, _, label in boxes
                        if not class_aware or CAT_IDS[label] == x['category_id']
                    ),
                    default=0.0,
                )
                for i, threshold in enumerate(THRESHOLDS):
                    counts[i] += best > threshold / 100
    return [b / a for a, b in zip(before, after)]


@pytest.mark.parametrize('class_aware', [False, True])
@pytest.mark.parametrize('nms_iou', [0.5, 0.3])
def test_it_is_the_share_of_recalled_objects_that_nms_leaves(
    tmp_path, class_aware, nms_iou
):
    content = truth(6)
    samples = candidates(content)
    settings = dict(nms_iou=nms_iou, class_aware=class_aware)
    ours = measure(write(tmp_path, content), samples, **settings)
    expected = slow(content, samples, nms_iou, class_aware)
    found = [ours[f'nms_recall/NR_{x}'] for x in THRESHOLDS]
    assert found == pytest.approx(expected, abs=1e-12)
    assert ours['nms_recall/NR'] == pytest.approx(sum(expected) / 9, abs=1e-12)
    assert 0.2 < ours['nms_recall/NR'] < 0.95


def test_recalls_before_and_after_are_those_of_all_thresholds(tmp_path):
    """A single object, found by IoU 0.82 before NMS and by 0.66 after it."""
    content = truth(1, objects_each=1)
    content['annotations'][0].update(bbox=[0, 0, 100, 100], category_id=3, iscrowd=0)
    found = dict(
        bboxes=torch.tensor([[0, 0, 100, 66.0], [0, 0, 100, 82.0]]),
        scores=torch.tensor([0.9, 0.4]),
        labels=torch.tensor([1, 1]),
    )
    samples = [dict(img_id=10, pred_instances=found)]
    numbers = measure(write(tmp_path, content), samples)
    assert numbers['nms_recall/recall_before'] == pytest.approx(7 / 9)
    assert numbers['nms_recall/recall_after'] == pytest.approx(4 / 9)
    assert numbers['nms_recall/NR'] == pytest.approx(4 / 7)
    assert numbers['nms_recall/NR_65'] == 1
    assert numbers['nms_recall/NR_80'] == 0
    assert isnan(numbers['nms_recall/NR_85'])


def test_a_duplicate_of_another_class_recalls_unless_classes_count(tmp_path):
    """The paper's number asks for no class: a wrong label after NMS will do."""
    content = truth(1, objects_each=1)
    content['annotations'][0].update(bbox=[0, 0, 100, 100], category_id=3, iscrowd=0)
    found = dict(
        bboxes=torch.tensor([[0, 0, 100, 60.0], [0, 0, 100, 99.0], [0, 0, 100, 98.0]]),
        scores=torch.tensor([0.9, 0.8, 0.3]),
        labels=torch.tensor([1, 1, 2]),
    )
    path = write(tmp_path, content)
    samples = [dict(img_id=10, pred_instances=found)]
    assert measure(path, samples)['nms_recall/NR_90'] == 1
    assert measure(path, samples, class_aware=True)['nms_recall/NR_90'] == 0


def test_crowds_boxes_below_the_threshold_and_other_categories_do_not_count(tmp_path):
    content = truth(6)
    samples = candidates(content)
    path = write(tmp_path, content)
    whole = measure(path, samples)
    for sample in samples:
        found = sample['pred_instances']
        rows = found['scores'] > 0.05
        assert not rows.all()
        sample['pred_instances'] = {k: v[rows] for k, v in found.items()}
    content['annotations'] = [
        x
        for x in content['annotations']
        if not x['iscrowd'] and x['category_id'] in CAT_IDS
    ]
    assert measure(write(tmp_path, content), samples) == whole


def test_boxes_from_after_nms_give_a_warning_and_no_number(tmp_path, monkeypatch):
    lines: list[str] = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'warning', lines.append)
    content = truth(1, objects_each=2)
    found = dict(
        bboxes=torch.tensor([[0, 0, 50, 50.0], [200, 200, 300, 300.0]]),
        scores=torch.tensor([0.9, 0.8]),
        labels=torch.tensor([0, 0]),
    )
    samples = [dict(img_id=10, pred_instances=found)]
    assert measure(write(tmp_path, content), samples) == {}
    assert 'nms_iou=1.0' in lines[0]


def test_no_box_at_all_is_no_number(tmp_path):
    content = truth(2)
    samples = candidates(content)
    for sample in samples:
        found = sample['pred_instances']
        sample['pred_instances'] = {k: v[:0] for k, v in found.items()}
    numbers = measure(write(tmp_path, content), samples)
    assert isnan(numbers['nms_recall/NR'])
    assert numbers['nms_recall/recall_before'] == 0


def test_images_without_objects_are_nothing_special(tmp_path):
    content = truth(3)
    path = write(tmp_path, content)
    samples = candidates(content)
    alone = measure(path, samples)
    content['images'].append(dict(id=99, file_name='x', width=9, height=9))
    extra = dict(img_id=99, pred_instances=samples[0]['pred_instances'])
    assert measure(write(tmp_path, content), [*samples, extra]) == alone
    assert isnan(measure(path, [extra])['nms_recall/NR'])


def test_images_and_classes_of_another_file_are_refused(tmp_path):
    metric = METRICS.build(
        dict(type='NMSRecallMetric', ann_file=write(tmp_path, truth(1)))
    )
    with pytest.raises(ValueError, match="it is 'cup'"):
        metric.dataset_meta = dict(classes=['tree'], cat_ids=[3])
    metric.dataset_meta = META
    sample = dict(img_id=7, pred_instances={})
    with pytest.raises(ValueError, match=r'image 7 .*truth\.json does not list it'):
        metric.process({}, [sample])


class _Share:
    """One process's share of an evaluation."""

    def __init__(self, folder: Path, sizes: Sequence[int]) -> None:
        self.folder, self.sizes = folder, sizes

    def __call__(self, rank: int, processes: int) -> list[dict[str, float]]:
        return [self._evaluate(size) for size in self.sizes]

    def _evaluate(self, num_images: int) -> dict[str, float]:
        samples = candidates(truth(num_images))
        path = self.folder / str(num_images) / 'truth.json'
        metric = NMSRecallMetric(str(path))
        metric.dataset_meta = META
        for index in DefaultSampler(samples, shuffle=False, seed=0):
            metric.process({}, [samples[index]])
        return metric.evaluate(len(samples))


def test_the_numbers_do_not_depend_on_how_many_processes_evaluate(tmp_path):
    sizes = (1, 4, 5)
    alone = []
    for num_images in sizes:
        folder = tmp_path / str(num_images)
        folder.mkdir()
        content = truth(num_images)
        alone.append(measure(write(folder, content), candidates(content)))
    shares = run_on_processes(_Share(tmp_path, sizes), 2)
    assert [str(x) for x in shares] == [str(alone)] * 2
