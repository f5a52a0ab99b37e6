import contextlib
import io
import json
from collections.abc import Sequence
from math import isnan
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler
from mmengine.logging import MMLogger
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from freeanchor.evaluation import CocoMetric
from freeanchor.evaluation.coco_backends import BACKENDS
from freeanchor.evaluation.coco_results import STATS
from tests.processes import run_on_processes

CLASSES = ('boat', 'cup', 'tree')  # not in the order of their ids
CAT_IDS = [11, 3, 8]
META = dict(classes=CLASSES, cat_ids=CAT_IDS)
CATEGORIES = [
    dict(id=3, name='cup'),
    dict(id=8, name='tree'),
    dict(id=11, name='boat'),
    dict(id=40, name='rock'),
]


def truth(num_images: int, objects_each: int = 8) -> dict:
    """Objects of all sizes and some crowds, on images with ids from 10."""
    rng = np.random.RandomState(0)
    annotations = []
    for i in range(num_images * objects_each):
        x, y, w, h = (rng.random_sample(4) * [400, 400, 150, 150]).round(2).tolist()
        annotations.append(
            dict(
                id=i + 1,
                image_id=10 + i // objects_each,
                category_id=[3, 8, 11, 40][rng.randint(4)],
                bbox=[x, y, w + 1, h + 1],
                area=(w + 1) * (h + 1),
                iscrowd=int(i % 7 == 3),
            )
        )
    images = [
        dict(id=10 + i, file_name=f'{i}.jpg', width=600, height=600)
        for i in range(num_images)
    ]
    return dict(images=images, annotations=annotations, categories=CATEGORIES)


def guesses(content: dict) -> list[dict]:
    """Samples with detections: the objects, moved a little, and nonsense."""
    rng = np.random.RandomState(1)
    samples = []
    for image in content['images']:
        found = [x for x in content['annotations'] if x['image_id'] == image['id']]
        found = [x for x in found if x['category_id'] in CAT_IDS]
        boxes = np.array([x['bbox'] for x in found]).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        boxes = np.concatenate([boxes + rng.normal(0, 4, boxes.shape), boxes + 300])
        labels = [CAT_IDS.index(x['category_id']) for x in found] * 2
        instances = dict(
            bboxes=torch.from_numpy(boxes).float(),
            scores=torch.from_numpy(rng.random_sample(len(boxes))).float(),
            labels=torch.tensor(labels, dtype=torch.long),
        )
        samples.append(dict(img_id=image['id'], pred_instances=instances))
    return samples


def write(folder, content: dict) -> str:
    path = folder / 'truth.json'
    path.write_text(json.dumps(content))
    return str(path)


def measure(path: str, samples: list[dict], meta: dict = META, **kwargs) -> dict:
    metric = CocoMetric(path, **kwargs)
    metric.dataset_meta = meta
    for sample in samples:
        metric.process({}, [sample])
    return metric.evaluate(len(samples))


def direct(path: str, detections: str) -> list[float]:
    """What pycocotools gives for two files, as its own demo runs it."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(path)
        evaluator = COCOeval(coco, coco.loadRes(detections), 'bbox')
        evaluator.params.catIds = sorted(CAT_IDS)
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return evaluator.stats.tolist()


@pytest.fixture
def log(monkeypatch) -> list[str]:
    lines: list[str] = []
    logger = MMLogger.get_current_instance()
    for level in ('info', 'warning'):
        monkeypatch.setattr(logger, level, lines.append)
    return lines


@pytest.mark.parametrize('backend', BACKENDS)
def test_the_numbers_are_those_of_pycocotools_to_the_last_digit(tmp_path, backend):
    if backend == 'faster_coco_eval':
        pytest.importorskip('faster_coco_eval')
    content = truth(12)
    path, out = write(tmp_path, content), str(tmp_path / 'out' / 'found')
    ours = measure(path, guesses(content), outfile_prefix=out, backend=backend)
    assert list(ours) == [f'coco/{name}' for name in STATS]
    assert list(ours.values()) == direct(path, f'{out}.bbox.json')
    assert 0.1 < ours['coco/bbox_mAP'] < 0.9


def test_the_order_of_classes_does_not_matter(tmp_path):
    content = truth(6)
    path, samples = write(tmp_path, content), guesses(content)
    ours = measure(path, samples, classwise=True)
    order = [2, 0, 1]
    meta = dict(
        classes=[CLASSES[i] for i in order], cat_ids=[CAT_IDS[i] for i in order]
    )
    for sample in samples:
        labels = sample['pred_instances']['labels']
        sample['pred_instances']['labels'] = torch.tensor(
            [order.index(i) for i in labels]
        )
    assert measure(path, samples, meta, classwise=True) == ours


def test_each_class_has_the_precision_it_has_alone(tmp_path, log):
    content = truth(6)
    path, samples = write(tmp_path, content), guesses(content)
    together = measure(path, samples, classwise=True)
    head, *rows = log[-1].splitlines()[1:]
    assert ' '.join(head.split()) == 'class objects AP AP50 AP75 APs APm APl'
    for label, (name, cat_id) in enumerate(zip(CLASSES, CAT_IDS)):
        only = []
        for sample in samples:
            found = sample['pred_instances']
            mine = found['labels'] == label
            kept = {k: v[mine] for k, v in found.items()}
            kept['labels'] = kept['labels'] * 0
            only.append(dict(img_id=sample['img_id'], pred_instances=kept))
        alone = measure(path, only, dict(classes=[name], cat_ids=[cat_id]))
        assert together[f'coco/{name}_precision'] == alone['coco/bbox_mAP']
        count = sum(
            x['category_id'] == cat_id and not x['iscrowd']
            for x in content['annotations']
        )
        cells = rows[label].split()
        assert cells[:3] == [name, str(count), f'{100 * alone["coco/bbox_mAP"]:.1f}']


def test_results_are_logged_as_a_table_and_pycocotools_is_quiet(tmp_path, log, capsys):
    content = truth(3)
    numbers = measure(write(tmp_path, content), guesses(content))
    assert f'{100 * numbers["coco/bbox_mAP_50"]:.1f}' in log[-1]
    assert 'AP50' in log[-1]
    assert capsys.readouterr().out == ''


def test_no_detection_is_an_ap_of_0(tmp_path):
    content = truth(3)
    samples = guesses(content)
    for sample in samples:
        found = sample['pred_instances']
        sample['pred_instances'] = {k: v[:0] for k, v in found.items()}
    assert set(measure(write(tmp_path, content), samples).values()) == {0.0}


def test_a_size_that_does_not_occur_has_no_number(tmp_path):
    content = truth(3)
    for annotation in content['annotations']:
        annotation['area'] = 100.0**2
    numbers = measure(write(tmp_path, content), guesses(content))
    missing = {name for name, value in numbers.items() if isnan(value)}
    sizes = ('bbox_mAP_s', 'bbox_mAP_m', 'bbox_AR_s@100', 'bbox_AR_m@100')
    assert missing == {f'coco/{name}' for name in sizes}


def test_a_file_without_annotations_is_refused_with_the_way_out(tmp_path):
    path = write(tmp_path, {**truth(2), 'annotations': []})
    with pytest.raises(
        ValueError, match=r'truth\.json has no annotations.*format_only'
    ):
        CocoMetric(path)


def test_images_without_objects_give_a_warning_and_no_numbers(tmp_path, log):
    content = truth(2)
    content['images'].append(dict(id=99, file_name='x', width=9, height=9))
    samples = [x for x in guesses(content) if x['img_id'] == 99]
    assert measure(write(tmp_path, content), samples) == {}
    assert 'the 1 evaluated images' in log[-1]
    assert 'no object of the classes boat, cup, tree' in log[-1]


def test_only_the_evaluated_images_count(tmp_path):
    content = truth(6)
    samples = guesses(content)[:2]
    part = {
        **content,
        'images': content['images'][:2],
        'annotations': [x for x in content['annotations'] if x['image_id'] < 12],
    }
    of_part = measure(write(tmp_path, part), samples)
    assert measure(write(tmp_path, content), samples) == of_part


def test_format_only_writes_detections_and_gives_no_numbers(tmp_path):
    content = truth(2)
    samples = guesses(content)
    path = write(tmp_path, {**content, 'annotations': []})
    out = str(tmp_path / 'found')
    assert measure(path, samples, outfile_prefix=out, format_only=True) == {}
    written = json.loads((tmp_path / 'found.bbox.json').read_text())
    assert len(written) == sum(len(x['pred_instances']['labels']) for x in samples)
    first = samples[0]['pred_instances']
    x1, y1, x2, y2 = first['bboxes'][0].tolist()
    assert written[0] == dict(
        image_id=10,
        category_id=CAT_IDS[first['labels'][0]],
        bbox=[x1, y1, x2 - x1, y2 - y1],
        score=first['scores'][0].item(),
    )


def test_format_only_needs_a_file_to_write():
    with pytest.raises(ValueError, match='outfile_prefix'):
        CocoMetric('any.json', format_only=True)


def test_evaluation_leaves_the_detections_as_they_are(tmp_path):
    content = truth(2)
    samples = guesses(content)
    boxes = samples[0]['pred_instances']['bboxes'].double()
    samples[0]['pred_instances']['bboxes'] = boxes
    before = boxes.clone()
    measure(write(tmp_path, content), samples)
    torch.testing.assert_close(boxes, before, rtol=0, atol=0)


def test_what_exporters_leave_out_is_filled_in(tmp_path):
    content = truth(3)
    for annotation in content['annotations']:
        annotation['iscrowd'] = 0
    whole = measure(write(tmp_path, content), guesses(content))
    for annotation in content['annotations']:
        width, height = annotation['bbox'][2:]
        assert annotation.pop('area') == pytest.approx(width * height)
        del annotation['iscrowd']
    assert measure(write(tmp_path, content), guesses(content)) == whole


def test_an_object_with_the_id_0_counts(tmp_path):
    """COCOeval writes a match as the object's id, and reads 0 as no match."""
    content = truth(1, objects_each=1)
    content['annotations'][0].update(id=0, category_id=3, iscrowd=0)
    box = torch.tensor([content['annotations'][0]['bbox']])
    box[:, 2:] += box[:, :2]
    found = dict(bboxes=box, scores=torch.ones(1), labels=torch.tensor([1]))
    samples = [dict(img_id=10, pred_instances=found)]
    numbers = measure(write(tmp_path, content), samples)
    assert numbers['coco/bbox_mAP'] == pytest.approx(1)


@pytest.mark.parametrize(
    ('meta', 'message'),
    [
        (dict(classes=['tree'], cat_ids=[3]), "category 3 'tree', but .* it is 'cup'"),
        (dict(classes=['tree'], cat_ids=[4]), "'tree' has the id 8"),
        (dict(classes=['trees'], cat_ids=[4]), "there is none, the nearest is 'tree'"),
        (dict(classes=['tree']), "needs 'cat_ids'"),
        (dict(cat_ids=[8]), "needs 'classes'"),
    ],
)
def test_categories_of_another_file_are_refused(tmp_path, meta, message):
    metric = CocoMetric(write(tmp_path, truth(1)))
    with pytest.raises(ValueError, match=message):
        metric.dataset_meta = meta


def test_images_of_another_file_are_refused(tmp_path):
    content = truth(2)
    samples = guesses(content)
    samples[1]['img_id'] = 7
    with pytest.raises(ValueError, match=r'image 7 .*truth\.json does not list it'):
        measure(write(tmp_path, content), samples)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'absent\.json.*evaluator'):
        CocoMetric(str(tmp_path / 'absent.json'))


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('{"images": [', 'not valid JSON'),
        ('[]', "has no 'images'"),
        ('{"images": [{"id": 1}], "categories": []}', "has no 'categories'"),
    ],
)
def test_a_file_that_is_no_annotation_file_is_named(tmp_path, content, message):
    (tmp_path / 'truth.json').write_text(content)
    with pytest.raises(ValueError, match=rf'truth\.json.*{message}'):
        CocoMetric(str(tmp_path / 'truth.json'))


def test_a_malformed_annotation_is_named(tmp_path):
    content = truth(1)
    content['annotations'][2]['bbox'] = [1, 2, 3]
    with pytest.raises(ValueError, match=r'truth\.json, annotation 3 lacks'):
        CocoMetric(write(tmp_path, content))


class _Share:
    """One process's share of evaluations, as MMEngine's loop runs them."""

    def __init__(self, folder: Path, sizes: Sequence[int]) -> None:
        self.folder, self.sizes = folder, sizes

    def __call__(self, rank: int, processes: int) -> list[dict[str, float]]:
        return [self._evaluate(size) for size in self.sizes]

    def _evaluate(self, num_images: int) -> dict[str, float]:
        samples = guesses(truth(num_images))
        folder = self.folder / str(num_images)
        metric = CocoMetric(str(folder / 'truth.json'))
        metric.dataset_meta = META
        for index in DefaultSampler(samples, shuffle=False, seed=0):
            metric.process({}, [samples[index]])
        return metric.evaluate(len(samples))


@pytest.mark.parametrize('processes', [2, 3])
def test_the_numbers_do_not_depend_on_how_many_processes_evaluate(tmp_path, processes):
    sizes = (1, 2, 7, 8)  # fewer images than processes, as many, one too few
    alone = []
    for num_images in sizes:
        content = truth(num_images)
        folder = tmp_path / str(num_images)
        folder.mkdir()
        alone.append(measure(write(folder, content), guesses(content)))
    shares = run_on_processes(_Share(tmp_path, sizes), processes)
    # Compared as text, because NaN is not equal to itself.
    assert [str(x) for x in shares] == [str(alone)] * processes


def test_an_image_that_several_processes_evaluated_counts_once(tmp_path):
    content = truth(4)
    path, samples = write(tmp_path, content), guesses(content)
    once = measure(path, samples)
    assert measure(path, samples + samples[:3]) == once


def test_a_batch_is_noted_as_its_images_one_by_one(tmp_path):
    content = truth(5)
    path, samples = write(tmp_path, content), guesses(content)
    metric = CocoMetric(path)
    metric.dataset_meta = META
    metric.process({}, samples[:3])
    metric.process({}, samples[3:])
    assert metric.evaluate(5) == measure(path, samples)


def test_labels_survive_boxes_of_half_precision(tmp_path):
    content = truth(3)
    classes = [f'class{i}' for i in range(1000)]
    content['categories'] = [dict(id=i, name=x) for i, x in enumerate(classes)]
    for annotation in content['annotations']:
        annotation.update(category_id=999, iscrowd=0)
    boxes = torch.tensor([x['bbox'] for x in content['annotations'][:8]])
    boxes[:, 2:] += boxes[:, :2]
    found = dict(
        bboxes=boxes.bfloat16(),
        scores=torch.ones(8, dtype=torch.bfloat16),
        labels=torch.full((8,), 999),
    )
    numbers = measure(
        write(tmp_path, content),
        [dict(img_id=10, pred_instances=found)],
        dict(classes=classes, cat_ids=list(range(1000))),
    )
    assert numbers['coco/bbox_mAP_50'] > 0.5


def test_images_may_be_named_by_strings(tmp_path):
    """Their order decides between equal scores, so it is kept."""
    content = truth(8)
    samples = guesses(content)
    for sample in samples:
        scores = sample['pred_instances']['scores']
        sample['pred_instances']['scores'] = scores.mul(4).round() / 4
    numbers = measure(write(tmp_path, content), samples)
    for image in content['images']:
        image['id'] = f'{image["id"]:03}.jpg'
    for annotation in content['annotations']:
        annotation['image_id'] = f'{annotation["image_id"]:03}.jpg'
    for sample in samples:
        sample['img_id'] = f'{sample["img_id"]:03}.jpg'
    assert measure(write(tmp_path, content), samples) == numbers


def test_the_backend_of_the_config_is_never_another(tmp_path, log):
    content = truth(2)
    measure(write(tmp_path, content), guesses(content), backend='pycocotools')
    assert '; pycocotools)' in log[-1]
