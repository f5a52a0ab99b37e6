"""Pictures beside each other, originals, verdicts."""

import numpy as np
import pytest
from PIL import Image

from freeanchor.visualization.originals import read_picture
from freeanchor.visualization.sheets import contact_sheet, side_by_side
from freeanchor.visualization.verdicts import VERDICTS, draw_verdicts

RED, BLUE = (200, 0, 0), (0, 0, 200)
_TURNED = 6  # EXIF's orientation of a camera held upright


def plain(colour, height, width):
    return np.full((height, width, 3), colour, np.uint8)


def area(picture, colour):
    return int((picture == np.array(colour)).all(-1).sum())


def test_pictures_side_by_side_keep_every_pixel():
    sheet = side_by_side([plain(RED, 40, 60), plain(BLUE, 50, 30)], ('a', 'b'))
    assert area(sheet, RED) == 40 * 60
    assert area(sheet, BLUE) == 50 * 30


def test_a_contact_sheet_has_all_pictures_within_their_places():
    pictures = [plain((10 * i, 0, 99), 100, 50 + 30 * i) for i in range(5)]
    sheet = contact_sheet(pictures, [str(i) for i in range(5)], side=80)
    for i, picture in enumerate(pictures):
        height, width = picture.shape[:2]
        scale = min(1, 80 / max(height, width))
        expected = round(height * scale) * round(width * scale)
        found = area(sheet, (10 * i, 0, 99))
        assert found == pytest.approx(expected, rel=0.05)
    assert sheet.shape[1] < 3 * 100


def test_a_title_longer_than_its_place_is_cut():
    narrow = contact_sheet([plain(RED, 60, 60)], [200 * 'w'], side=60)
    assert narrow.shape[1] == 60 + 2 * 8
    assert (narrow[:, -8:] == 255).all()


@pytest.fixture
def turned(tmp_path):
    """40 x 20 pixels as stored, to be shown as 20 x 40."""
    path = tmp_path / 'turned.jpg'
    exif = Image.Exif()
    exif[0x0112] = _TURNED
    Image.new('RGB', (40, 20)).save(path, exif=exif)
    return str(path)


@pytest.mark.parametrize('shape', [(40, 20), (20, 40)])
def test_a_photograph_is_turned_as_its_boxes_are(turned, shape):
    assert read_picture(turned, shape).shape[:2] == shape


def test_a_picture_of_another_size_is_refused(turned):
    with pytest.raises(OSError, match='not of 7 x 7 pixels'):
        read_picture(turned, (7, 7))


def test_a_file_that_is_no_image_is_refused(tmp_path):
    path = tmp_path / 'a.png'
    path.write_bytes(b'no image')
    with pytest.raises(OSError, match='damaged or no image'):
        read_picture(str(path))


@pytest.mark.parametrize('verdict', sorted(VERDICTS))
def test_every_verdict_has_its_colour(verdict):
    image = plain((128, 128, 128), 640, 640)
    box = (100.0, 200.0, 300.0, 400.0)
    sheet = draw_verdicts(image, [], [(box, verdict, 'cup 0.90')])
    left, right = np.split(sheet, [sheet.shape[1] // 2], axis=1)
    assert area(right, VERDICTS[verdict]) > 4 * 190
    assert area(left, VERDICTS[verdict]) < 20  # a title has greys
