import cv2
import numpy as np
import pytest

from freeanchor.datasets import (
    BrokenImageError,
    CocoDataset,
    DataError,
    MissingImageError,
)
from freeanchor.registry import TRANSFORMS

from .coco_files import LOAD, PACK, box, write
from .pictures import bomb, encoded, with_long_part, with_orientation


def load(content: bytes, tmp_path, size=None, **options) -> np.ndarray:
    path = tmp_path / 'image'
    path.write_bytes(content)
    results = dict(img_path=str(path))
    if size is not None:
        results |= dict(width=size[0], height=size[1])
    return TRANSFORMS.build(dict(type='LoadImageFromFile', **options))(results)['img']


@pytest.mark.parametrize('kind', ['jpg', 'png', 'webp', 'bmp', 'gif', 'tiff', 'ppm'])
def test_usual_formats_are_read_as_opencv_reads_them(tmp_path, kind):
    content = encoded(kind)
    expected = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(load(content, tmp_path), expected)


def test_a_bomb_reaches_no_decoder(tmp_path, monkeypatch):
    monkeypatch.setattr('mmcv.imfrombytes', None)
    with pytest.raises(
        BrokenImageError, match=r'30000 x 30000 pixels, over max_pixels'
    ):
        load(bomb(), tmp_path)


def test_a_png_that_claims_gigabytes_reaches_no_decoder(tmp_path, monkeypatch):
    monkeypatch.setattr('mmcv.imfrombytes', None)
    with pytest.raises(BrokenImageError, match='longer than the file'):
        load(with_long_part(), tmp_path)


def test_the_limit_can_be_set(tmp_path):
    assert load(encoded('png'), tmp_path, max_pixels=4800).shape == (60, 80, 3)
    with pytest.raises(BrokenImageError, match='max_pixels=4799'):
        load(encoded('png'), tmp_path, max_pixels=4799)


@pytest.mark.parametrize('kind', ['jpg', 'png'])
@pytest.mark.parametrize('missing', [12, 2000])
def test_an_image_without_its_end_is_broken(tmp_path, kind, missing):
    with pytest.raises(BrokenImageError, match='cannot be decoded') as caught:
        load(encoded(kind)[:-missing], tmp_path)
    assert caught.value.path == str(tmp_path / 'image')
    assert caught.value.reason


def test_a_photograph_is_turned_upright_where_that_was_annotated(tmp_path):
    turned = with_orientation(encoded('jpg'), 6)
    upright = load(turned, tmp_path)
    assert upright.shape == (80, 60, 3)
    np.testing.assert_array_equal(load(turned, tmp_path, (60, 80)), upright)


def test_a_photograph_is_left_as_stored_where_that_was_annotated(tmp_path):
    stored = load(with_orientation(encoded('jpg'), 6), tmp_path, (80, 60))
    np.testing.assert_array_equal(stored, load(encoded('jpg'), tmp_path))


@pytest.mark.parametrize('orientation', [1, 6])
def test_another_size_names_the_file_and_both_sizes(tmp_path, orientation):
    content = with_orientation(encoded('jpg'), orientation)
    with pytest.raises(DataError, match=r'image. is \d+ x \d+ .* for 800 x 600'):
        load(content, tmp_path, (800, 600))


def test_an_image_on_its_side_without_a_note_is_refused(tmp_path):
    with pytest.raises(DataError, match='for 60 x 80'):
        load(encoded('jpg'), tmp_path, (60, 80))


SIX = [(80, 60)] * 6
BOXES = [box([5, 5, 20, 20], image=i) for i in range(1, 7)]


def samples(data: CocoDataset, count: int = 6) -> list:
    return [data[i]['data_samples'] for i in range(count)]


@pytest.mark.parametrize('fault', ['missing', 'empty', 'folder'])
def test_a_broken_image_is_replaced_in_training_and_noted(tmp_path, fault):
    files = write(tmp_path, BOXES, SIX)
    path = tmp_path / '3.png'
    path.unlink()
    if fault == 'empty':
        path.touch()
    elif fault == 'folder':
        path.mkdir()
    data = CocoDataset(**files, pipeline=[*LOAD, PACK])
    found = samples(data)
    assert found[2].img_id != 3
    assert {name for name, _ in found[2].replaced} == {str(path)}
    assert all('replaced' not in x for i, x in enumerate(found) if i != 2)


def test_the_replacement_follows_the_seed(tmp_path):
    files = write(tmp_path, BOXES, SIX)
    (tmp_path / '3.png').unlink()
    data = CocoDataset(**files, pipeline=[*LOAD, PACK])
    drawn = []
    for seed in (0, 0, 1, 2, 3):
        np.random.seed(seed)
        drawn.append(data[2]['data_samples'].img_id)
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) > 1


@pytest.mark.parametrize('mode', ['test_mode', 'strict'])
def test_a_broken_image_is_an_error_where_nothing_may_be_replaced(tmp_path, mode):
    files = write(tmp_path, BOXES, SIX)
    (tmp_path / '3.png').unlink()
    data = CocoDataset(**files, pipeline=[*LOAD, PACK], **{mode: True})
    with pytest.raises(MissingImageError, match=r"no image '.*3\.png'"):
        data[2]


def test_no_image_at_all_ends_with_a_list(tmp_path):
    files = write(tmp_path, BOXES, SIX)
    for path in tmp_path.glob('*.png'):
        path.unlink()
    with pytest.raises(DataError, match=r'none can be read: .*png \(missing\)'):
        CocoDataset(**files, pipeline=[*LOAD, PACK])[0]


def test_strict_refuses_useless_boxes_by_name(tmp_path):
    files = write(tmp_path, [*BOXES, box([5, 5, 0, 9])], SIX)
    with pytest.raises(DataError, match=r'boxes\.json.*thinner than a pixel.*106'):
        CocoDataset(**files, strict=True)


def test_boxes_that_end_up_thinner_than_a_pixel_are_left_out_and_counted(tmp_path):
    boxes = [box([5, 5, 3, 20]), box([30, 5, 20, 20]), box([9, 9, 9, 1.5], iscrowd=1)]
    shrink = dict(type='Resize', scale=(20, 15), keep_ratio=True)
    data = CocoDataset(**write(tmp_path, boxes), pipeline=[*LOAD, shrink, PACK])
    sample = data[0]['data_samples']
    assert sample.gt_instances.bboxes.tolist() == [[7.5, 1.25, 12.5, 6.25]]
    assert len(sample.ignored_instances) == 0
    assert sample.num_thin_boxes == 2


def test_a_box_of_one_pixel_stays(tmp_path):
    files = write(tmp_path, [box([0.1, 50.7, 1, 1])])
    sample = CocoDataset(**files, pipeline=[*LOAD, PACK])[0]['data_samples']
    assert len(sample.gt_instances) == 1
    assert 'num_thin_boxes' not in sample


@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf, 1e39])
def test_a_box_that_a_transform_spoils_is_left_out(bad):
    boxes = np.array([[0, 0, 9, 9], [0, 0, 9, bad]], np.float64)
    with np.errstate(over='ignore'):
        results = dict(
            img=np.zeros((20, 20, 3), np.uint8),
            gt_bboxes=boxes.astype(np.float32),
            gt_bboxes_labels=np.zeros(2, np.int64),
        )
    sample = TRANSFORMS.build(PACK)(results)['data_samples']
    assert sample.gt_instances.bboxes.tolist() == [[0, 0, 9, 9]]
