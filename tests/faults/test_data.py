"""Training and the doctor on faulty data, as processes."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from tests.datasets.coco_files import box, write
from tests.datasets.pictures import bomb

from .runs import ROOT, finish, run, start_command, toy_config

DATA_ERROR = 3  # exit code
DOCTOR = ROOT / 'tools/data/doctor.py'


@pytest.fixture
def doctor(monkeypatch, capsys):
    """The tool, in this process: quicker than a new one."""
    spec = importlib.util.spec_from_file_location('doctor', DOCTOR)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def call(*args: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, 'argv', ['doctor.py', *args])
        return module.main(), capsys.readouterr().out

    return call


def annotations(folder: Path) -> Path:
    return folder / 'data/annotations/train.json'


def edit(path: Path, change) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_training_on_faulty_annotations_ends_before_the_model_with_code_3(tmp_path):
    """T8: the error is one line, with file, annotation, and what to do."""
    config = toy_config(tmp_path)

    def change(content: dict) -> None:
        content['annotations'][4]['bbox'] = ['1', '2', '3', '4']

    edit(annotations(tmp_path), change)
    code, text = run(config)
    assert code == DATA_ERROR
    last = text.strip().splitlines()[-1]
    assert last.startswith('error: ')
    assert 'train.json' in last
    assert 'annotation 5' in last
    assert 'four finite numbers' in last
    assert 'Traceback' not in text
    assert not list((tmp_path / 'work').glob('*.pth'))


def test_a_mistyped_class_ends_training_with_the_nearest_name(tmp_path):
    """T13: nothing is trained under another name."""
    names = ['rod', 'elbow', 'disk', 'ring', 'brick', 'triangle']
    dataset = dict(metainfo=dict(classes=names))
    config = toy_config(tmp_path, train_dataloader=dict(dataset=dataset))
    code, text = run(config)
    assert code == DATA_ERROR
    assert "'disk' is not in the file. Did you mean 'disc'?" in text


@pytest.mark.slow
def test_training_replaces_a_broken_image_says_so_once_and_ends_well(tmp_path):
    """T8: seen through two workers, over three epochs."""
    config = toy_config(tmp_path, train_dataloader=dict(num_workers=2))
    (tmp_path / 'data/train/0007.png').write_bytes(bomb())
    code, text = run(config, '--check', 'off')
    assert code == 0, text[-3000:]
    lines = [x for x in text.splitlines() if 'takes its place' in x]
    assert len(lines) == 1
    assert '0007.png' in lines[0]
    assert '30000 x 30000' in lines[0]


@pytest.mark.slow
def test_training_ends_where_many_images_are_broken(tmp_path):
    """T8: with a list of them, and the code of a data error."""
    config = toy_config(tmp_path, train_dataloader=dict(num_workers=2))
    for i in range(1, 11):
        (tmp_path / f'data/train/{i:04d}.png').write_bytes(b'')
    code, text = run(config, '--check', 'off')
    assert code == DATA_ERROR, text[-3000:]
    last = text.strip().splitlines()[-1]
    assert 'training images cannot be used' in last
    assert '.png (it is empty)' in last


def test_the_doctor_mends_a_file_that_then_passes(tmp_path, doctor):
    """T8: exit codes, the findings as JSON, and the list of what was dropped."""
    boxes = [box([5, 5, 9, 9], category=c) for c in (3, 8, 11)]
    bad = [box([5, 5, 0, 9]), box([5, 5, 9, 9], image=7)]
    write(tmp_path, [*boxes, *bad])
    ann, mended = str(tmp_path / 'boxes.json'), str(tmp_path / 'mended.json')
    files = ['--ann', ann, '--images', str(tmp_path), '--workers', '1']
    found = tmp_path / 'found.json'
    code, text = doctor(*files, '--json', str(found))
    assert code == DATA_ERROR, text
    codes = {x['code'] for x in json.loads(found.read_text())['kinds']}
    assert {'zero_box', 'unknown_image'} <= codes

    code, text = doctor(*files, '--fix', mended)
    assert code == 0, text
    dropped = json.loads((tmp_path / 'mended.dropped.json').read_text())
    assert {x['entry']['id'] for x in dropped} == {103, 104}
    files[1] = mended
    assert doctor(*files, '--strict')[0] == 0


def test_warnings_are_errors_where_the_doctor_is_strict(tmp_path, doctor):
    """T8: else they are not."""
    boxes = [box([5, 5, 9, 9], category=c) for c in (3, 8, 11)]
    write(tmp_path, [*boxes, box([5, 5, 0, 9])])
    files = ['--ann', str(tmp_path / 'boxes.json'), '--images', str(tmp_path)]
    assert doctor(*files, '--level', 'fast')[0] == 0
    assert doctor(*files, '--level', 'fast', '--strict')[0] == DATA_ERROR


def test_the_doctor_reads_the_sets_of_a_config(tmp_path):
    """T8: training and validation, and says which."""
    config = toy_config(tmp_path)
    command = [sys.executable, str(DOCTOR), str(config), '--workers', '1']
    code, text = finish(start_command(command, tmp_path))
    assert code == 0, text
    assert 'train: ' in text
    assert 'val: ' in text
    assert '40 images (40 files looked at)' in text
