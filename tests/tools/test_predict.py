import csv
import importlib.util
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from freeanchor.datasets.shapes import write_shapes
from freeanchor.inference.video import VideoFile, open_video
from tests.inference.detectors import write_checkpoint

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def place(tmp_path_factory):
    """A checkpoint, and four pictures with their annotations."""
    folder = tmp_path_factory.mktemp('predict')
    write_shapes(str(folder / 'shapes'), num_train=2, num_val=4)
    write_checkpoint(folder / 'weights.pth')
    return folder


@pytest.fixture
def predict(place, tmp_path, monkeypatch):
    """Calls the tool in an empty folder, which has the pictures as ``in``."""
    monkeypatch.chdir(tmp_path)
    images = tmp_path / 'in'
    images.mkdir()
    for path in (place / 'shapes' / 'val').iterdir():
        (images / path.name).write_bytes(path.read_bytes())

    def call(*arguments: str) -> int:
        spec = importlib.util.spec_from_file_location(
            'predict', ROOT / 'tools' / 'predict.py'
        )
        module = importlib.util.module_from_spec(spec)
        # Dataclasses look their module up.
        monkeypatch.setitem(sys.modules, 'predict', module)
        spec.loader.exec_module(module)
        argv = ['predict.py', str(place / 'weights.pth'), *arguments]
        monkeypatch.setattr(sys, 'argv', argv)
        return module.main()

    return call


def rows(path: str) -> list[dict]:
    with Path(path).open(newline='') as file:
        return list(csv.DictReader(file))


def test_two_broken_files_are_named_and_the_rest_is_done(predict, capsys):
    Path('in/cut.png').write_bytes(Path('in/0001.png').read_bytes()[:700])
    Path('in/text.jpg').write_text('no image')
    everything = ['--out-dir', 'o', '--json', 'o/r.json', '--csv', 'o/r.csv']
    code = predict('in', '--score-thr', '0', '--batch-size', '3', *everything)
    assert code == 3
    said = capsys.readouterr()
    assert 'skipped in/cut.png: ' in said.err
    assert 'skipped in/text.jpg: it is no image' in said.err
    assert 'error: 2 could not be read' in said.err
    assert '4 images' in said.out
    assert '40 detections' in said.out
    pictures = sorted(x.name for x in Path('o').glob('*.jpg'))
    assert pictures == ['0001.jpg', '0002.jpg', '0003.jpg', '0004.jpg']
    assert len(json.loads(Path('o/r.json').read_text())) == 40
    assert len({x['image'] for x in rows('o/r.csv')}) == 4


def test_without_faults_the_code_is_0_and_pictures_are_written(predict, capsys):
    assert predict('in/0001.png', 'in/0002.png') == 0
    files = sorted(str(x) for x in Path('predictions').iterdir())
    assert files == ['predictions/0001.jpg', 'predictions/0002.jpg']
    assert capsys.readouterr().err == ''


def test_tables_alone_write_no_pictures(predict):
    assert predict('in', '--json', 'r.json', '--score-thr', '0') == 0
    found = json.loads(Path('r.json').read_text())
    assert {x['image_id'] for x in found} == {1, 2, 3, 4}
    assert sorted(x.name for x in Path().iterdir()) == ['in', 'r.json']


def test_results_with_the_ids_of_an_annotation_file_can_be_evaluated(predict, place):
    annotations = str(place / 'shapes' / 'annotations' / 'val.json')
    arguments = ['--json', 'r.json', '--ids-from', annotations, '--score-thr', '0']
    assert predict('in', *arguments) == 0
    truth = COCO(annotations)
    found = truth.loadRes('r.json')
    assert sorted(found.getImgIds()) == sorted(truth.getImgIds())
    names = {x['id']: x['file_name'] for x in truth.dataset['images']}
    known = {x['id'] for x in truth.dataset['categories']}
    for row in json.loads(Path('r.json').read_text()):
        assert Path(row['file_name']).name == Path(names[row['image_id']]).name
        assert row['category_id'] in known


def test_images_that_an_annotation_file_does_not_list_are_named(predict, place, capsys):
    Path('in/new.png').write_bytes(Path('in/0001.png').read_bytes())
    annotations = str(place / 'shapes' / 'annotations' / 'val.json')
    assert predict('in', '--json', 'r.json', '--ids-from', annotations) == 3
    assert "does not list the image 'in/new.png'" in capsys.readouterr().err
    assert not Path('r.json').exists()


def test_a_video_becomes_a_video(predict):
    video = VideoFile(Path('clip.mp4'), 10)
    for _ in range(4):
        video.add(np.zeros((96, 128, 3), np.uint8))
    video.close()
    arguments = ['--out-dir', 'o', '--csv', 'r.csv', '--score-thr', '0']
    assert predict('clip.mp4', '--max-frames', '3', *arguments) == 0
    written = open_video('o/clip.mp4')
    assert (written.num_frames, written.rate) == (3, 10)
    frames = {x['image'] for x in rows('r.csv')}
    assert frames == {'clip.mp4#1', 'clip.mp4#2', 'clip.mp4#3'}


def test_a_video_that_breaks_off_is_named(predict, capsys):
    codec = cv2.VideoWriter.fourcc(*'MJPG')
    video = cv2.VideoWriter('clip.avi', codec, 10, (128, 96))
    noise = np.random.default_rng(0)
    for _ in range(12):
        video.write(noise.integers(256, size=(96, 128, 3), dtype=np.uint8))
    video.release()
    arguments = ['--csv', 'r.csv', '--batch-size', '4']
    assert predict('clip.avi', *arguments, '--max-frames', '3') == 0
    assert 'breaks off' not in capsys.readouterr().out
    content = Path('clip.avi').read_bytes()
    Path('clip.avi').write_bytes(content[: len(content) // 2])
    assert predict('clip.avi', *arguments) == 0
    assert 'of about 12 frames could be read' in capsys.readouterr().out
    assert predict('clip.avi', *arguments, '--max-frames', '3') == 0
    assert 'breaks off' not in capsys.readouterr().out


@pytest.mark.parametrize('name', ['in/photo.png', 'in', 'in/*.png'])
def test_the_folder_of_the_images_takes_no_pictures(name, predict, capsys):
    Path('in/photo.png').write_bytes(Path('in/0001.png').read_bytes())
    Path('in/photo.jpg').write_text('precious')
    assert predict(name, '--out-dir', 'in') == 2
    assert '--out-dir in is the folder of in/' in capsys.readouterr().err
    assert Path('in/photo.jpg').read_text() == 'precious'
    assert len(list(Path('in').iterdir())) == 6


def test_a_folder_of_results_can_be_used_again(predict):
    for _ in range(2):
        assert predict('in', '--out-dir', 'o') == 0
    assert len(list(Path('o').iterdir())) == 4


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (('--json', 'ann.json', '--ids-from', 'ann.json'), 'would replace a file'),
        (('--csv', 'in/0001.png'), 'would replace a file'),
        (('--json', 'x', '--csv', 'x'), '--json and --csv are both x'),
        (('--json', 'in'), '--json in is a folder'),
        (('--out-dir', 'ann.json'), '--out-dir: ann.json is a file'),
    ],
)
def test_results_that_would_do_harm_are_refused(arguments, words, predict, capsys):
    Path('ann.json').write_text('{}')
    image = Path('in/0001.png').read_bytes()
    assert predict('in', *arguments) == 2
    assert words in capsys.readouterr().err
    assert Path('ann.json').read_text() == '{}'
    assert Path('in/0001.png').read_bytes() == image


def test_a_table_replaces_neither_checkpoint_nor_a_broken_video(predict, place, capsys):
    net = (place / 'weights.pth').read_bytes()
    assert predict('in', '--json', str(place / 'weights.pth')) == 2
    assert (place / 'weights.pth').read_bytes() == net
    Path('clip.mp4').write_text('no film')
    assert predict('in', 'clip.mp4', '--csv', 'clip.mp4') == 2
    assert Path('clip.mp4').read_text() == 'no film'


@pytest.mark.parametrize('name', ['nothing.png', 'nothing/', 'nothing*'])
def test_what_is_not_there_is_the_users_error(name, predict, capsys):
    assert predict(name) == 2
    assert 'nothing' in capsys.readouterr().err


@pytest.mark.parametrize('option', ['--batch-size', '--max-frames'])
def test_counts_are_positive(option, predict, capsys):
    with pytest.raises(SystemExit) as ended:
        predict('in', option, '0')
    assert ended.value.code == 2
    assert '0 is less than 1' in capsys.readouterr().err
