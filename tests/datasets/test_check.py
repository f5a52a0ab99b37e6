"""What the doctor makes of a set, and what training makes of the doctor."""

import json
from pathlib import Path
from typing import Any

import pytest

from freeanchor.datasets import CocoDataset, DataError, check
from freeanchor.datasets.check import Source, check_before_training, check_sources
from freeanchor.datasets.checks.findings import EXAMPLES, Finding, Report
from freeanchor.datasets.checks.table import as_table, one_line

from .checked_sets import (
    BOXES,
    checked,
    codes,
    edited,
    only,
    sound,
)
from .coco_files import box


def test_a_sound_set_has_no_finding(tmp_path):
    for level in ('fast', 'full'):
        report = checked(sound(tmp_path), level)
        assert not report.counts, as_table(report)
        (summary,) = report.sets
        assert (summary.images, summary.files_seen, summary.boxes) == (4, 4, 12)
        assert summary.objects == dict(cup=4, tree=4, boat=4)


CLASS_FAULTS = [
    (('cup', 'tre', 'boat'), 'unknown_class', "mean 'tree'"),
    (('cup', 'cup', 'tree', 'boat'), 'duplicate_class', "'cup' is named twice"),
    ('cup', 'unknown_class', "('cup',)"),
    (('cup', 'tree'), 'other_class', 'boat'),
]


@pytest.mark.parametrize(('classes', 'code', 'message'), CLASS_FAULTS)
def test_wrong_class_names_are_named_with_the_nearest(tmp_path, classes, code, message):
    source = sound(tmp_path)
    source = Source('train', source.ann_file, source.folder, classes)
    report = checked(source)
    only(report, code)
    assert message in as_table(report)


def test_a_class_without_a_box_is_named(tmp_path):
    report = checked(sound(tmp_path, BOXES[:2]))
    assert "'boat' has no box" in only(report, 'unused_class').text


def test_the_model_must_have_as_many_classes(tmp_path):
    source = sound(tmp_path)
    source = Source('train', source.ann_file, source.folder, num_classes=80)
    assert 'there are 3 classes' in only(checked(source), 'num_classes').mend


def test_two_sets_must_mean_the_same_classes(tmp_path):
    train, val = sound(tmp_path / 'a'), sound(tmp_path / 'b')
    order = ('boat', 'cup', 'tree')
    val = Source('val', val.ann_file, val.folder, order)
    assert 'different_classes' in codes(check_sources([train, val], 'fast'))


def test_counts_go_on_where_examples_end(tmp_path):
    boxes = [box([5 + i / 100, 5, 0, 9]) for i in range(3 * EXAMPLES)]
    report = checked(sound(tmp_path, [*BOXES, *boxes]))
    assert codes(report)['zero_box'] == 3 * EXAMPLES
    assert sum(x.code == 'zero_box' for x in report.findings) == EXAMPLES
    assert json.dumps(report.as_data())


def config(source: Source, **arguments: Any) -> dict:
    dataset = dict(
        type='CocoDataset',
        ann_file=source.ann_file,
        data_prefix=dict(img_path=source.folder),
        **arguments,
    )
    return dict(train_dataloader=dict(dataset=dataset))


def test_training_ends_at_an_error_in_one_line(tmp_path, capsys):
    cfg = config(edited(tmp_path, lambda x: x['images'][1].update(file_name='no.png')))
    with pytest.raises(
        DataError, match=r'boxes\.json, image 2 \(no\.png\): there is no'
    ):
        check_before_training(cfg, 'fast')
    assert 'missing_image' in capsys.readouterr().out
    check_before_training(cfg, 'off')


def test_training_goes_on_with_a_warning_in_one_line(tmp_path, monkeypatch):
    lines: list[str] = []
    monkeypatch.setattr(check, 'print_log', lambda line, **_: lines.append(line))
    check_before_training(config(sound(tmp_path, [*BOXES, box([5, 5, 0, 9])])), 'fast')
    assert len(lines) == 1
    assert '1 zero_box' in lines[0]


def test_the_line_counts_a_kind_over_all_files():
    report = Report()
    for file in ('train.json', 'train.json', 'val.json'):
        report.add(Finding('zero_box', file, 'a box has no area', 'leave it out'))
    assert one_line(report) == '0 errors, 3 warnings: 3 zero_box'


def test_a_file_that_was_checked_is_not_parsed_again_unless_it_changed(
    tmp_path, monkeypatch
):
    source = sound(tmp_path)
    parsed: list[str] = []
    plain = check.parse_coco

    def parse(path: str) -> dict:
        parsed.append(path)
        return plain(path)

    for module in ('check', 'coco_file'):
        monkeypatch.setattr(f'freeanchor.datasets.{module}.parse_coco', parse)
    arguments = dict(data_prefix=dict(img_path=source.folder))
    check_before_training(config(source), 'fast')
    CocoDataset(source.ann_file, **arguments)
    assert len(parsed) == 1
    check_before_training(config(source), 'fast')
    sound(tmp_path, BOXES[:5])
    assert (
        len(CocoDataset(source.ann_file, **arguments).get_data_info(1)['instances'])
        == 2
    )
    assert len(parsed) == 3


def test_sets_within_others_are_found(tmp_path):
    parts = [config(sound(tmp_path / x))['train_dataloader']['dataset'] for x in 'ab']
    joined = dict(type='ConcatDataset', datasets=parts)
    cfg = dict(
        train_dataloader=dict(
            dataset=dict(type='RepeatDataset', times=2, dataset=joined)
        ),
        val_dataloader=dict(dataset={**parts[1], 'test_mode': True}),
    )
    found = check.sources_of(cfg)
    assert [(x.name, Path(x.ann_file).parent.name) for x in found] == [
        *(('train', 'a'), ('train', 'b'), ('val', 'b'))
    ]
