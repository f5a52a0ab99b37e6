import struct

import pytest

from freeanchor.datasets.image_header import (
    HeaderError,
    claims_too_much,
    ends_early,
    read_header,
)

from .pictures import bomb, encoded, with_long_part, with_orientation

KINDS = ['jpg', 'png', 'webp', 'bmp', 'gif', 'tiff', 'ppm']


@pytest.mark.parametrize('kind', KINDS)
def test_the_size_of_each_format_is_that_of_the_image(kind):
    header = read_header(encoded(kind, 83, 61))
    assert (header.width, header.height) == (83, 61)


def test_avif_has_its_size_in_a_box():
    boxes = b'\0\0\0\x1cftypavif' + b'\0' * 40 + b'ispe\0\0\0\0'
    header = read_header(boxes + struct.pack('>II', 83, 61))
    assert (header.format, header.width, header.height) == ('AVIF', 83, 61)


@pytest.mark.parametrize('kind', KINDS)
def test_a_header_that_is_cut_anywhere_is_an_error_or_the_same(kind):
    content = encoded(kind, 83, 61)
    whole = read_header(content)
    for length in range(min(len(content), 700)):
        try:
            header = read_header(content[:length])
        except HeaderError:
            continue
        assert (header.width, header.height) == (whole.width, whole.height)


@pytest.mark.parametrize('order', ['<', '>'])
@pytest.mark.parametrize('orientation', range(1, 9))
def test_the_orientation_of_a_photograph_is_read(orientation, order):
    header = read_header(with_orientation(encoded('jpg'), orientation, order))
    assert header.orientation == orientation
    assert (header.width, header.height) == (80, 60)
    assert header.upright == ((60, 80) if orientation > 4 else (80, 60))


@pytest.mark.parametrize('orientation', [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_none(orientation):
    assert read_header(with_orientation(encoded('jpg'), orientation)).orientation == 1


def test_a_bomb_is_known_by_its_header():
    content = bomb()
    assert len(content) < 10_000
    assert read_header(content).pixels == 900_000_000


@pytest.mark.parametrize('kind', KINDS)
def test_no_part_of_a_sound_file_claims_too_much(kind):
    content = encoded(kind)
    for end in (b'', b'what another program put behind it'):
        assert not claims_too_much(content + end, read_header(content))


@pytest.mark.parametrize('kind', [b'IDAT', b'IEND'])
def test_a_part_that_claims_gigabytes_is_noticed(kind):
    content = with_long_part(kind)
    assert claims_too_much(content, read_header(content))


@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        (b'', 'empty'),
        (b'<!DOCTYPE html><html>', 'web page'),
        (b'\x80\x04 anything else', 'no image in a format'),
        (b'\xff\xd8\xff\xd9', 'no size'),
        (b'\x89PNG\r\n\x1a\n' + b'\0' * 30, 'damaged'),
    ],
)
def test_what_is_no_image_is_said(content, reason):
    with pytest.raises(HeaderError, match=reason):
        read_header(content)


@pytest.mark.parametrize('kind', ['jpg', 'png'])
def test_a_file_without_its_end_is_noticed(kind):
    content = encoded(kind)
    header = read_header(content)
    assert not ends_early(content, header)
    assert not ends_early(content + b'a film behind it', header)
    assert ends_early(content[:-12], header)
    assert ends_early(content[: len(content) // 2], header)
