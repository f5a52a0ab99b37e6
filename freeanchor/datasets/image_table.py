"""What is known of many images, in a few arrays that processes can share."""

import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from .coco_boxes import Boxes


class ImageTable(Sequence):
    """Images and their boxes; gives a fresh dict for each index.

    As lists and dicts, COCO's annotations are millions of Python objects.
    Looking at one changes its count of references, and so the memory page it
    is on: each worker of a data loader ends up with a copy of all. Arrays have
    no such counts. They are torch's, because those, and not numpy's, are handed
    to a process that is spawned by their place in shared memory.

    Args:
        images: ``id``, ``file_name``, ``width`` and ``height`` of N images.
        folder: Where the files are.
        boxes: The images' boxes.
    """

    def __init__(self, images: Sequence[dict], folder: str, boxes: Boxes) -> None:
        names = [json.dumps([x['id'], x['file_name']]).encode() for x in images]
        sizes = [(x['width'], x['height']) for x in images]
        self._folder = folder
        self._names = torch.frombuffer(bytearray(b''.join(names)), dtype=torch.uint8)
        self._name_ends = torch.tensor([len(x) for x in names]).cumsum(0)
        self._sizes = torch.tensor(sizes, dtype=torch.float64)
        self._boxes = dict(
            bbox=torch.from_numpy(boxes.corners),
            bbox_label=torch.from_numpy(boxes.labels),
            ignore_flag=torch.from_numpy(boxes.ignored.astype(np.int8)),
        )
        if boxes.ids is not None:
            self._boxes['ann_id'] = torch.from_numpy(boxes.ids)
        self._ends = torch.from_numpy(boxes.ends)
        self._annotated = torch.from_numpy(boxes.annotated)
        self._rows = torch.arange(len(images))

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        row = int(self._rows[index])
        image_id, name = json.loads(_part(self._names, self._name_ends, row).tobytes())
        width, height = map(_whole, self._sizes[row].tolist())
        return dict(
            img_id=image_id,
            img_path=os.path.join(self._folder, name),
            width=width,
            height=height,
            instances=self._instances(row),
        )

    def take(self, indices: np.ndarray) -> 'ImageTable':
        """A table of some of the images, which shares the arrays of this one."""
        table = object.__new__(ImageTable)
        table.__dict__.update(self.__dict__)
        table._rows = self._rows[torch.from_numpy(np.ascontiguousarray(indices))]
        return table

    @property
    def short_sides(self) -> np.ndarray:
        """The shorter side of each image, in pixels."""
        return self._sizes[self._rows].amin(dim=1).numpy()

    @property
    def annotated(self) -> np.ndarray:
        """Whether each image has annotations of the classes in use."""
        return self._annotated[self._rows].numpy()

    def _instances(self, row: int) -> list[dict[str, Any]]:
        parts = (_part(x, self._ends, row).tolist() for x in self._boxes.values())
        return [dict(zip(self._boxes, values)) for values in zip(*parts)]


def _part(values: torch.Tensor, ends: torch.Tensor, row: int) -> np.ndarray:
    """What belongs to a row, of values that stand side by side."""
    limits = ends.numpy()
    return values.numpy()[limits[row - 1] if row else 0 : limits[row]]


def _whole(length: float) -> float:
    return int(length) if length.is_integer() else length
