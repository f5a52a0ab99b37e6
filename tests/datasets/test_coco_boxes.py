import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeanchor.datasets.coco_boxes import OTHER_CLASS, read_boxes
from freeanchor.datasets.coco_file import CocoFile

from .coco_files import box

CATEGORIES = {3: 'cup', 8: 'tree', 11: 'boat'}
CAT_IDS = [8, 3]
PLACES = st.sampled_from([-30, -1, 0, 0.5, 5, 59.995, 59.98, 60, 79.995, 80, 100])
LENGTHS = st.sampled_from([-1, 0, 0.999, 1, 1.5, 20, 30.001, 100])
ANNOTATIONS = st.lists(
    st.builds(
        box,
        bbox=st.tuples(PLACES, PLACES, LENGTHS, LENGTHS),
        image=st.sampled_from(['left', 2, 7]),
        category=st.sampled_from(list(CATEGORIES)),
        iscrowd=st.sampled_from([0, 1, None]),
        ignore=st.sampled_from([0, 1, None]),
    ),
    max_size=30,
)
IMAGES = [dict(id=x, file_name=f'{x}.png', width=80, height=60) for x in ('left', 2, 7)]


def reason_to_drop(annotation: dict, image: dict) -> str | None:
    """The slow way, one annotation at a time."""
    x, y, w, h = annotation['bbox']
    if annotation['category_id'] not in CAT_IDS:
        return OTHER_CLASS
    if w < 1 or h < 1:
        return 'thinner than a pixel'
    if annotation.get('area') is not None and annotation['area'] <= 0:
        return 'with an area of 0'
    visible_w = min(x + w, image['width']) - max(x, 0)
    visible_h = min(y + h, image['height']) - max(y, 0)
    return 'outside the image' if min(visible_w, visible_h) < 0.01 else None


@given(ANNOTATIONS, st.lists(st.sampled_from([None, -1, 0, 0.5, 9]), min_size=30))
def test_columns_are_what_one_box_after_the_other_gives(annotations, areas):
    for i, (annotation, area) in enumerate(zip(annotations, areas)):
        annotation.update(id=i, area=area)
    found = read_boxes(CocoFile(IMAGES, annotations, CATEGORIES), CAT_IDS)
    dropped: dict[str, list[int]] = {}
    start = 0
    for row, image in enumerate(IMAGES):
        own = [x for x in annotations if x['image_id'] == image['id']]
        kept = []
        for annotation in own:
            reason = reason_to_drop(annotation, image)
            if reason is None:
                kept.append(annotation)
            else:
                dropped.setdefault(reason, []).append(annotation['id'])
        part = slice(start, start := found.ends[row])
        corners = [(x, y, x + w, y + h) for x, y, w, h in (a['bbox'] for a in kept)]
        assert found.corners[part].tolist() == list(map(list, corners))
        labels = [CAT_IDS.index(x['category_id']) for x in kept]
        assert found.labels[part].tolist() == labels
        assert found.ids[part].tolist() == [x['id'] for x in kept]
        crowds = [bool(x['iscrowd'] or x['ignore']) for x in kept]
        assert found.ignored[part].tolist() == crowds
        assert found.annotated[row] == any(x['category_id'] in CAT_IDS for x in own)
    assert found.dropped == {k: sorted(v) for k, v in dropped.items()}


def test_an_annotation_without_area_and_flags_is_an_object():
    bare = dict(id=1, image_id=2, category_id=3, bbox=[1, 2, 3, 4])
    found = read_boxes(CocoFile(IMAGES, [bare], CATEGORIES), CAT_IDS)
    np.testing.assert_array_equal(found.corners, [[1, 2, 4, 6]])
    assert found.ignored.tolist() == [False]
    assert not found.dropped


@pytest.mark.parametrize('odd', ['7', True, 2**63])
def test_ids_that_are_not_all_integers_of_64_bits_are_left_out(odd):
    def ids(*values):
        boxes = [dict(id=x, **box([5, 5, 9, 9], image=2)) for x in values]
        return read_boxes(CocoFile(IMAGES, boxes, CATEGORIES), CAT_IDS).ids

    np.testing.assert_array_equal(ids(2**63 - 1, -5), [2**63 - 1, -5])
    assert ids(1, odd) is None
