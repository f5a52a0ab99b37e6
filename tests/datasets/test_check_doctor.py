"""The doctor as a command: what it prints and what it writes over."""

import json
import os
import sys
from pathlib import Path

import pytest

from freeanchor.datasets.check import check_before_training
from freeanchor.datasets.checks.table import as_table
from freeanchor.datasets.errors import DataError
from tools.data import doctor

from .checked_sets import checked, edited, sound

HOSTILE = dict(
    half_a_pair='\ud800.png',
    new_line='1.png\nerror: all is well',
    terminal='\x1b[2J\x1b]0;title\x07.png',
    right_to_left='\u202egnp.exe',
)


@pytest.fixture
def call(monkeypatch, capfdbinary):
    """Runs the doctor in this process; its code and what it printed."""

    def call(*args: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, 'argv', ['doctor.py', *args, '--level', 'fast'])
        code = doctor.main()
        return code, capfdbinary.readouterr().out.decode()

    return call


def with_name(folder: Path, name: str):
    return edited(folder, lambda content: content['images'][1].update(file_name=name))


@pytest.mark.parametrize('kind', HOSTILE)
def test_names_are_printed_as_plain_text(tmp_path, call, kind):
    source = with_name(tmp_path, HOSTILE[kind])
    table = as_table(checked(source))
    assert all(x.isprintable() for x in table.splitlines())
    code, text = call('--ann', source.ann_file, '--images', source.folder)
    assert code == doctor.DATA_ERROR
    assert repr(HOSTILE[kind])[1:-1] in text
    assert not any(x.startswith('error: all is well') for x in text.splitlines())


def test_a_name_of_a_class_is_printed_as_plain_text(tmp_path, call):
    source = edited(
        tmp_path, lambda content: content['categories'][1].update(name='tr\x1b[2Jee\n')
    )
    _, text = call('--ann', source.ann_file, '--images', source.folder)
    assert r'tr\x1b[2Jee\n 4' in text


def test_other_alphabets_are_printed_as_they_are(tmp_path):
    assert '木.png' in as_table(checked(with_name(tmp_path, '木.png')))


def test_training_ends_with_a_hostile_name_in_one_line(tmp_path):
    source = with_name(tmp_path, HOSTILE['new_line'])
    dataset = dict(type='CocoDataset', ann_file=source.ann_file)
    dataset['data_prefix'] = dict(img_path=source.folder)
    with pytest.raises(DataError) as caught:
        check_before_training(dict(train_dataloader=dict(dataset=dataset)), 'fast')
    assert str(caught.value).isprintable()


@pytest.mark.parametrize('kind', HOSTILE)
def test_a_hostile_name_is_mended_and_listed(tmp_path, call, kind):
    source = with_name(tmp_path, HOSTILE[kind])
    out, found = tmp_path / 'out.json', tmp_path / 'found.json'
    files = ['--ann', source.ann_file, '--images', source.folder]
    call(*files, '--json', str(found))
    assert HOSTILE[kind] in {
        x['image'] for x in json.loads(found.read_text())['findings']
    }
    code, text = call(*files, '--fix', str(out))
    assert code == 0, text
    assert len(json.loads(out.read_text())['images']) == 3
    listed = json.loads((tmp_path / 'out.dropped.json').read_bytes().decode('ascii'))
    assert HOSTILE[kind] in {x['entry'].get('file_name') for x in listed}


def test_the_list_is_written_before_the_copy(tmp_path, call):
    source = with_name(tmp_path, 'absent.png')
    (tmp_path / 'out.json').mkdir()  # nothing can be written there
    files = ['--ann', source.ann_file, '--images', source.folder]
    assert call(*files, '--fix', str(tmp_path / 'out.json'))[0] == 2
    listed = json.loads((tmp_path / 'out.dropped.json').read_text())
    assert [x['entry']['id'] for x in listed if x['change'].endswith('images')] == [2]


OVERWRITING = [
    ['--fix', 'boxes.json'],
    ['--fix', 'sub/../boxes.json'],
    ['--fix', 'link.json'],
    ['--json', 'boxes.json'],
    ['--fix', 'out.json', '--json', 'out.json'],
    ['--fix', 'out.json', '--json', 'out.dropped.json'],
]


@pytest.mark.parametrize('arguments', OVERWRITING, ids=' '.join)
def test_nothing_is_written_over_what_is_read_or_written(
    tmp_path, call, monkeypatch, capfdbinary, arguments
):
    source = sound(tmp_path)
    (tmp_path / 'sub').mkdir()
    os.symlink(source.ann_file, tmp_path / 'link.json')
    before = Path(source.ann_file).read_bytes()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        call('--ann', source.ann_file, '--images', '.', *arguments)
    assert caught.value.code == 2
    assert b'would be written over' in capfdbinary.readouterr().err
    assert Path(source.ann_file).read_bytes() == before


def test_the_list_is_not_written_over_the_annotations(tmp_path, call, monkeypatch):
    source = sound(tmp_path)
    monkeypatch.chdir(tmp_path)
    os.rename(source.ann_file, 'out.dropped.json')
    with pytest.raises(SystemExit):
        call('--ann', 'out.dropped.json', '--images', '.', '--fix', 'out.json')
    assert not Path('out.json').exists()
