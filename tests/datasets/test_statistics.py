"""What a data set is said to be like."""

import pytest

from freeanchor.datasets.statistics import statistics_of


def content(*boxes, crowd=()):
    entries = [
        dict(id=i, image_id=image, category_id=5, bbox=list(bbox), iscrowd=i in crowd)
        for i, (image, bbox) in enumerate(boxes)
    ]
    images = [dict(id=i, width=100, height=50) for i in (1, 2, 3)]
    categories = [dict(id=5, name='cup'), dict(id=9, name='tree')]
    return dict(images=images, annotations=entries, categories=categories)


def test_sizes_shapes_and_counts():
    found = statistics_of(
        content((1, (0, 0, 10, 40)), (1, (50, 0, 20, 20)), (3, (0, 0, 96, 96)))
    )
    numbers = found.summary()
    assert found.per_image.tolist() == [2, 0, 1]
    assert numbers['images_without_objects'] == 1
    assert numbers['classes'] == dict(cup=3, tree=0)
    assert found.sizes.tolist() == [20, 20, 96]
    assert found.aspects.tolist() == [4, 1, 1]
    assert numbers['share_slender'] == pytest.approx(1 / 3, abs=1e-4)
    assert numbers['share_small'] == pytest.approx(2 / 3, abs=1e-4)
    assert numbers['share_large'] == pytest.approx(1 / 3, abs=1e-4)


def test_overlap_is_with_objects_of_the_same_image_only():
    found = statistics_of(
        content((1, (0, 0, 10, 10)), (2, (0, 0, 10, 10)), (1, (5, 0, 10, 10)))
    )
    # Half of each box is shared: 50 of 150 pixels.
    assert found.overlaps.tolist() == pytest.approx([1 / 3, 0, 1 / 3])


def test_crowds_and_empty_boxes_are_no_objects():
    found = statistics_of(
        content((1, (0, 0, 10, 10)), (1, (0, 0, 0, 10)), (1, (0, 0, 9, 9)), crowd={2})
    )
    assert len(found.labels) == 1
    assert found.num_crowds == 1


def test_a_set_without_objects_has_numbers_too():
    numbers = statistics_of(content()).summary()
    assert numbers['objects'] == 0
    assert numbers['share_small'] == 0
    assert numbers['size'] == {}
