from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from freeanchor.engine import ConfigError
from freeanchor.inference import find_images


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Files that are not looked into; the names are all that counts."""
    for name in ('b.JPG', 'a.png', '.hidden.png', 'notes.txt', 'in/c.webp', 'x[1].png'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(images) -> list[str]:
    return [x.name for x in find_images(images)]


def test_a_folder_is_its_images_by_name(tree):
    assert names(tree) == [str(tree / x) for x in ('a.png', 'b.JPG', 'x[1].png')]


def test_two_stars_look_into_folders_below(tree):
    assert names('**') == ['a.png', 'b.JPG', 'in/c.webp', 'x[1].png']
    assert names('*/*.webp') == ['in/c.webp']


def test_a_name_with_brackets_is_a_file_where_there_is_one(tree):
    assert names('x[1].png') == ['x[1].png']
    assert names('[ab].*') == ['a.png', 'b.JPG']


def test_a_file_that_is_named_need_not_end_like_an_image(tree):
    assert names('notes.txt') == ['notes.txt']


def test_what_is_named_twice_is_taken_once(tree):
    assert names(['a.png', '*.png', Path('a.png')]) == ['a.png', 'x[1].png']


def test_order_is_that_of_what_is_given(tree):
    assert names(['b.JPG', 'a.png']) == ['b.JPG', 'a.png']


def test_addresses_are_left_for_later():
    address = 'https://example.org/a.jpg'
    (source,) = find_images(address)
    assert (source.name, source.content) == (address, address)


@pytest.mark.parametrize('name', ['nothing.png', 'no*.png', 'empty'])
def test_what_is_not_there_is_named(name, tree):
    (tree / 'empty').mkdir()
    with pytest.raises(FileNotFoundError, match=name.replace('*', r'\*')):
        find_images(name)


def test_images_in_memory_are_numbered():
    pixels = np.zeros((2, 3, 3), np.uint8)
    assert names([b'1', pixels, b'2']) == ['image 1', 'image 2', 'image 3']


@pytest.mark.parametrize('shape', [(2, 3), (2, 3, 1), (2, 3, 3), (2, 3, 4)])
def test_arrays_become_three_colours(shape):
    pixels = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    (source,) = find_images(pixels)
    expected = pixels.reshape(2, 3, -1)[..., :3]
    np.testing.assert_array_equal(source.content, np.broadcast_to(expected, (2, 3, 3)))


def test_pictures_of_pillow_become_bgr():
    (source,) = find_images(Image.new('RGB', (3, 2), (10, 20, 30)))
    assert source.content.shape == (2, 3, 3)
    assert source.content[0, 0].tolist() == [30, 20, 10]


@pytest.mark.parametrize(
    'image',
    [
        np.zeros((2, 3, 3)),
        np.zeros((3, 20, 20), np.uint8),
        np.zeros((0, 3, 3), np.uint8),
        np.zeros(3, np.uint8),
    ],
)
def test_other_arrays_are_refused(image):
    with pytest.raises(ConfigError, match=r'give \(height, width, 3\) uint8'):
        find_images(image)


def test_what_is_no_image_is_refused():
    with pytest.raises(ConfigError, match='image 1 is a int'):
        find_images([1])
