"""What is to be checked: annotation files, and how a config uses them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from freeanchor.registry import DATASETS

from ..coco import CocoDataset
from ..image_loading import MAX_PIXELS

_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


@dataclass(frozen=True)
class Source:
    """An annotation file with its images.

    Args:
        name: What it is for: ``'train'``, ``'val'``, ``'test'``.
        ann_file: The file.
        folder: Of the images.
        classes: Names in the order of their labels; None takes the file's.
        test_mode: Whether images without annotations are as usual.
        num_classes: Of the model; None where nobody said.
        max_pixels: The most an image may have.
        allow_outside: Whether images may lie outside the folder.
    """

    name: str
    ann_file: str
    folder: str
    classes: tuple[str, ...] | str | None = None
    test_mode: bool = False
    num_classes: int | None = None
    max_pixels: int = MAX_PIXELS
    allow_outside: bool = False

    def of_file(self, ann_file: str) -> 'Source':
        """The same with another annotation file."""
        return replace(self, name=ann_file, ann_file=ann_file)


def sources_of(cfg: Any) -> list[Source]:
    """The annotation files of a config, those of training first.

    A file is there once for each order of classes, and once more where training
    and validation both read it. Data sets of other kinds than ours have no part in it.

    Args:
        cfg: The whole config, as MMEngine reads it.

    Raises:
        ValueError: Arguments of a data set are wrong.
    """
    head = (cfg.get('model') or {}).get('bbox_head') or {}
    found: dict[tuple, Source] = {}
    for key in _LOADERS:
        loader = cfg.get(key)
        for node in _plain((loader or {}).get('dataset')):
            source = _source(key.split('_')[0], node, head.get('num_classes'))
            if source is not None:
                files = (source.ann_file, source.folder, source.classes)
                found.setdefault((*files, source.name == 'train'), source)
    return list(found.values())


def _plain(node: Any) -> Iterator[dict]:
    """Configs of data sets, out of those that repeat or join them."""
    if not isinstance(node, dict):
        return
    parts = node.get('datasets') or ([node['dataset']] if 'dataset' in node else [])
    for part in parts:
        yield from _plain(part)
    if not parts:
        yield node


def _source(name: str, node: dict, num_classes: int | None) -> Source | None:
    kind = DATASETS.get(str(node.get('type')))
    if not (isinstance(kind, type) and issubclass(kind, CocoDataset)):
        return None
    # A subclass knows its own files. Without a pipeline nothing is read yet.
    dataset = DATASETS.build({**node, 'pipeline': [], 'lazy_init': True})
    load = [x for x in node.get('pipeline', ()) if isinstance(x, dict)]
    limits = [x['max_pixels'] for x in load if 'max_pixels' in x]
    classes = dataset._metainfo.get('classes')
    return Source(
        name=name,
        ann_file=dataset.ann_file,
        folder=dataset.data_prefix.get('img_path', ''),
        # A text is no list of names: kept, to be refused.
        classes=classes
        if classes is None or isinstance(classes, str)
        else tuple(classes),
        test_mode=dataset.test_mode,
        num_classes=num_classes,
        max_pixels=limits[0] if limits else MAX_PIXELS,
        allow_outside=dataset.allow_outside,
    )
