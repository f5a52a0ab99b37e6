import importlib.util
import pickle
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from freeanchor.datasets.errors import BrokenImageError
from freeanchor.datasets.shapes import write_shapes
from freeanchor.inference import detect, detect_each, find_images, load_detector
from tests.datasets.pictures import bomb

from .detectors import CLASSES, CONFIG, OPTIONS, write_checkpoint

ROOT = Path(__file__).parents[2]


def assert_same(one, other, **tolerance):
    tolerance = tolerance or dict(rtol=0, atol=0)
    for key in ('bboxes', 'scores', 'labels'):
        torch.testing.assert_close(one[key], other[key], **tolerance)


def found_by_test_tool(folder: Path, monkeypatch) -> dict[str, dict]:
    spec = importlib.util.spec_from_file_location('test', ROOT / 'tools' / 'test.py')
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    options = [
        f'test_dataloader.dataset.data_root={folder}/shapes/',
        'test_dataloader.num_workers=0',
        'test_dataloader.persistent_workers=False',
        f'test_evaluator.ann_file={folder}/shapes/annotations/val.json',
    ]
    out = folder / 'found.pkl'
    arguments = ['test.py', CONFIG, folder / 'weights.pth', '--out', out]
    arguments += ['--work-dir', folder / 'work', '--cfg-options', *OPTIONS, *options]
    monkeypatch.setattr(sys, 'argv', [str(x) for x in arguments])
    assert tool.main() == 0
    return {x['img_path']: x['pred_instances'] for x in pickle.loads(out.read_bytes())}


def test_the_same_is_found_as_by_the_test_tool(tmp_path, monkeypatch):
    write_shapes(str(tmp_path / 'shapes'), num_train=2, num_val=4)
    path = write_checkpoint(tmp_path / 'weights.pth')
    tested = found_by_test_tool(tmp_path, monkeypatch)
    found = detect(load_detector(path), tmp_path / 'shapes' / 'val', score_thr=0.0)
    assert len(found) == len(tested) == 4
    for instances in found:
        assert len(instances) == 10
        assert_same(instances, tested[instances.img_path])


def test_a_file_its_bytes_and_its_pixels_give_the_same(detector, folder):
    path = folder / 'a.png'
    pixels = cv2.imread(str(path))
    picture = Image.fromarray(pixels[..., ::-1])
    images = [path, str(folder / 'b.png'), path.read_bytes(), pixels, picture]
    first, _, *others = detect(detector, images, score_thr=0.0)
    assert len(first) == 10
    assert len(others) == 3
    for other in others:
        assert_same(first, other)


def test_arrays_are_bgr(detector, folder):
    pixels = cv2.imread(str(folder / 'a.png'))
    bgr, rgb = detect(detector, [pixels, pixels[..., ::-1]], score_thr=0.0)
    assert not torch.equal(bgr.scores, rgb.scores)


def test_a_batch_finds_what_single_images_find(detector, folder):
    single = detect(detector, folder, score_thr=0.0)
    batch = detect(detector, folder, score_thr=0.0, batch_size=2)
    assert [x.img_path for x in batch] == [x.img_path for x in single]
    for one, other in zip(single, batch, strict=True):
        assert_same(one, other, rtol=1e-3, atol=1e-3)


def test_detections_say_what_and_where(detector, folder):
    (found,) = detect(detector, folder / 'a.png', score_thr=0.0)
    assert found.img_path == str(folder / 'a.png')
    assert found.ori_shape == (60, 100)
    assert found.names == [CLASSES[x] for x in found.labels]
    assert (found.bboxes >= 0).all()
    assert (found.bboxes <= torch.tensor([100, 60, 100, 60])).all()
    assert (found.scores.diff() <= 0).all()


def test_less_sure_detections_are_left_out(detector, folder):
    (every,) = detect(detector, folder / 'a.png', score_thr=0.0)
    threshold = float(every.scores[4])
    (sure,) = detect(detector, folder / 'a.png', score_thr=threshold)
    assert_same(sure, every[every.scores >= threshold])
    assert 5 <= len(sure) < 10


def test_nothing_found_is_no_row(detector, folder):
    (found,) = detect(detector, folder / 'a.png', score_thr=2.0)
    assert found.bboxes.shape == (0, 4)
    assert found.names == []


def test_no_image_is_no_result(detector):
    assert detect(detector, []) == []


def test_boxes_are_of_the_upright_image(detector, tmp_path):
    """Held on its side, a camera stores a picture 90 wide and 40 high."""
    pixels = np.random.default_rng(0).integers(256, size=(40, 90, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels)
    notes = picture.getexif()
    notes[0x0112] = 6
    picture.save(tmp_path / 'turned.jpg', exif=notes, quality=95)
    path = tmp_path / 'turned.jpg'
    turned = detect(detector, [path, path.read_bytes(), Image.open(path)])
    assert [x.ori_shape for x in turned] == [(90, 40)] * 3
    both = find_images([path, path.read_bytes()])
    read, decoded = (x.image for x in detect_each(detector, both))
    np.testing.assert_array_equal(read, decoded)


def test_a_broken_image_ends_everything_or_is_left_out(detector, folder):
    (folder / 'b.png').write_bytes(b'no image')
    with pytest.raises(BrokenImageError, match=r"b\.png'"):
        detect(detector, folder)
    broken = []
    found = detect_each(detector, find_images(folder), on_broken=broken.append)
    names = [Path(x.name).name for x in found]
    assert names == ['a.png', 'c.png']
    assert [Path(x.path).name for x in broken] == ['b.png']


@pytest.mark.parametrize('content', [b'', b'no image', b'\x89PNG\r\n\x1a\n'])
def test_broken_bytes_are_named(content, detector):
    with pytest.raises(BrokenImageError, match='image 1'):
        detect(detector, [content])


def test_an_image_in_memory_may_not_be_endless_either(detector):
    with pytest.raises(BrokenImageError, match='30000 x 30000 pixels'):
        detect(detector, bomb())


def test_a_batch_of_none_is_refused(detector, folder):
    with pytest.raises(ValueError, match='batch_size is 1 or more'):
        detect(detector, folder, batch_size=0)
