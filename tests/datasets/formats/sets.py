"""One small data set, written in each format that is read."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

CLASSES = ('boat', 'cup', 'tree')
WIDTH, HEIGHT = 80, 60


@dataclass(frozen=True)
class Box:
    """A class and, in whole pixels, left, top, width and height."""

    name: str
    x: int
    y: int
    w: int
    h: int

    @property
    def sides(self):
        return [self.x, self.y, self.w, self.h]


BOXES = {
    'train': {
        'a': [Box('cup', 0, 0, 20, 30), Box('tree', 10, 20, 40, 12)],
        'b': [Box('boat', 60, 40, 20, 20)],
        'c': [],
    },
    'val': {'d': [Box('tree', 4, 8, 40, 24)]},
}


def write_image(path: Path, width: int = WIDTH, height: int = HEIGHT) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = sum(map(ord, path.stem))
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3))
    assert cv2.imwrite(str(path), pixels.astype(np.uint8))


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def yolo_line(box: Box) -> str:
    x, y = (box.x + box.w / 2) / WIDTH, (box.y + box.h / 2) / HEIGHT
    return f'{CLASSES.index(box.name)} {x} {y} {box.w / WIDTH} {box.h / HEIGHT}'


def write_yolo(
    root: Path, images: str = 'images/{}', labels: str = 'labels/{}'
) -> Path:
    """Folders as Ultralytics has them; an image without objects has no file."""
    for split, own in BOXES.items():
        for stem, boxes in own.items():
            write_image(root / images.format(split) / f'{stem}.png')
            if boxes:
                lines = '\n'.join(map(yolo_line, boxes))
                write(root / labels.format(split) / f'{stem}.txt', lines)
    names = ''.join(f'  {i}: {name}\n' for i, name in enumerate(CLASSES))
    paths = ''.join(f'{x}: {images.format(x)}\n' for x in BOXES)
    return write(root / 'data.yaml', f'{paths}names:\n{names}')


def voc_xml(stem: str, boxes: list[Box], shift: int = 1) -> str:
    objects = '\n'.join(
        f'<object><name>{x.name}</name><bndbox><xmin>{x.x + shift}</xmin>'
        f'<ymin>{x.y + shift}</ymin><xmax>{x.x + x.w}</xmax><ymax>{x.y + x.h}</ymax>'
        '</bndbox></object>'
        for x in boxes
    )
    return (
        f'<annotation><filename>{stem}.png</filename>\n<size><width>{WIDTH}</width>'
        f'<height>{HEIGHT}</height></size>\n{objects}\n</annotation>'
    )


def write_voc(root: Path, shift: int = 1) -> Path:
    """The folders of the challenge."""
    for split, own in BOXES.items():
        for stem, boxes in own.items():
            write_image(root / 'JPEGImages' / f'{stem}.png')
            write(root / 'Annotations' / f'{stem}.xml', voc_xml(stem, boxes, shift))
        write(root / 'ImageSets' / 'Main' / f'{split}.txt', '\n'.join(own))
    return root


def write_csv(root: Path) -> Path:
    """A table for each split, an image without objects as a row without a box."""
    for split, own in BOXES.items():
        rows = ['filename,width,height,class,xmin,ymin,xmax,ymax']
        for stem, boxes in own.items():
            write_image(root / split / f'{stem}.png')
            start = f'{stem}.png,{WIDTH},{HEIGHT}'
            rows += [
                f'{start},{x.name},{x.x},{x.y},{x.x + x.w},{x.y + x.h}' for x in boxes
            ] or [f'{start},,,,,']
        write(root / f'{split}.csv', '\n'.join(rows))
    return root


def boxes_of(split) -> dict[str, list]:
    """Boxes by name of the image, as ``sides`` behind the name of the class."""
    content = split.content
    names = {x['id']: x['name'] for x in content['categories']}
    found = {x['id']: [] for x in content['images']}
    for entry in content['annotations']:
        found[entry['image_id']].append([names[entry['category_id']], *entry['bbox']])
    return {Path(x['file_name']).stem: found[x['id']] for x in content['images']}


def expected(split: str) -> dict[str, list]:
    return {
        stem: [[x.name, *x.sides] for x in boxes]
        for stem, boxes in BOXES[split].items()
    }
