import cv2
import numpy as np
import pytest

from freeanchor.datasets.errors import BrokenImageError, DataError
from freeanchor.inference.video import VideoFile, open_video


@pytest.fixture
def clip(tmp_path):
    """Four frames, 64 wide and 48 high, each brighter than the one before."""
    video = VideoFile(tmp_path / 'clip.mp4', rate=10)
    for level in (10, 80, 150, 220):
        video.add(np.full((48, 64, 3), level, np.uint8))
    video.close()
    return tmp_path / 'clip.mp4'


def test_frames_come_in_order(clip):
    video = open_video(clip)
    assert (video.rate, video.num_frames) == (10, 4)
    frames = list(video.frames())
    assert [x.name for x in frames] == [f'{clip}#{i}' for i in (1, 2, 3, 4)]
    assert frames[0].content.shape == (48, 64, 3)
    levels = [x.content.mean() for x in frames]
    assert levels == pytest.approx([10, 80, 150, 220], abs=4)


def test_fewer_frames_are_read_where_fewer_are_wanted(clip):
    assert len(list(open_video(clip).frames(most=3))) == 3
    assert len(list(open_video(clip).frames(most=9))) == 4


def test_frames_of_another_size_are_fitted_to_the_first(tmp_path):
    video = VideoFile(tmp_path / 'clip.mp4', rate=10)
    video.add(np.zeros((48, 64, 3), np.uint8))
    video.add(np.zeros((96, 64, 3), np.uint8))
    video.close()
    assert cv2.VideoCapture(str(video.path)).get(cv2.CAP_PROP_FRAME_COUNT) == 2


def test_a_file_that_is_no_video_is_named(tmp_path):
    (tmp_path / 'clip.mp4').write_bytes(b'no video')
    with pytest.raises(BrokenImageError, match=r'clip\.mp4: it cannot be opened'):
        open_video(tmp_path / 'clip.mp4')
    with pytest.raises(FileNotFoundError, match=r'nothing\.mp4'):
        open_video(tmp_path / 'nothing.mp4')


def test_a_video_that_cannot_be_written_is_named(tmp_path):
    video = VideoFile(tmp_path / 'missing' / 'clip.mp4', rate=10)
    with pytest.raises(DataError, match=r'clip\.mp4 cannot be written'):
        video.add(np.zeros((48, 64, 3), np.uint8))
