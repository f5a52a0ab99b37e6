"""What a list of inputs asks for: pictures together, each video by itself."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from freeanchor.datasets.errors import BrokenImageError

from .sources import ImageSource, find_images
from .video import VIDEO_SUFFIXES, Video, open_video


@dataclass(frozen=True)
class Job:
    """Images that belong together: all pictures, or the frames of one video.

    Args:
        sources: The images.
        total: How many, where that is known.
        video: What they are the frames of.
    """

    sources: Iterable[ImageSource]
    total: int | None
    video: Video | None = None

    @property
    def name(self) -> str:
        return 'images' if self.video is None else self.video.name


def find_jobs(
    inputs: Sequence[str],
    max_frames: int | None,
    on_broken: Callable[[BrokenImageError], None],
) -> list[Job]:
    """Sort ``inputs``, and open the videos among them.

    Args:
        inputs: Paths of images, folders and videos, globs, https URLs, and numbers
            of cameras.
        max_frames: The most to take of a video or camera; None for all.
        on_broken: Is told of a video that cannot be opened.

    Raises:
        FileNotFoundError: Something is not there.
    """
    images: list[str] = []
    videos: list[str | int] = []
    for name in inputs:
        if name.isdecimal() and not Path(name).exists():
            videos.append(int(name))
        elif Path(name).suffix.lower() in VIDEO_SUFFIXES and '://' not in name:
            videos.append(name)
        else:
            images.append(name)
    sources = find_images(images) if images else []
    jobs = [Job(sources, len(sources))] if sources else []
    for source in videos:
        try:
            video = open_video(source)
        except BrokenImageError as error:
            on_broken(error)
            continue
        total = max_frames or video.num_frames
        jobs.append(Job(video.frames(max_frames), total, video))
    return jobs
