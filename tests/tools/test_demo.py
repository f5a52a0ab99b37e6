import importlib.util
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from freeanchor.inference import load_detector
from tests.inference.detectors import write_checkpoint

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def demo():
    spec = importlib.util.spec_from_file_location('demo', ROOT / 'tools' / 'demo.py')
    module = importlib.util.module_from_spec(spec)
    sys.modules['demo'] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules['demo']


@pytest.fixture(scope='module')
def place(tmp_path_factory):
    """A checkpoint and a picture, 100 wide and 60 high."""
    folder = tmp_path_factory.mktemp('demo')
    write_checkpoint(folder / 'weights.pth')
    pixels = np.random.default_rng(0).integers(256, size=(60, 100, 3), dtype=np.uint8)
    cv2.imwrite(str(folder / 'a.png'), pixels)
    return folder


@pytest.fixture(scope='module')
def detector(place):
    return load_detector(place / 'weights.pth', device='cpu')


def test_gradio_that_is_missing_is_named(demo, place, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'gradio', None)
    monkeypatch.setattr(sys, 'argv', ['demo.py', str(place / 'weights.pth')])
    assert demo.main() == 2
    assert 'pip install freeanchor[demo]' in capsys.readouterr().err


def test_the_threshold_leaves_the_first_detections(demo, detector, place):
    pytest.importorskip('gradio')
    seen = demo.look(detector, str(place / 'a.png'))
    picture, rows, choices = demo.show(seen, 0.0, detector.class_names)
    assert picture.shape[1] / picture.shape[0] == pytest.approx(100 / 60)
    assert len(rows) == len(choices) == 10
    scores = seen.detected.instances.scores
    _, fewer, _ = demo.show(seen, float(scores[3]), detector.class_names)
    assert fewer == rows[: len(fewer)]
    assert 4 <= len(fewer) < 10


def test_without_a_picture_there_is_nothing(demo, detector):
    pytest.importorskip('gradio')
    seen = demo.look(detector, None)
    assert demo.show(seen, 0.3, detector.class_names) == (None, [], [])
    assert demo.match(detector, seen, 0) is None


def test_a_detection_is_matched(demo, detector, place):
    pytest.importorskip('gradio')
    seen = demo.look(detector, str(place / 'a.png'))
    picture = np.asarray(demo.match(detector, seen, 2))
    assert picture.ndim == 3
    assert picture.std() > 10  # something is drawn
    assert 'gt_instances' not in seen.sample['data_samples']


def test_a_broken_picture_is_named(demo, detector, tmp_path, monkeypatch):
    gradio = pytest.importorskip('gradio')
    said = []
    monkeypatch.setattr(gradio, 'Warning', said.append)
    (tmp_path / 'a.jpg').write_bytes(b'no picture')
    assert demo.look(detector, str(tmp_path / 'a.jpg')) is None
    assert said[0].startswith('This is no picture that can be read: it is no image')


def test_the_page_has_the_matching_where_there_are_bags(demo, detector):
    pytest.importorskip('gradio')
    page = demo.build_page(detector)
    labels = {getattr(x, 'label', None) for x in page.blocks.values()}
    assert {'Picture', 'Detections', 'Least score', 'Found', 'Matching'} <= labels
