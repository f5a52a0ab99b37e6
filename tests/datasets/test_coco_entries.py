import pytest

from freeanchor.datasets.coco_entries import (
    annotation_faults,
    check_annotations,
    check_ids,
    looks_sound,
)

IMAGES, CATEGORIES = {1, 2, 'left'}, {3: 'cup', 8: 'tree'}
SOUND = dict(id=5, image_id=1, category_id=3, bbox=[1, 2.5, 3, 4])
VALUES = [
    *(None, 0, 1, 2, 3, 8, 99, -1.5, 0.0, 1.0, '1', 'left', '', True, False),
    *([], [1], {}, [1, 2, 3, 4], [1, 2, 3], ['1', 2, 3, 4], [1, 2, 3, None]),
    *([[1], 2, 3, 4], [True, 2, 3, 4], [0, 0, float('nan'), 1], (1, 2, 3, 4)),
    *(float('nan'), float('inf'), 10**400, [1, 2, 3, 10**400], '1234'),
]


def is_sound(annotation: dict) -> bool:
    return not list(annotation_faults(annotation, IMAGES, CATEGORIES))


@pytest.mark.parametrize(
    'key', ['image_id', 'category_id', 'bbox', 'area', 'iscrowd', 'ignore']
)
@pytest.mark.parametrize('value', [*VALUES, 'absent'], ids=repr)
def test_columns_pass_only_what_each_entry_passes(key, value):
    entry = {k: v for k, v in {**SOUND, key: value}.items() if v != 'absent'}
    both = [SOUND, entry]
    if looks_sound(both, IMAGES, CATEGORIES):
        assert is_sound(entry)
    if is_sound(entry):
        check_annotations('x', both, IMAGES, CATEGORIES)
    else:
        with pytest.raises(ValueError, match='x, annotation 5: '):
            check_annotations('x', both, IMAGES, CATEGORIES)


def test_columns_pass_what_is_usual():
    usual = [
        SOUND,
        {**SOUND, 'iscrowd': 0, 'area': 12.5},
        {**SOUND, 'iscrowd': 1, 'area': None, 'image_id': 'left'},
        {**SOUND, 'ignore': 1, 'bbox': [0.0, 0.0, -1.0, 0.0]},
    ]
    assert looks_sound(usual, IMAGES, CATEGORIES)
    assert looks_sound([], IMAGES, CATEGORIES)


@pytest.mark.parametrize('bad', [7, None, 'text', [], {}, dict(id=None), dict(id=1.5)])
def test_an_entry_without_an_id_is_named(bad):
    with pytest.raises(ValueError, match=r"x, images\[1\] has no 'id'"):
        check_ids('x', 'images', [dict(id=1), bad])


def test_ids_may_be_numbers_and_texts():
    check_ids('x', 'images', [dict(id=1), dict(id='1'), dict(id='a')])
