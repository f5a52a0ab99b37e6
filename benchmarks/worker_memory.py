"""Memory of data loader workers that read every annotation of a COCO-size file.

    python -m benchmarks.worker_memory freeanchor|mmdet fork|spawn FOLDER

``FOLDER`` is one of :mod:`benchmarks.coco_size`. Prints JSON: in MiB, of the
parent and, on average, of a worker ``rss`` (resident set), ``pss`` (shared pages
counted in parts) and ``private``, once before and once after each worker has
looked at the annotations of all images. No image is read. Linux only.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader, Dataset

from benchmarks.coco_size import class_names
from benchmarks.peer import load_peer

NUM_WORKERS = 2
_FIELDS = dict(rss=('Rss',), pss=('Pss',), private=('Private_Clean', 'Private_Dirty'))

# A spawned process imports this module before it unpickles the data set.
if sys.argv[1:2] == ['mmdet']:
    load_peer()


class Passes(Dataset):
    """Reads the annotations of all images where it is asked for an item."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return NUM_WORKERS

    def __getitem__(self, index: int) -> dict[str, Any]:
        before = memory(os.getpid())
        for i in range(len(self.dataset)):
            self.dataset.get_data_info(i)
        return dict(before=before, after=memory(os.getpid()))


def memory(process: int) -> dict[str, float]:
    """Memory of a process in MiB."""
    lines = Path(f'/proc/{process}/smaps_rollup').read_text().splitlines()[1:]
    kib = {line.split(':')[0]: int(line.split()[1]) for line in lines}
    return {k: sum(kib[x] for x in fields) / 1024 for k, fields in _FIELDS.items()}


def build(name: str, folder: str) -> Any:
    """The training set of a competitor, without a pipeline."""
    files: dict[str, Any] = dict(
        data_root=folder,
        ann_file='annotations.json',
        metainfo=dict(classes=tuple(class_names())),
        filter_cfg=dict(filter_empty_gt=True, min_size=32),
        pipeline=[],
    )
    if name == 'mmdet':
        from mmdet.datasets import CocoDataset as Theirs

        return Theirs(data_prefix=dict(img='images/'), **files)
    from freeanchor.datasets import CocoDataset

    return CocoDataset(data_prefix=dict(img_path='images'), **files)


def main() -> None:
    name, start, folder = sys.argv[1:]
    dataset = build(name, folder)
    loader: DataLoader = DataLoader(
        Passes(dataset),
        batch_size=1,
        num_workers=NUM_WORKERS,
        multiprocessing_context=start,
        collate_fn=_first,
    )
    workers = list(loader)
    mean = {
        moment: {
            key: sum(x[moment][key] for x in workers) / len(workers) for key in _FIELDS
        }
        for moment in ('before', 'after')
    }
    print(json.dumps(dict(images=len(dataset), parent=memory(os.getpid()), **mean)))


def _first(batch: list[Any]) -> Any:
    return batch[0]


if __name__ == '__main__':
    main()
