"""An annotation file as large as COCO's training set, drawn at random.

118,000 images and 860,000 boxes of 80 classes with outlines, about 450 MB. All
images are links to a few real or drawn JPEGs of 640 x 480. Everything is
written once to a folder of the system's temporary directory and found there by
later runs.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

NUM_IMAGES, NUM_BOXES, NUM_CLASSES = 118_000, 860_000, 80
WIDTH, HEIGHT = 640, 480
_POINTS = 24  # of an outline; makes annotations as long as COCO's
_CHUNK = 1000  # images written at once


def coco_size(
    num_images: int = NUM_IMAGES, num_boxes: int = NUM_BOXES, jpegs: str | None = None
) -> Path:
    """A folder with ``annotations.json`` and ``images/``.

    Args:
        num_images: Images; about one in a hundred has no box.
        num_boxes: Boxes, at least as many as images.
        jpegs: Folder of pictures to link to; drawn ones by default.
    """
    root = Path(tempfile.gettempdir()) / f'coco-size-{num_images}-{num_boxes}-v1'
    if not (root / 'annotations.json').exists():
        fresh = Path(tempfile.mkdtemp(prefix=f'{root.name}-'))
        _link_images(fresh / 'images', num_images, realistic_jpegs(jpegs))
        _write_annotations(fresh / 'annotations.json', num_images, num_boxes)
        shutil.rmtree(root, ignore_errors=True)
        fresh.rename(root)
    return root


def realistic_jpegs(folder: str | None = None, count: int = 32) -> list[Path]:
    """JPEGs of 640 x 480, resized from a folder of pictures, or drawn.

    Args:
        folder: Where to look for pictures, in its subfolders too.
        count: How many to write.
    """
    kind = 'drawn' if folder is None else Path(folder).resolve().name
    root = Path(tempfile.gettempdir()) / f'jpegs-{kind}-{count}-{WIDTH}x{HEIGHT}'
    sources = sorted(Path(folder).rglob('*.jpg')) if folder else []
    root.mkdir(exist_ok=True)
    written = []
    for i in range(count):
        path = root / f'{i:03d}.jpg'
        if not path.exists():
            if sources:
                picture = cv2.imread(str(sources[i * len(sources) // count]))
            else:
                picture = _draw(np.random.default_rng(i))
            if picture is None:
                raise ValueError(f'{sources[i * len(sources) // count]} is no picture')
            picture = cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
            cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, 92])
        written.append(path)
    return written


def _draw(rng: np.random.Generator) -> np.ndarray:
    """Noise of several sizes, which a JPEG keeps about as badly as a photograph."""
    picture = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    for cells, weight in ((4, 110), (16, 70), (60, 40), (240, 25)):
        noise = rng.random((cells * 3 // 4, cells, 3), np.float32)
        picture += weight * cv2.resize(noise, (WIDTH, HEIGHT))
    return picture.clip(0, 255).astype(np.uint8)


def _link_images(folder: Path, num_images: int, jpegs: list[Path]) -> None:
    folder.mkdir(parents=True)
    for i in range(num_images):
        os.symlink(jpegs[i % len(jpegs)], folder / f'{i:012d}.jpg')


def _write_annotations(path: Path, num_images: int, num_boxes: int) -> None:
    rng = np.random.default_rng(0)
    # Skewed, as in COCO: many images with few boxes, few with many.
    owner = np.sort(rng.beta(0.7, 1.0, num_boxes) * num_images).astype(int)
    images = [
        dict(
            license=1 + i % 8,
            file_name=f'{i:012d}.jpg',
            coco_url=f'http://images.example.org/train/{i:012d}.jpg',
            height=HEIGHT,
            width=WIDTH,
            date_captured='2013-11-14 11:18:45',
            flickr_url=f'http://farm.example.org/{i}/{i:012d}_z.jpg',
            id=i,
        )
        for i in range(num_images)
    ]
    categories = [
        dict(supercategory='thing', id=i + 1, name=name)
        for i, name in enumerate(class_names())
    ]
    with path.open('w') as file:
        file.write('{"info": {}, "images": ')
        json.dump(images, file)
        file.write(', "annotations": [')
        for part in _annotations(rng, owner):
            file.write(part)
        file.write('], "categories": ')
        json.dump(categories, file)
        file.write('}')


def class_names() -> list[str]:
    return [f'thing {i:02d}' for i in range(NUM_CLASSES)]


def _annotations(rng: np.random.Generator, owner: np.ndarray) -> Iterator[str]:
    """Pieces of JSON, of many annotations each."""
    for first in range(0, len(owner), _CHUNK):
        owners = owner[first : first + _CHUNK]
        count = len(owners)
        size = np.exp(rng.uniform(np.log(8), np.log(400), (count, 2)))
        size = np.minimum(size, (WIDTH - 1, HEIGHT - 1))
        corner = rng.random((count, 2)) * ((WIDTH, HEIGHT) - size)
        angle = np.linspace(0, 2 * np.pi, _POINTS, endpoint=False)
        circle = np.stack([np.cos(angle), np.sin(angle)], axis=1) / 2 + 0.5
        outlines = corner[:, None] + circle * size[:, None]
        boxes = np.concatenate([corner, size], axis=1).round(2).tolist()
        found = [
            dict(
                segmentation=[outline],
                area=round(box[2] * box[3] * 0.785, 4),
                iscrowd=0,
                image_id=image,
                bbox=box,
                category_id=category,
                id=first + i + 1,
            )
            for i, (outline, box, image, category) in enumerate(
                zip(
                    outlines.reshape(count, -1).round(2).tolist(),
                    boxes,
                    owners.tolist(),
                    rng.integers(1, NUM_CLASSES + 1, count).tolist(),
                )
            )
        ]
        yield (', ' if first else '') + json.dumps(found)[1:-1]
