import pytest

from freeanchor.datasets.errors import BrokenImageError, DataError
from freeanchor.inference.tally import Tally


def test_the_summary_counts_images_and_the_commonest_classes():
    tally = Tally()
    for names in (['cup', 'tree'], ['cup'], []):
        tally.add(names)
    said = tally.text(6.0, 0.25)
    assert said == (
        '3 images, 2.000 s each\n3 detections of score 0.25 and above: cup 2, tree 1'
    )


def test_of_many_classes_the_rest_is_counted():
    tally = Tally()
    tally.add([f'class {i}' for i in range(11)])
    assert tally.text(1, 0).endswith('class 7 1, and 3 more classes')


def test_nothing_is_a_summary_too():
    assert Tally().text(0, 0.3).startswith('0 images, 0.000 s each')
    Tally().raise_for_broken()


def test_broken_files_are_named_at_once_and_at_the_end(capsys):
    tally = Tally()
    for i in range(9):
        tally.add_broken(BrokenImageError('', f'{i}.png', 'it is no image'))
    assert 'skipped 3.png: it is no image' in capsys.readouterr().err
    with pytest.raises(DataError, match=r'^9 could .* 0\.png, .*7\.png, \.\.\.$'):
        tally.raise_for_broken()


def test_a_video_that_breaks_off_is_named():
    tally = Tally()
    tally.add_video('whole.mp4', 100, 100)
    tally.add_video('nearly.mp4', 95, 100)
    tally.add_video('camera 0', 7, None)
    tally.add_video('cut.avi', 50, 100)
    lines = tally.text(1, 0.3).splitlines()[2:]
    assert lines == ['cut.avi breaks off: 50 of about 100 frames could be read']
