import hashlib
import json
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.random import RandomState
from pycocotools.coco import COCO
from torch import tensor
from torchvision.ops import box_iou

from freeanchor.datasets import ShapesDataset, shapes
from freeanchor.datasets.shape_objects import CLASSES
from freeanchor.datasets.shape_scenes import draw_scene
from freeanchor.datasets.shapes import STAMP, VERSION, write_shapes

# When pictures or boxes change on purpose, raise VERSION and note the new digest.
DIGESTS = {1: '1257fcfba017e5d2e568a51ab1993b9fdf032a25e63a83853c8887df257aa964'}


@pytest.fixture(scope='module')
def root(tmp_path_factory) -> Path:
    return write_shapes(
        tmp_path_factory.mktemp('data') / 'set', num_train=60, num_val=4
    )


@pytest.fixture(scope='module')
def coco(root) -> COCO:
    return COCO(str(root / 'annotations/train.json'))


def _contents(root: Path) -> dict[str, bytes]:
    files = sorted(path for path in root.rglob('*') if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def test_a_seed_gives_these_pictures_and_boxes_on_every_machine(root):
    digest = hashlib.sha256((root / 'annotations/train.json').read_bytes())
    for path in sorted((root / 'train').iterdir()):
        digest.update(cv2.imread(str(path)).tobytes())
    assert digest.hexdigest() == DIGESTS[VERSION]


def test_another_seed_gives_another_set(root, tmp_path):
    other = write_shapes(tmp_path / 'set', seed=1, num_train=2, num_val=1)
    same_file = 'train/0001.png'
    assert (other / same_file).read_bytes() != (root / same_file).read_bytes()


def test_train_and_val_are_different_pictures(root):
    train, val = ((root / split / '0001.png').read_bytes() for split in shapes.SPLITS)
    assert train != val


def test_a_smaller_set_is_the_beginning_of_a_larger_one(root, tmp_path):
    small = write_shapes(tmp_path / 'set', num_train=3, num_val=1)
    for name, content in _contents(small).items():
        if name.endswith('.png'):
            assert content == (root / name).read_bytes()


def test_pngs_keep_every_pixel(root):
    picture, _ = draw_scene(RandomState([0, 0, 1]))
    np.testing.assert_array_equal(cv2.imread(str(root / 'train/0001.png')), picture)


def test_boxes_lie_in_their_picture_and_have_an_area(coco):
    for annotation in coco.dataset['annotations']:
        image = coco.imgs[annotation['image_id']]
        x, y, width, height = annotation['bbox']
        assert x >= 0
        assert y >= 0
        assert x + width <= image['width'] + 0.01
        assert y + height <= image['height'] + 0.01
        assert 0 < annotation['area'] <= (width + 2) * (height + 2)


def test_pictures_have_the_size_that_the_annotations_say(root, coco):
    for image in coco.dataset['images']:
        picture = cv2.imread(str(root / 'train' / image['file_name']))
        assert picture.shape == (image['height'], image['width'], 3)


def test_both_orientations_empty_pictures_crowds_and_all_classes_occur(coco):
    landscape = {image['width'] > image['height'] for image in coco.imgs.values()}
    assert landscape == {True, False}
    assert any(not coco.imgToAnns[image] for image in coco.imgs)
    assert any(annotation['iscrowd'] for annotation in coco.anns.values())
    assert {a['category_id'] for a in coco.anns.values() if not a['iscrowd']} == set(
        range(1, len(CLASSES) + 1)
    )


def test_slender_and_overlapping_objects_are_common_but_not_the_rule(coco):
    slender, overlapping, total = 0, 0, 0
    for image in coco.imgs:
        objects = [a['bbox'] for a in coco.imgToAnns[image] if not a['iscrowd']]
        boxes = tensor(objects).reshape(-1, 4)
        sides = boxes[:, 2:].sort(dim=1).values
        slender += int((sides[:, 1] > 3 * sides[:, 0]).sum())
        boxes[:, 2:] += boxes[:, :2]
        overlapping += int(((box_iou(boxes, boxes) > 0.3).sum(dim=1) > 1).sum())
        total += len(boxes)
    assert 0.1 < slender / total < 0.4
    assert 0.1 < overlapping / total < 0.4


def test_a_set_that_is_there_is_not_written_again(root):
    before = {path: path.stat().st_mtime_ns for path in root.rglob('*')}
    write_shapes(root, num_train=60, num_val=4)
    assert {path: path.stat().st_mtime_ns for path in root.rglob('*')} == before


def test_other_arguments_replace_the_set(tmp_path):
    write_shapes(tmp_path / 'set', num_train=2, num_val=1)
    write_shapes(tmp_path / 'set', num_train=1, num_val=1)
    assert [path.name for path in (tmp_path / 'set/train').iterdir()] == ['0001.png']
    assert [path.name for path in tmp_path.iterdir()] == ['set']


def test_files_of_the_user_are_never_replaced(tmp_path):
    (tmp_path / 'mine.txt').write_text('a year of work')
    with pytest.raises(FileExistsError, match=f'{tmp_path.name} .*no {STAMP}.*move it'):
        write_shapes(tmp_path, num_train=1, num_val=1)
    assert [path.name for path in tmp_path.iterdir()] == ['mine.txt']


def test_an_empty_folder_is_filled(tmp_path):
    write_shapes(tmp_path, num_train=1, num_val=1)
    assert (tmp_path / STAMP).exists()


def test_a_run_that_dies_midway_leaves_nothing_behind(tmp_path, monkeypatch):
    def no_space(path, picture):
        if path.name == '0003.png':
            raise OSError('No space left on device')
        path.write_bytes(b'')

    monkeypatch.setattr(shapes, '_write_png', no_space)
    with pytest.raises(OSError, match='No space left'):
        write_shapes(tmp_path / 'set', num_train=5, num_val=1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('older', [False, True], ids=['nothing there', 'older set'])
def test_processes_that_write_at_once_leave_one_complete_set(tmp_path, older):
    root = tmp_path / 'set'
    if older:
        write_shapes(root, seed=7, num_train=1, num_val=1)
    context = get_context('fork')
    writers = [
        context.Process(target=write_shapes, args=(root, 0, 6, 2)) for _ in range(4)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 4
    assert [path.name for path in tmp_path.iterdir()] == ['set']
    alone = write_shapes(tmp_path / 'alone', num_train=6, num_val=2)
    assert _contents(root) == _contents(alone)


def test_the_dataset_writes_its_set_before_it_loads(tmp_path, monkeypatch):
    def small(root):
        return write_shapes(root, num_train=4, num_val=2)

    monkeypatch.setattr(shapes, 'write_shapes', small)
    data_root = str(tmp_path / 'set')
    ShapesDataset(data_root=data_root, split='val', lazy_init=True)
    assert (tmp_path / 'set/annotations/val.json').exists()
    assert len(ShapesDataset(data_root=data_root, split='val')) == 2


def test_the_dataset_uses_the_set_that_is_there(root):
    dataset = ShapesDataset(data_root=str(root), split='train')
    assert len(dataset) == 60
    assert dataset.metainfo['classes'] == CLASSES
    info = dataset.get_data_info(0)
    assert Path(info['img_path']) == root / 'train/0001.png'


def test_the_dataset_replaces_the_set_of_an_older_generator(tmp_path, monkeypatch):
    write_shapes(tmp_path / 'set', num_train=1, num_val=1)
    stamp = json.loads((tmp_path / 'set' / STAMP).read_text())
    (tmp_path / 'set' / STAMP).write_text(json.dumps(dict(stamp, version=0)))

    def small(root):
        return write_shapes(root, num_train=4, num_val=2)

    monkeypatch.setattr(shapes, 'write_shapes', small)
    assert len(ShapesDataset(data_root=str(tmp_path / 'set'), split='train')) == 4


def test_the_dataset_names_the_splits_there_are():
    with pytest.raises(ValueError, match="'train' or 'val', not 'test'"):
        ShapesDataset(split='test')
