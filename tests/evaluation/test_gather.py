import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from freeanchor.evaluation.gather import gather_results
from tests.processes import run_on_processes

IDS: list[int | str] = [7, 'b/\u00e9.jpg', '7', 3, 'z', 1, 0, 'y']


def found(index: int) -> np.ndarray:
    """Detections of an image; every third has none."""
    rng = np.random.RandomState(index)
    return rng.random_sample(((index * 5) % 3 * 4, 6))


class _Share:
    """What a process of several has of the images, with a sampler's repeats."""

    def __init__(self, sizes: Sequence[int], folder: Path) -> None:
        self.sizes, self.folder = sizes, folder

    def __call__(self, rank: int, processes: int) -> list:
        os.chdir(self.folder)
        return [self._gather(size, rank, processes) for size in self.sizes]

    def _gather(self, num_images: int, rank: int, processes: int) -> list:
        rounds = -(-num_images // processes)
        mine = [(i * processes + rank) % num_images for i in range(rounds)]
        return gather_results([(IDS[i], found(i)) for i in mine], 6)


def assert_same(gathered: list, num_images: int) -> None:
    assert [image_id for image_id, _ in gathered] == IDS[:num_images]
    for index, (_, rows) in enumerate(gathered):
        np.testing.assert_array_equal(rows, found(index))


def test_all_processes_get_every_image_once_in_order(tmp_path):
    sizes = (1, 3, 7, 8)
    shares = run_on_processes(_Share(sizes, tmp_path), 3)
    assert len(shares) == 3
    for share in shares:
        for num_images, gathered in zip(sizes, share):
            assert_same(gathered, num_images)
    assert not list(tmp_path.iterdir()), 'nothing is written'


def test_a_process_alone_drops_repeats_only():
    results = [(IDS[i % 5], found(i % 5)) for i in range(7)]
    assert_same(gather_results(results, 6), 5)


def test_nothing_gathers_to_nothing():
    assert gather_results([], 6) == []
