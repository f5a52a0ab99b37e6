import json

import pytest

from freeanchor.datasets.errors import DataError
from freeanchor.inference.coco_ids import CocoIds


@pytest.fixture
def ids(tmp_path):
    file = dict(
        images=[
            dict(id=42, file_name='a.jpg', width=9, height=9),
            dict(id=43, file_name='night/a.jpg', width=9, height=9),
        ],
        categories=[dict(id=7, name='cat'), dict(id=9, name='dog')],
    )
    (tmp_path / 'ann.json').write_text(json.dumps(file))
    return CocoIds.read(tmp_path / 'ann.json')


def test_images_are_known_by_the_longest_end_of_their_path(ids):
    found = ids.of_images(['a.jpg', '/data/a.jpg', '/data/night/a.jpg'])
    assert list(found.values()) == [42, 42, 43]


def test_classes_are_known_by_name(ids):
    assert ids.of_classes(['dog', 'cat']) == (9, 7)


def test_what_is_not_listed_is_named(ids):
    with pytest.raises(DataError, match=r"ann\.json does not list .*'b\.jpg'"):
        ids.of_images(['b.jpg'])
    with pytest.raises(DataError, match="no category 'cow'"):
        ids.of_classes(['cat', 'cow'])
