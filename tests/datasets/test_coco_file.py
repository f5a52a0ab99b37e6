import json

import pytest

from freeanchor.datasets.coco_file import read_coco

from .coco_files import box, write

SOUND = box([5, 5, 9, 9])


def read(folder):
    return read_coco(str(folder / 'boxes.json'))


def without(key: str) -> dict:
    return {k: v for k, v in SOUND.items() if k != key}


def test_what_is_read_of_a_file(tmp_path):
    write(tmp_path, [SOUND, box([1, 1, 2, 2], image=2)], [(80, 60)] * 3)
    file = read(tmp_path)
    assert [x['image_id'] for x in file.annotations] == [1, 2]
    assert [x['id'] for x in file.images] == [1, 2, 3]
    assert file.categories == {3: 'cup', 8: 'tree', 11: 'boat'}


@pytest.mark.parametrize(
    ('bad', 'message'),
    [
        (without('bbox'), 'bbox is missing'),
        (without('image_id'), 'image_id is missing'),
        (without('category_id'), 'category_id is missing'),
        ({**SOUND, 'bbox': ['5', '5', '9', '9']}, 'bbox is .*four finite numbers'),
        ({**SOUND, 'bbox': [5, 5, 9]}, 'bbox is .*four finite numbers'),
        ({**SOUND, 'bbox': None}, 'bbox is .*four finite numbers'),
        ({**SOUND, 'bbox': [5, 5, float('nan'), 9]}, 'bbox is .*four finite numbers'),
        ({**SOUND, 'bbox': [5, 5, float('inf'), 9]}, 'bbox is .*four finite numbers'),
        ({**SOUND, 'area': '81'}, "area is '81'"),
        ({**SOUND, 'area': float('nan')}, 'area is nan'),
        ({**SOUND, 'iscrowd': '0'}, "iscrowd is '0'"),
        ({**SOUND, 'category_id': 99}, 'category_id is 99'),
        ({**SOUND, 'category_id': [3]}, r'category_id is \[3\]'),
        ({**SOUND, 'image_id': 7}, 'image_id is 7'),
        ({**SOUND, 'image_id': '1'}, "image_id is '1'"),
    ],
)
def test_a_malformed_annotation_is_named(tmp_path, bad, message):
    write(tmp_path, [SOUND, bad])
    with pytest.raises(ValueError, match=rf'boxes\.json, annotation 101: {message}'):
        read(tmp_path)


@pytest.mark.parametrize(
    ('field', 'value'),
    [('width', None), ('height', 0), ('width', '80'), ('file_name', None)],
)
def test_a_malformed_image_is_named(tmp_path, field, value):
    image = dict(id=4, file_name='1.png', width=80, height=60)
    write(tmp_path, images=[{**image, field: value}])
    with pytest.raises(ValueError, match=rf'boxes\.json, image 4.*{field}'):
        read(tmp_path)


@pytest.mark.parametrize('key', ['images', 'annotations', 'categories'])
def test_two_entries_of_one_id_are_refused(tmp_path, key):
    write(tmp_path, [SOUND])
    path = tmp_path / 'boxes.json'
    content = json.loads(path.read_text())
    content[key] = [content[key][0], content[key][0]]
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=rf'{key}\[1\]: the id \d+ is taken'):
        read(tmp_path)


def test_an_entry_without_an_id_is_refused(tmp_path):
    write(tmp_path, annotations=[SOUND])
    with pytest.raises(ValueError, match=r"annotations\[0\] has no 'id'"):
        read(tmp_path)


@pytest.mark.parametrize('key', ['images', 'categories'])
def test_an_empty_list_is_refused(tmp_path, key):
    write(tmp_path, **{key: []})
    with pytest.raises(ValueError, match=rf"boxes\.json: '{key}' is empty"):
        read(tmp_path)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'{"images": [', 'not valid JSON'),
        (b'', 'not valid JSON'),
        (b'\xff\xfe\x00', 'not valid JSON'),
        (b'[]', 'holds a list'),
        (b'{}', "no list 'images'"),
        (b'{"images": {}, "annotations": [], "categories": []}', "no list 'images'"),
    ],
)
def test_a_file_that_is_no_annotation_file_is_named(tmp_path, content, message):
    (tmp_path / 'boxes.json').write_bytes(content)
    with pytest.raises(ValueError, match=rf'boxes\.json.*{message}'):
        read(tmp_path)
