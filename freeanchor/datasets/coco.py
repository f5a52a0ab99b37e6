"""Images and boxes of an annotation file in COCO's format."""

import logging
import os
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset, force_full_init
from mmengine.logging import print_log

from freeanchor.registry import DATASETS, TRANSFORMS

from .class_names import choose_classes
from .coco_boxes import OTHER_CLASS, read_boxes
from .coco_file import GET_COCO, read_coco
from .errors import BrokenImageError, DataError
from .image_table import ImageTable

_FILTERS = ('filter_empty_gt', 'min_size')
_ATTEMPTS = 20  # images in a row that may be broken


@DATASETS.register_module()
class CocoDataset(BaseDataset):
    """Boxes in COCO's format.

    The label of a class is its place in ``metainfo['classes']``, whatever the
    order of the file; without that, the file's categories in the file's order.
    ``metainfo`` of the data set then holds ``classes`` (names) and ``cat_ids``
    (the file's category id of each label).

    Of each image ``get_data_info`` gives ``img_id``, ``img_path``, ``width``,
    ``height`` and ``instances``. Each of these has ``bbox`` (xyxy in pixels, as
    annotated, so it may reach over the image's edge until ``Resize`` cuts it),
    ``bbox_label`` and ``ignore_flag``: 1 for crowds and annotations marked
    ``ignore``, which are no objects and no background either. ``ann_id`` is the
    annotation's id, there if all ids of annotations are integers of 64 bits.

    Left out are boxes thinner than a pixel, with an area that is not above 0,
    or outside the image, and those of other classes. One line of the log
    counts them; with ``strict`` they are an error.

    An image that cannot be read is replaced in training by another one, drawn at
    random. The sample that came instead names it: ``replaced`` of its metainfo is
    a list of (path, reason). :class:`freeanchor.engine.BrokenImagesHook` logs and
    counts them. In test mode, and with ``strict``, such an image is an error.

    Args:
        ann_file: The annotation file, relative to ``data_root``.
        pipeline: Transforms, or their configs.
        metainfo: ``dict(classes=('name', ...))`` picks and orders classes.
        data_root: Folder of the data set.
        data_prefix: ``dict(img_path=...)``, the images' folder, relative to
            ``data_root``.
        filter_cfg: ``filter_empty_gt=True`` drops images without an annotation
            of the classes, ``min_size=32`` those with a shorter side under 32
            pixels. Not applied in test mode.
        test_mode: Keep every image.
        strict: Refuse boxes that would be left out (those of other classes are
            no fault) and images that cannot be read.
        allow_outside: Whether ``file_name`` of an image may be absolute or lead
            out of the images' folder. Only for files that you trust.
        kwargs: See :class:`mmengine.dataset.BaseDataset`. ``serialize_data`` has no
            effect: annotations stand in arrays, which workers share.

    Raises:
        FileNotFoundError: The annotation file or the images' folder is missing.
        DataError: The file is malformed, a class is not in it, or no image
            is left. Asked for a sample: the image is of another size than
            annotated, cannot be read in test mode, or many cannot be read.
    """

    data_list: ImageTable

    def __init__(
        self,
        ann_file: str = '',
        *,
        pipeline: Sequence[dict | Callable] = (),
        strict: bool = False,
        allow_outside: bool = False,
        **kwargs: Any,
    ) -> None:
        self.strict = strict
        self.allow_outside = allow_outside
        # Built here, because MMEngine builds transforms in the default scope,
        # and a script that makes a data set may not have set one.
        transforms = [
            TRANSFORMS.build(x) if isinstance(x, dict) else x for x in pipeline
        ]
        super().__init__(ann_file, pipeline=transforms, **kwargs)

    def load_data_list(self) -> ImageTable:
        """Reads the annotation file, and fills in ``metainfo``.

        A subclass that changes rows extends :meth:`get_data_info`: those of a
        table are made anew each time they are asked for.
        """
        file = read_coco(self.ann_file, not self.test_mode, self.allow_outside)
        folder = _image_folder(self.data_prefix)
        classes = choose_classes(
            self._metainfo.get('classes'), file.categories, self.ann_file
        )
        id_of = {name: cat_id for cat_id, name in file.categories.items()}
        cat_ids = [id_of[name] for name in classes]
        self._metainfo.update(classes=classes, cat_ids=cat_ids)

        found = read_boxes(file, cat_ids)
        self._report(found.dropped)
        return ImageTable(file.images, folder, found)

    def filter_data(self) -> ImageTable:
        """Applies ``filter_cfg``, unless in test mode."""
        filters = self.filter_cfg or {}
        for key in filters:
            if key not in _FILTERS:
                raise ValueError(
                    f"filter_cfg has no '{key}': it takes {' and '.join(_FILTERS)}"
                )
        if self.test_mode:
            return self.data_list
        table = self.data_list
        kept = table.short_sides >= filters.get('min_size', 0)
        if filters.get('filter_empty_gt', False):
            kept &= table.annotated
        if not kept.any():
            classes = ', '.join(self._metainfo['classes'])
            raise DataError(
                f'{self.ann_file}: none of {len(self.data_list)} images can be trained '
                f'on; filter_cfg={filters} asks for annotations of the classes '
                f'({classes}) and a large enough image. Check the file, or change '
                'filter_cfg'
            )
        return table.take(np.flatnonzero(kept))

    def __getitem__(self, idx: int) -> dict[str, Any]:
        """A sample; in training another one where the image cannot be read."""
        if self.test_mode or self.strict:
            return super().__getitem__(idx)
        replaced: list[tuple[str, str]] = []
        while len(replaced) < _ATTEMPTS:
            try:
                sample = super().__getitem__(idx)
            except BrokenImageError as error:
                replaced.append((error.path, error.reason))
                idx = self._rand_another()
            else:
                return _with_note(sample, replaced) if replaced else sample
        distinct = list(dict(replaced).items())
        shown = '; '.join(f'{path} ({reason})' for path, reason in distinct[:5])
        raise DataError(
            f'{self.ann_file}: of {_ATTEMPTS} images drawn, none can be read: {shown}. '
            'Check data_prefix.img_path, or look at all with tools/data/doctor.py'
        )

    def get_cat_ids(self, idx: int) -> list[int]:
        """Labels of the objects of an image, for ``ClassBalancedDataset``."""
        instances = self.get_data_info(idx)['instances']
        return [x['bbox_label'] for x in instances if not x['ignore_flag']]

    def full_init(self) -> None:
        """Reads the annotation file, unless it has been read."""
        # A table is as compact as MMEngine's bytes, and made faster.
        self.serialize_data = False
        super().full_init()

    @force_full_init
    def get_data_info(self, idx: int) -> dict[str, Any]:
        """What is known of an image, as a dict of its own."""
        return {**self.data_list[idx], 'sample_idx': idx % len(self)}

    def _get_unserialized_subset(self, indices: int | Sequence[int]) -> ImageTable:
        if isinstance(indices, int):
            return (
                self.data_list[:indices] if indices >= 0 else self.data_list[indices:]
            )
        return self.data_list.take(np.asarray(indices, dtype=np.int64))

    def _report(self, dropped: dict[str, list[Hashable]]) -> None:
        """Say how many boxes were left out and why, and which are the first."""
        if not dropped:
            return
        counts = []
        for reason, ids in dropped.items():
            first = ', '.join(map(str, ids[:3])) + (', ...' if len(ids) > 3 else '')
            which = '' if reason == OTHER_CLASS else f' (annotation {first})'
            counts.append(f'{len(ids)} {reason}{which}')
        harmless = set(dropped) == {OTHER_CLASS}
        if self.strict and not harmless:
            raise DataError(
                f'{self.ann_file}: useless boxes: {"; ".join(counts)}; correct or '
                'remove them (tools/data/doctor.py --fix does), or set strict=False'
            )
        print_log(
            f'{self.ann_file}: boxes left out: {"; ".join(counts)}',
            logger='current',
            level=logging.INFO if harmless else logging.WARNING,
        )


def _with_note(
    sample: dict[str, Any], replaced: list[tuple[str, str]]
) -> dict[str, Any]:
    """The sample with a note of the images that it stands for."""
    if 'data_samples' in sample:
        sample['data_samples'].set_metainfo(dict(replaced=replaced))
    else:
        sample['replaced'] = replaced
    return sample


def _image_folder(data_prefix: dict[str, str]) -> str:
    if 'img_path' not in data_prefix:
        raise ValueError(
            f"data_prefix has the keys {sorted(data_prefix)} and not 'img_path': "
            "write data_prefix=dict(img_path='folder of the images')"
        )
    folder = data_prefix['img_path']
    if not os.path.isdir(folder or '.'):
        raise FileNotFoundError(
            f"there is no folder of images '{folder}' (looked from {os.getcwd()}): set "
            f'data_root and data_prefix.img_path to where it is. {GET_COCO}'
        )
    return folder
