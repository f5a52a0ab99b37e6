from pathlib import Path

import numpy as np
import pytest

from freeanchor.inference.jobs import find_jobs
from freeanchor.inference.video import VideoFile


@pytest.fixture
def files(tmp_path, monkeypatch):
    """``a.png``, ``7`` (a file without ending), ``clip.mp4``, ``broken.avi``."""
    monkeypatch.chdir(tmp_path)
    Path('a.png').touch()
    Path('7').touch()
    Path('broken.avi').write_bytes(b'no video')
    video = VideoFile(Path('clip.mp4'), 10)
    for _ in range(4):
        video.add(np.zeros((48, 64, 3), np.uint8))
    video.close()


def test_pictures_are_one_job_and_each_video_another(files):
    broken = []
    jobs = find_jobs(['clip.mp4', 'a.png', '7', 'broken.avi'], None, broken.append)
    assert [x.name for x in jobs] == ['images', 'clip.mp4']
    assert [x.total for x in jobs] == [2, 4]
    assert [x.path for x in broken] == ['broken.avi']


def test_a_video_may_be_cut_short(files):
    (job,) = find_jobs(['clip.mp4'], 3, pytest.fail)
    assert job.total == len(list(job.sources)) == 3


def test_what_is_not_there_is_named(files):
    with pytest.raises(FileNotFoundError, match=r'b\.png'):
        find_jobs(['a.png', 'b.png'], None, pytest.fail)
    with pytest.raises(FileNotFoundError, match=r'b\.mp4'):
        find_jobs(['b.mp4'], None, pytest.fail)
