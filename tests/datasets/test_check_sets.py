"""The sets of a config, compared with each other."""

import json
from pathlib import Path
from typing import Any

import pytest

from freeanchor.datasets import DataError, check
from freeanchor.datasets.check import (
    Source,
    check_before_training,
    check_sources,
    sources_of,
)

from .checked_sets import BOXES, codes, edited, only, sound
from .coco_files import box
from .pictures import encoded

NAMES = ('cup', 'tree', 'boat')


def dataset(source: Source, classes: tuple[str, ...] | None = None) -> dict[str, Any]:
    return dict(
        type='CocoDataset',
        ann_file=source.ann_file,
        data_prefix=dict(img_path=source.folder),
        **({} if classes is None else dict(metainfo=dict(classes=classes))),
    )


def config(train: dict, val: dict, **model: Any) -> dict:
    return dict(
        model=dict(bbox_head=model),
        train_dataloader=dict(dataset=train),
        val_dataloader=dict(dataset=dict(val, test_mode=True)),
        test_dataloader=dict(dataset=dict(val, test_mode=True)),
    )


def test_one_file_with_two_orders_of_classes_is_an_error(tmp_path):
    source = sound(tmp_path)
    cfg = config(dataset(source, NAMES), dataset(source, NAMES[::-1]))
    assert [x.name for x in sources_of(cfg)] == ['train', 'val']
    report = check_sources(sources_of(cfg), 'fast')
    assert 'train' in only(report, 'different_classes').text
    with pytest.raises(DataError, match='classes of val or their order differ'):
        check_before_training(cfg, 'fast')


@pytest.mark.parametrize('level', ['fast', 'full'])
def test_validation_on_the_training_file_is_one_warning(tmp_path, level):
    source = sound(tmp_path)
    cfg = config(dataset(source), dataset(source))
    report = check_sources(sources_of(cfg), level, workers=1)
    assert codes(report) == dict(shared_image=1)
    assert not report.errors
    assert 'val has the images of train' in only(report, 'shared_image').text


def test_validation_on_one_of_two_training_files_is_one_warning(tmp_path):
    first = sound(tmp_path / 'a')
    for i in range(1, 5):
        (tmp_path / f'a/{i}.png').write_bytes(encoded('png') + bytes(i))
    second = sound(tmp_path / 'b')
    parts = [dataset(first), dataset(second)]
    train = dict(type='ConcatDataset', datasets=parts)
    found = sources_of(config(train, dataset(second)))
    assert [x.name for x in found] == ['train', 'train', 'val']
    assert codes(check_sources(found, 'fast')) == dict(shared_image=1)


def test_the_faults_of_one_file_in_two_sets_are_counted_once(tmp_path):
    useless = [box([5 + i / 100, 5, 0, 9]) for i in range(3)]
    source = sound(tmp_path, [*BOXES[:-1], *useless])
    (tmp_path / '3.png').unlink()
    cfg = config(dataset(source), dataset(source), num_classes=5)
    report = check_sources(sources_of(cfg), 'fast')
    assert codes(report) == dict(
        num_classes=1, missing_image=1, zero_box=3, shared_image=1
    )


def test_what_is_wrong_with_the_second_use_of_a_file_is_named(tmp_path):
    source = sound(tmp_path)
    cfg = config(dataset(source, ('cup', 'tre')), dataset(source, ('cup', 'tre', 'b')))
    report = check_sources(sources_of(cfg), 'fast')
    texts = [x.text for x in report.findings if x.code == 'unknown_class']
    assert [x.split("'")[1] for x in texts] == ['tre', 'b']


def test_a_file_that_two_sets_read_is_parsed_once(tmp_path, monkeypatch):
    parsed: list[str] = []
    plain = check.parse_coco

    def parse(path: str) -> dict:
        parsed.append(path)
        return plain(path)

    monkeypatch.setattr(check, 'parse_coco', parse)
    source = sound(tmp_path)
    check_sources(sources_of(config(dataset(source), dataset(source))), 'fast')
    assert parsed == [source.ann_file]


@pytest.mark.parametrize('classes', [None, NAMES])
def test_images_without_annotations_have_the_classes_of_their_set(tmp_path, classes):
    train = sound(tmp_path / 'a')
    test = edited(tmp_path / 'b', lambda content: content.pop('annotations'))
    cfg = config(dataset(train, classes), dataset(test, classes))
    report = check_sources(sources_of(cfg), 'fast')
    assert not report.errors, codes(report)


def test_images_without_annotations_may_have_other_classes(tmp_path):
    def edit(content: dict) -> None:
        content.pop('annotations')
        content['categories'].reverse()

    cfg = config(dataset(sound(tmp_path / 'a')), dataset(edited(tmp_path / 'b', edit)))
    report = check_sources(sources_of(cfg), 'fast')
    assert 'different_classes' in codes(report)


def test_a_set_whose_images_are_in_the_working_folder_is_checked(tmp_path, monkeypatch):
    source = sound(tmp_path)
    (tmp_path / '2.png').unlink()
    monkeypatch.chdir(tmp_path)
    train = dict(type='CocoDataset', ann_file='boxes.json')
    train['data_prefix'] = dict(img_path='')
    with pytest.raises(DataError, match=r'2\.png'):
        check_before_training(dict(train_dataloader=dict(dataset=train)), 'fast')
    assert json.loads(Path(source.ann_file).read_text())
