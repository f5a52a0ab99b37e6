"""What was found in many images, and what could not be read, as a summary."""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from freeanchor.datasets.errors import BrokenImageError, DataError

_SHOWN = 8  # classes, or files
_SLACK = 0.9  # of a video's frames: the number in a file is often an estimate


@dataclass
class Tally:
    """Counts images and detections, and keeps what is to be said of files.

    Attributes:
        num_images: Images and frames that were read.
        classes: Detections by the name of their class.
        broken: Files that cannot be read.
        short: A sentence for each video that breaks off.
    """

    num_images: int = 0
    classes: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    short: list[str] = field(default_factory=list)

    def add(self, names: Sequence[str]) -> None:
        """Count an image with detections of classes of these names."""
        self.num_images += 1
        self.classes.update(names)

    def add_broken(self, error: BrokenImageError) -> None:
        """Name a file that cannot be read, on the screen and at the end."""
        self.broken.append(error.path)
        print(f'skipped {error.path}: {error.reason}', file=sys.stderr, flush=True)

    def add_video(self, name: str, num_frames: int, expected: int | None) -> None:
        """Note a video that breaks off.

        Args:
            name: Of the video.
            num_frames: Frames that could be read.
            expected: Frames there should be; None where nobody knows.
        """
        if expected is not None and num_frames < _SLACK * expected:
            self.short.append(
                f'{name} breaks off: {num_frames} of about {expected} frames could be '
                'read'
            )

    def text(self, seconds: float, score_thr: float) -> str:
        """The summary of a run of so many seconds."""
        total = self.classes.total()
        counts = [f'{name} {n}' for name, n in self.classes.most_common(_SHOWN)]
        rest = len(self.classes) - _SHOWN
        counts += [f'and {rest} more classes'] if rest > 0 else []
        found = f': {", ".join(counts)}' if counts else ''
        pace = seconds / max(self.num_images, 1)
        lines = [
            f'{self.num_images} images, {pace:.3f} s each',
            f'{total} detections of score {score_thr:g} and above{found}',
        ]
        return '\n'.join([*lines, *self.short])

    def raise_for_broken(self) -> None:
        """Let the exit code tell.

        Raises:
            DataError: Files could not be read; names the first ones.
        """
        if self.broken:
            raise DataError(
                f'{len(self.broken)} could not be read and were left out: '
                f'{", ".join(self.broken[:_SHOWN])}'
                + (', ...' if len(self.broken) > _SHOWN else '')
            )
