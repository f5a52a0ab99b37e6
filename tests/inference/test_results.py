import contextlib
import json
import sys

import pytest
import torch
from mmengine.structures import InstanceData
from pycocotools.coco import COCO

from freeanchor.inference import to_coco, to_dicts, to_supervision


def found(name: str, *rows: tuple) -> InstanceData:
    boxes, scores, labels = zip(*rows) if rows else ([], [], [])
    return InstanceData(
        metainfo=dict(img_path=name),
        bboxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        scores=torch.tensor(scores, dtype=torch.float64),
        labels=torch.tensor(labels, dtype=torch.int64),
        names=['cat' if label == 0 else 'dog' for label in labels],
    )


ONE = found('a.jpg', ([1, 2, 4, 8], 0.5, 1), ([0, 0, 1, 1], 0.25, 0))
NONE = found('b.jpg')
TWO = found('c.jpg', ([5, 5, 9, 9], 0.75, 0))


def test_dicts_are_plain_values():
    first, second = to_dicts(ONE)
    assert first == dict(name='dog', label=1, score=0.5, bbox=[1, 2, 4, 8])
    assert second['name'] == 'cat'
    assert json.loads(json.dumps(to_dicts(ONE))) == [first, second]
    assert to_dicts(NONE) == []


def test_coco_results_have_sides_instead_of_corners():
    rows = to_coco([ONE, NONE, TWO], category_ids=(7, 9))
    assert [x['image_id'] for x in rows] == [1, 1, 3]
    assert [x['category_id'] for x in rows] == [9, 7, 7]
    assert rows[0]['bbox'] == [1, 2, 3, 6]
    assert rows[2]['file_name'] == 'c.jpg'


def test_pycocotools_reads_coco_results():
    ids = {'a.jpg': 42, 'b.jpg': 5, 'c.jpg': 77}
    truth = COCO()
    truth.dataset = dict(
        images=[dict(id=x) for x in ids.values()],
        categories=[dict(id=7, name='cat'), dict(id=9, name='dog')],
        annotations=[],
    )
    with contextlib.redirect_stdout(None):
        truth.createIndex()
        read = truth.loadRes(to_coco([ONE, NONE, TWO], (7, 9), ids))
    assert read.getImgIds() == [42, 5, 77]
    assert [x['area'] for x in read.loadAnns(read.getAnnIds(42))] == [18, 1]


def test_supervision_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'supervision', None)
    with pytest.raises(ImportError, match=r'pip install freeanchor\[supervision\]'):
        to_supervision(ONE)


def test_supervision_gets_boxes_scores_and_names():
    pytest.importorskip('supervision')
    detections = to_supervision(ONE)
    assert detections.xyxy.tolist() == [[1, 2, 4, 8], [0, 0, 1, 1]]
    assert detections.confidence.tolist() == [0.5, 0.25]
    assert detections.class_id.tolist() == [1, 0]
    assert detections['class_name'].tolist() == ['dog', 'cat']
    assert len(to_supervision(NONE)) == 0
