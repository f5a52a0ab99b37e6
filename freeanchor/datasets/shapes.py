"""The embedded data set: drawn shapes in COCO's format, nothing to download.

Six classes: rods, elbows, discs, rings, bricks and triangles, alone and in
groups (bundles of parallel rods, nested elbows, touching discs, interlocked
rings, walls of bricks), on textured ground among crosses, arcs, hexagons and
scribbles that are no objects. A class has a colour of its own, which the
distractors have too: shape decides. Shapes cover each other, but at least 40 %
of each object stays in sight; a box is the whole shape's, clipped to the
picture. A few pictures hold no object, a few a crowd region of gravel. Pictures
are 128 x 96 or 96 x 128, so that a CPU learns them in minutes.

What it is: a stage for FreeAnchor's claim, which is about slender and crowded
objects. About one box in five is over three times as long as wide, as many
overlap another by more than 0.3, and rods, elbows and rings fill little of
their boxes. Ordinary objects are the majority.

What it is not: photographs, or a benchmark. An AP here says that code learns,
and how two losses compare on such objects; it foretells nothing about COCO.
"""

import json
import os
import tempfile
from pathlib import Path
from typing import Any, ClassVar

import cv2
from mmengine.logging import print_log
from numpy.random import RandomState

from freeanchor.registry import DATASETS

from .coco import CocoDataset
from .shape_objects import CLASSES
from .shape_scenes import Drawn, draw_scene

VERSION = 1  # raise it when a seed gives other pictures or boxes
STAMP = 'shapes.json'
SPLITS = ('train', 'val')


@DATASETS.register_module()
class ShapesDataset(CocoDataset):
    """The generated shapes, written on first use.

    A set that stands in ``data_root`` already is used as it is, unless another
    version of the generator wrote it: then it is replaced.

    Args:
        data_root: Folder of the set.
        split: ``'train'`` or ``'val'``.
        kwargs: Arguments of :class:`freeanchor.datasets.CocoDataset`, such as
            ``pipeline`` and ``filter_cfg``.

    Raises:
        ValueError: If there is no such split.
        FileExistsError: If ``data_root`` holds something else.
    """

    METAINFO: ClassVar[dict] = dict(classes=CLASSES)

    def __init__(
        self, data_root: str = 'data/shapes/', split: str = 'train', **kwargs: Any
    ) -> None:
        if split not in SPLITS:
            raise ValueError(f"split is 'train' or 'val', not {split!r}")
        # Here and not in load_data_list: the metric, built after the data set,
        # reads the annotations too, whether or not lazy_init is set.
        if _read_stamp(Path(data_root)).get('version') != VERSION:
            write_shapes(data_root)
        super().__init__(
            ann_file=f'annotations/{split}.json',
            data_root=data_root,
            data_prefix=dict(img_path=split),
            **kwargs,
        )


def write_shapes(
    root: str | os.PathLike, seed: int = 0, num_train: int = 400, num_val: int = 100
) -> Path:
    """Write the set into ``root``, unless exactly this set is there already.

    The folder appears complete or not at all, also when several processes write
    at once or one is killed. It holds ``annotations/{train,val}.json``,
    ``train/*.png`` and ``val/*.png``. The same arguments give the same
    annotations byte for byte and the same pixels on every machine; a smaller set
    is the beginning of a larger one.

    Args:
        root: Folder to write. A set of other arguments or of another version of
            the generator is replaced.
        seed: Seed of the pictures, 0 or more.
        num_train: Pictures to train on.
        num_val: Pictures to validate on.

    Returns:
        ``root``.

    Raises:
        FileExistsError: If ``root`` holds files that are no generated set.
    """
    root = Path(root)
    stamp = dict(version=VERSION, seed=seed, num_train=num_train, num_val=num_val)
    if _is_written(root, stamp):
        return root
    print_log(f'Drawing {num_train + num_val} pictures of shapes in {root}', 'current')
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix=f'.{root.name}-', dir=root.parent
    ) as beside:
        fresh = Path(beside) / 'fresh'
        for index, (split, count) in enumerate(zip(SPLITS, (num_train, num_val))):
            _write_split(fresh, split, [seed, index], count)
        (fresh / STAMP).write_text(json.dumps(stamp))
        _move_into_place(fresh, root, stamp)
    return root


def _is_written(root: Path, stamp: dict) -> bool:
    """Whether ``root`` holds this set; False if there is none or another one."""
    names = os.listdir(root) if root.exists() else []
    if names and STAMP not in names:
        raise FileExistsError(
            f'{root} is no set of generated shapes (it has no {STAMP}): move it away, '
            'or choose another data_root'
        )
    return _read_stamp(root) == stamp


def _read_stamp(root: Path) -> dict:
    try:
        return json.loads((root / STAMP).read_text())
    except (OSError, json.JSONDecodeError):
        return {}


def _move_into_place(fresh: Path, root: Path, stamp: dict) -> None:
    """Rename ``fresh`` to ``root``, unless another process was quicker."""
    attempt = 0
    while not _is_written(root, stamp):
        attempt += 1
        try:
            if root.exists():  # an older set, or an empty folder
                os.rename(root, fresh.with_name(f'old-{attempt}'))
            os.rename(fresh, root)
        except OSError:
            # Another process moved first: look again. Nobody does so forever.
            if attempt == 10:
                raise


def _write_split(folder: Path, split: str, seed: list[int], count: int) -> None:
    (folder / split).mkdir(parents=True)
    images: list[dict] = []
    annotations: list[dict] = []
    for image_id in range(1, count + 1):
        picture, objects = draw_scene(RandomState([*seed, image_id]))
        name = f'{image_id:04d}.png'
        _write_png(folder / split / name, picture)
        height, width = picture.shape[:2]
        images.append(dict(id=image_id, file_name=name, width=width, height=height))
        for drawn in objects:
            annotations.append(_annotation(len(annotations) + 1, image_id, drawn))
    content = dict(
        info=dict(description='Generated shapes', version=str(VERSION)),
        categories=[dict(id=i, name=name) for i, name in enumerate(CLASSES, start=1)],
        images=images,
        annotations=annotations,
    )
    (folder / 'annotations').mkdir(exist_ok=True)
    (folder / 'annotations' / f'{split}.json').write_text(json.dumps(content))


def _write_png(path: Path, picture: Any) -> None:
    if not cv2.imwrite(str(path), picture, [cv2.IMWRITE_PNG_COMPRESSION, 5]):
        raise OSError(f'could not write {path}')


def _annotation(number: int, image_id: int, drawn: Drawn) -> dict:
    """One entry of COCO's ``annotations``; ``area`` counts pixels in sight."""
    x1, y1, x2, y2 = drawn.box.tolist()
    return dict(
        id=number,
        image_id=image_id,
        category_id=drawn.label + 1,
        bbox=[round(v, 2) for v in (x1, y1, x2 - x1, y2 - y1)],
        area=drawn.area,
        iscrowd=int(drawn.crowd),
    )
