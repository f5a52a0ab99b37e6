import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeanchor.datasets.coco_outlines import without_outlines

TEXTS = st.text('"\\[],{}:1 se', max_size=8)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
NUMBERS = st.lists(FINITE | st.integers(), max_size=4)
ANYTHING = st.recursive(
    st.none() | st.booleans() | FINITE | TEXTS,
    lambda x: (
        st.lists(x) | st.dictionaries(st.sampled_from(['segmentation', 'a"', '[']), x)
    ),
    max_leaves=6,
)
ANNOTATION = st.fixed_dictionaries(
    dict(id=st.integers()),
    optional=dict(
        segmentation=st.lists(NUMBERS, max_size=3) | ANYTHING,
        bbox=NUMBERS,
        name=TEXTS | st.just('"segmentation": [[1, 2]]'),
    ),
)


def are_polygons(value) -> bool:
    return isinstance(value, list) and all(
        isinstance(x, list) and all(type(y) in (int, float) for y in x) for x in value
    )


def emptied(value):
    """The slow way: parse all, then take the polygons out."""
    if isinstance(value, list):
        return [emptied(x) for x in value]
    if not isinstance(value, dict):
        return value
    return {
        key: [] if key == 'segmentation' and are_polygons(x) else emptied(x)
        for key, x in value.items()
    }


@given(
    st.lists(ANNOTATION, max_size=4),
    st.sampled_from([None, 1]),
    st.sampled_from([(',', ':'), (' , ', ' : '), (', ', ': ')]),
)
def test_cutting_before_parsing_is_cutting_after_it(annotations, indent, separators):
    text = json.dumps(
        dict(annotations=annotations), indent=indent, separators=separators
    )
    cut = json.loads(without_outlines(text.encode()))
    assert cut == emptied(json.loads(text))


@pytest.mark.parametrize(
    'text',
    [
        '{"segmentation": {"counts": [1, 2], "size": [3, 4]}}',
        '{"segmentation": [{"counts": "[[1]]"}]}',
        '{"name": "\\"segmentation\\": [[1]]"}',
        '{"segmentation": [["],[1]]"]]}',
        '{"bbox": [1, 2, 3, 4]}',
        '["segmentation", [[1, 2]]]',
    ],
)
def test_what_is_no_polygon_is_left_as_it_is(text):
    assert without_outlines(text.encode()) == text.encode()


def test_a_file_that_is_cut_short_stays_unreadable():
    text = json.dumps(dict(annotations=[dict(segmentation=[[1, 2], [3, 4]])]))
    for length in range(len(text)):
        with pytest.raises(json.JSONDecodeError):
            json.loads(without_outlines(text[:length].encode()))
