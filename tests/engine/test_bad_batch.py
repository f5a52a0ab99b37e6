"""A saved batch is plain data and comes back as it was."""

from pathlib import Path

import pytest
import torch
from mmengine.structures import BaseDataElement

from freeanchor.engine.bad_batch import batch_of, name_of, plain_batch, plain_config
from freeanchor.engine.late_flag import LateFlag
from tests.batches import sample


def test_a_batch_survives_a_file_that_runs_no_code(tmp_path: Path) -> None:
    image = torch.arange(48, dtype=torch.uint8).view(3, 4, 4)
    element = sample(
        [[1, 2, 3, 4]], [2], (4, 4), ignored=[[0, 0, 1, 1]], img_path='a.jpg',
        img_id=9, flip=True, where=Path('a.jpg'),
    )  # fmt: skip
    path = tmp_path / 'batch.pth'
    torch.save(plain_batch(dict(inputs=[image], data_samples=[element])), path)
    found = batch_of(torch.load(path, weights_only=True))
    assert torch.equal(found['inputs'][0], image)
    (other,) = found['data_samples']
    assert type(other) is BaseDataElement
    expected = dict(element.metainfo_items(), where='a.jpg')
    assert dict(other.metainfo_items()) == expected
    for key in ('gt_instances', 'ignored_instances'):
        assert torch.equal(other.get(key).bboxes, element.get(key).bboxes)
        assert torch.equal(other.get(key).labels, element.get(key).labels)


def test_what_is_no_data_is_written_as_text() -> None:
    assert 'function' in plain_batch([test_what_is_no_data_is_written_as_text])[0]


def test_a_saved_model_loads_no_weights_of_its_own() -> None:
    backbone = dict(type='ResNet', depth=18, init_cfg=dict(type='Pretrained'))
    found = plain_config(dict(backbone=backbone, scales=[(1, 2)]))
    assert found == dict(backbone=dict(type='ResNet', depth=18), scales=[(1, 2)])


def test_an_image_is_named_with_the_annotations_that_are_known() -> None:
    element = sample([[1, 2, 3, 4]] * 2, [0, 1], img_path='a.jpg', img_id=9)
    assert name_of(element) == 'a.jpg (id 9)'
    element.gt_instances.ann_ids = torch.tensor([70, 71])
    assert name_of(element) == 'a.jpg (id 9, annotations 70, 71)'


def test_of_many_annotations_the_first_are_named() -> None:
    element = sample([[1, 2, 3, 4]] * 30, [0] * 30, img_path='a.jpg', img_id=9)
    element.gt_instances.ann_ids = torch.arange(30)
    assert name_of(element).endswith('18, 19 and 10 more)')


@pytest.mark.parametrize('value', [0.0, 1.0])
def test_a_flag_is_read(value: float) -> None:
    flag = LateFlag(torch.tensor(value))
    assert flag.read() is bool(value)
    assert not flag.is_late
