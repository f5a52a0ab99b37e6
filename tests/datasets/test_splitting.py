"""Sets of images have the classes in the same shares, and groups stay whole."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freeanchor.datasets import DataError
from freeanchor.datasets.splitting import deal, split_images


def content(labels_of_images, names=None):
    """An entry of COCO's lists for each label of each image."""
    images = [
        dict(id=i + 7, file_name=names[i] if names else f'{i}.png')
        for i in range(len(labels_of_images))
    ]
    annotations = [
        dict(id=len(labels_of_images) * i + k, image_id=i + 7, category_id=label + 1)
        for i, labels in enumerate(labels_of_images)
        for k, label in enumerate(labels)
    ]
    categories = [dict(id=i + 1, name=str(i)) for i in range(3)]
    return dict(images=images, annotations=annotations, categories=categories)


def ids(part):
    return [x['id'] for x in part['images']]


def test_a_rare_class_is_in_every_set():
    # 100 images, of which 10 hold the rare class: any random draw of 10 may miss it.
    labels = [[0, 0, 2] if i % 10 == 0 else [0, 1] for i in range(100)]
    for seed in range(20):
        parts = split_images(content(labels), dict(train=0.9, val=0.1), seed)
        rare = [x for x in parts['val']['annotations'] if x['category_id'] == 3]
        assert len(rare) == 1
        assert len(parts['val']['images']) == 10


@given(
    st.lists(st.lists(st.integers(0, 2), max_size=6), min_size=3, max_size=60),
    st.integers(0, 5),
)
@settings(max_examples=60, deadline=None)
def test_every_image_is_in_one_set_with_all_its_boxes(labels, seed):
    data = content(labels)
    parts = split_images(data, dict(train=0.6, val=0.2, test=0.2), seed)
    assert sorted(i for x in parts.values() for i in ids(x)) == ids(data)
    for part in parts.values():
        assert part['images']
        own = [x for x in data['annotations'] if x['image_id'] in set(ids(part))]
        assert part['annotations'] == own


@given(st.integers(2, 200), st.floats(0.05, 0.95), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_sizes_are_as_asked_to_the_image(number, share, seed):
    random = np.random.default_rng(seed)
    counts = random.integers(0, 3, (number, 4)).astype(float)
    shares = np.array([share, 1 - share])
    chosen = deal(counts, np.ones(number, int), shares, random)
    sizes = np.bincount(chosen, minlength=2)
    wanted = np.clip(number * shares, 1, number - 1)
    assert abs(sizes - wanted).max() <= 1


def test_the_seed_decides():
    data = content([[i % 3] for i in range(60)])
    first, again, other = (
        ids(split_images(data, dict(train=0.8, val=0.2), seed)['val'])
        for seed in (1, 1, 2)
    )
    assert first == again != other


def test_groups_stay_together():
    names = [f'patient{i // 4}_{i}.png' for i in range(40)]
    data = content([[i % 3] for i in range(40)], names)
    parts = split_images(data, dict(train=0.8, val=0.2), 0, r'^(patient\d+)_')
    groups = {
        name: {x['file_name'].split('_')[0] for x in part['images']}
        for name, part in parts.items()
    }
    assert not groups['train'] & groups['val']
    assert len(groups['val']) == 2


def test_a_name_without_a_group_is_named():
    data = content([[0], [0]], ['patient1_a.png', 'other.png'])
    with pytest.raises(DataError, match=r"finds nothing in the name 'other\.png'"):
        split_images(data, dict(train=0.5, val=0.5), 0, r'patient\d')


@pytest.mark.parametrize('shares', [dict(a=0.5, b=0.6), dict(a=1.0, b=0.0)])
def test_shares_are_checked(shares):
    with pytest.raises(ValueError, match='together 1'):
        split_images(content([[0]] * 9), shares)


def test_fewer_images_than_sets_are_refused():
    with pytest.raises(DataError, match='1 images cannot be parted into 2'):
        split_images(content([[0]]), dict(train=0.9, val=0.1))
