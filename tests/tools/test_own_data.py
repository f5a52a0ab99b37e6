"""Data sets of one's own, by the command lines, as a user gives them."""

import argparse
import importlib
import importlib.util
import json
import re
import sys

import pytest

from freeanchor.datasets import DataError
from freeanchor.datasets.coco_file import read_coco
from freeanchor.engine import load_config
from tests.datasets.formats.sets import write_voc, write_yolo
from tests.test_tools import TOOLS, recipe, run

__all__ = ['recipe']  # the fixture


@pytest.fixture
def tool(tmp_path, monkeypatch, capsys):
    """Runs a tool of ``tools/data`` in an empty folder; its exit code and output."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(TOOLS / 'data'))

    def call(name, *arguments):
        monkeypatch.setattr(sys, 'argv', [name, *map(str, arguments)])
        spec = importlib.util.spec_from_file_location(
            name, TOOLS / 'data' / f'{name}.py'
        )
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        code = module.main()
        return code, ''.join(capsys.readouterr())

    return call


@pytest.mark.slow
def test_a_training_on_a_yolo_set_says_what_was_decided(recipe, tmp_path):
    write_yolo(tmp_path / 'mine')
    command = (sys.executable, TOOLS / 'train.py', recipe, '--work-dir', 'work')
    done = run(*command, '--data', 'mine', cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    text = done.stdout
    assert 'mine, in the format YOLO' in text
    assert '3: boat, cup, tree' in text
    assert '0.00125: 0.01 for 16 images a step, scaled to 2' in text
    assert 'model = dict(bbox_head=dict(num_classes=3))' in text
    assert 'training    2 images, 3 classes' in text  # one has no object
    assert len(read_coco(str(tmp_path / 'work/annotations/val.json')).images) == 1

    # The written config alone does the same, from where it was written.
    checkpoint = next((tmp_path / 'work').glob('epoch_1.pth'))
    command = (sys.executable, TOOLS / 'test.py', 'work/own_data.py', checkpoint)
    done = run(*command, '--work-dir', 'tested', cwd=tmp_path)
    assert done.returncode == 0, done.stdout

    # A set that has changed is not what the run began with.
    (tmp_path / 'mine/labels/train/b.txt').unlink()
    command = (sys.executable, TOOLS / 'train.py', recipe, '--work-dir', 'work')
    done = run(*command, '--data', 'mine', '--resume', cwd=tmp_path)
    assert done.returncode == 3, done.stdout
    assert 'train is not as it was when this run began' in done.stdout


@pytest.mark.slow
def test_two_processes_train_on_one_set_that_one_of_them_has_written(recipe, tmp_path):
    write_voc(tmp_path / 'mine')
    (tmp_path / 'mine/ImageSets/Main/val.txt').unlink()  # so that one is made
    command = ('bash', TOOLS / 'dist_train.sh', recipe, 2, '--work-dir', 'work')
    done = run(*command, '--data', 'mine', cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count('mine, in the format VOC') == 1
    assert '0.01 for 16 images a step, scaled to 4' in done.stdout
    assert (tmp_path / 'work/epoch_1.pth').is_file()
    assert read_coco(str(tmp_path / 'work/annotations/val.json')).images


@pytest.mark.slow
def test_a_set_that_is_not_there_is_named(recipe, tmp_path):
    command = (sys.executable, TOOLS / 'train.py', recipe, '--data', 'none')
    done = run(*command, cwd=tmp_path)
    assert done.returncode == 2, done.stdout
    assert 'there is no data set none' in done.stdout


@pytest.fixture
def own_data(monkeypatch):
    """The module beside ``tools/train.py``."""
    monkeypatch.syspath_prepend(str(TOOLS))
    return importlib.import_module('own_data')


def config_of(tmp_path, options=()):
    cfg = load_config(TOOLS.parent / 'configs' / 'free_anchor_r50_fpn_1x.py', options)
    cfg.work_dir = str(tmp_path / 'work')
    return cfg


def test_without_a_split_to_validate_on_one_is_made(own_data, tmp_path):
    root = write_voc(tmp_path / 'voc')
    (root / 'ImageSets/Main/val.txt').unlink()
    cfg = config_of(tmp_path)
    own = own_data.OwnData(str(root), None, cfg)
    own.change(cfg)
    numbers = {name: x.num_images for name, x in own.splits.items()}
    assert numbers == dict(train=2, val=1)
    assert '10% of train, as there was no val (seed 0)' in own.screen(tmp_path / 'x.py')


def test_the_written_config_has_the_options_of_the_command_line(
    own_data, tmp_path, capsys
):
    write_yolo(tmp_path / 'mine')
    options = ['optim_wrapper.optimizer.lr=0.002', 'param_scheduler.0.end=7']
    cfg = config_of(tmp_path, options)
    own = own_data.OwnData(str(tmp_path / 'mine'), None, cfg, options)
    own.change(cfg)
    own.write(resumed=False)
    written = load_config(tmp_path / 'work/own_data.py')
    assert written.optim_wrapper.optimizer.lr == 0.002
    assert written.param_scheduler[0]['end'] == 7
    said = capsys.readouterr().out
    assert 'own_data.py says the same; it is' in said
    assert 'optimizer=dict(lr=0.002)' in said


def test_arguments_that_are_not_in_the_written_config_are_named(own_data, tmp_path):
    write_yolo(tmp_path / 'mine')
    cfg = config_of(tmp_path)
    args = argparse.Namespace(amp=True, compile=False, warm_start='net.pth')
    beside = own_data.beside_config(args)
    own = own_data.OwnData(str(tmp_path / 'mine'), None, cfg, (), beside)
    own.change(cfg)
    said = own.screen(tmp_path / 'x.py')
    assert 'says the same, but for --amp --warm-start net.pth: give that' in said


def test_a_run_on_changed_data_is_told_how_it_can_go_on(own_data, tmp_path):
    write_yolo(tmp_path / 'mine')
    cfg = config_of(tmp_path)
    own = own_data.OwnData(str(tmp_path / 'mine'), None, cfg)
    own.change(cfg)
    own.write(resumed=False)
    (tmp_path / 'mine/labels/train/b.txt').unlink()
    changed = own_data.OwnData(str(tmp_path / 'mine'), None, cfg)
    changed.change(cfg)
    work_dir = re.escape(str(tmp_path / 'work'))
    with pytest.raises(DataError, match=f'--work-dir {work_dir} --resume'):
        changed.write(resumed=True)


def test_conversion_says_where_the_files_are(tool, tmp_path):
    write_yolo(tmp_path / 'mine')
    code, text = tool('convert', 'mine', 'out', '--copy-images')
    assert code == 0, text
    assert '3 images, 3 boxes: out/annotations/train.json' in text
    assert (tmp_path / 'out/images/val/d.png').is_file()
    code, text = tool('convert', 'mine', 'out')
    assert code == 0, text


def test_splits_are_parted_anew_with_images_found_from_one_folder(tool, tmp_path):
    write_yolo(tmp_path / 'mine')
    shares = ('--fractions', 'train=0.5', 'test=0.5')
    code, text = tool('split', 'mine', 'out', *shares)
    assert code == 0, text
    names = []
    for name in ('train', 'test'):
        content = json.loads((tmp_path / f'out/annotations/{name}.json').read_text())
        names += [x['file_name'] for x in content['images']]
        assert read_coco(str(tmp_path / f'out/annotations/{name}.json'))
    assert len(names) == 4
    assert all((tmp_path / 'mine/images' / x).is_file() for x in names)


def test_a_wrong_share_is_the_users_fault(tool, tmp_path):
    write_yolo(tmp_path / 'mine')
    code, text = tool('split', 'mine', 'out', '--fractions', 'train=0.5', 'val=1')
    assert code == 2
    assert '--fractions are' in text


def test_statistics_are_printed_and_drawn(tool, tmp_path):
    pytest.importorskip('matplotlib')
    write_yolo(tmp_path / 'mine')
    code, text = tool('stats', 'mine', '--out', 'out')
    assert code == 0, text
    assert 'slender (over 3 : 1) 33%' in text
    numbers = json.loads((tmp_path / 'out/statistics.json').read_text())
    assert numbers['train']['objects'] == 3
    assert (tmp_path / 'out/statistics.png').read_bytes().startswith(b'\x89PNG')


def test_anchors_are_compared_with_objects_and_proposals_made(recipe, tool, tmp_path):
    write_yolo(tmp_path / 'mine')
    arguments = (recipe, '--data', 'mine', '--json', 'found.json')
    code, text = tool('anchors', *arguments)
    assert code == 0, text
    assert 'Anchors do not reach' in text
    found = json.loads((tmp_path / 'found.json').read_text())
    assert found['anchors']['now']['ratios'] == [0.5, 1.0, 2.0]
    best = {name: sum(x['best']) for name, x in found['anchors'].items()}
    assert best['as many'] > best['now']
