import os
from pathlib import Path

import pytest

from freeanchor.engine import ConfigError
from freeanchor.inference.output_paths import check_apart, check_outputs


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ('in/a.png', 'ann.json', 'net.pth'):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(name)
    return tmp_path


@pytest.mark.parametrize('name', ['ann.json', 'in/../ann.json', 'link.json', 'hard'])
def test_a_table_never_replaces_what_is_read(name, place):
    Path('link.json').symlink_to('ann.json')
    os.link('ann.json', 'hard')
    with pytest.raises(ConfigError, match=r'--json .* would replace a file that is'):
        check_outputs(None, {'--json': name}, [place / 'ann.json'])


def test_two_tables_are_two_files(place):
    with pytest.raises(ConfigError, match='--json and --csv are both new/x'):
        check_outputs(None, {'--json': 'new/../new/x', '--csv': 'new/x'}, [])


def test_a_table_is_not_the_folder_of_pictures(place):
    with pytest.raises(ConfigError, match='--out-dir and --json are both found'):
        check_outputs('found', {'--json': 'found'}, [])


@pytest.mark.parametrize(
    ('folder', 'table', 'words'),
    [
        ('net.pth', None, r'--out-dir: net\.pth is a file'),
        ('net.pth/new/deep', None, r'--out-dir: .*net\.pth is a file'),
        (None, 'in', '--json in is a folder'),
        (None, 'net.pth/r.json', r'--json: net\.pth is a file'),
    ],
)
def test_what_cannot_be_written_is_refused_at_once(folder, table, words, place):
    with pytest.raises(ConfigError, match=words):
        check_outputs(folder, {'--json': table}, [])


def test_a_folder_without_the_right_to_write_is_refused(place, monkeypatch):
    monkeypatch.setattr(os, 'access', lambda path, mode: False)
    with pytest.raises(ConfigError, match='nothing may be written into'):
        check_outputs('new', {}, [])


def test_files_of_an_earlier_call_and_new_ones_are_fine(place):
    Path('old.json').write_text('[]')
    tables = {'--json': 'old.json', '--csv': 'new/deep/r.csv'}
    check_outputs('new', tables, [Path('ann.json'), Path('in/a.png')])
    assert not Path('new').exists()


@pytest.mark.parametrize('folder', ['in', './in/', 'in/../in', 'link'])
def test_the_folder_of_an_input_takes_no_results(folder, place):
    Path('link').symlink_to('in')
    with pytest.raises(ConfigError, match=r'is the folder of in.a\.png'):
        check_apart(folder, [Path('in/a.png')])


def test_another_folder_takes_results_be_it_below_or_above(place):
    for folder in ('in/found', '.', 'new'):
        check_apart(folder, [Path('in/a.png')])
