"""Batches of images of one orientation, so that little is padding."""

from collections.abc import Iterator
from typing import Any

from torch.utils.data import BatchSampler

from freeanchor.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class AspectRatioBatchSampler(BatchSampler):
    """Put landscape images in one batch and portrait images in another.

    Only the last batches may mix them, so that there are as many batches as
    without grouping. The orientation comes from the annotations
    (``get_data_info`` of the sampler's data set), no image is read.

    Args:
        sampler: MMEngine's sampler of image indices.
        batch_size: Images per batch.
        drop_last: Leave out the last batch if it is not full.
    """

    sampler: Any  # one that has ``dataset``, as all of MMEngine's have

    def __init__(self, sampler: Any, batch_size: int, drop_last: bool = False) -> None:
        super().__init__(sampler, batch_size, drop_last)

    def __iter__(self) -> Iterator[list[int]]:
        portraits: list[int] = []
        landscapes: list[int] = []
        for index in self.sampler:
            info = self.sampler.dataset.get_data_info(index)
            group = portraits if info['width'] < info['height'] else landscapes
            group.append(index)
            if len(group) == self.batch_size:
                yield group[:]
                group.clear()

        rest = portraits + landscapes
        for start in range(0, len(rest), self.batch_size):
            batch = rest[start : start + self.batch_size]
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch
