"""The images with the worst errors, small, with what is wrong drawn over them."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from freeanchor.evaluation.error_types import Scene, Verdict, judge

from .evidence import Evidence, Picture

KINDS = ('localisation', 'class', 'duplicate', 'background', 'both', 'missed')
_SIDE = 480  # pixels of the longer side, at most
_QUALITY = 80


@dataclass
class Card:
    """An image of the gallery.

    Attributes:
        name: Of its file.
        image: A ``data:`` address, empty if the file is not there.
        width: Of the image that the boxes are of, in pixels.
        height: Likewise.
        badness: Objects missed, and the scores of all false detections.
        findings: Dicts with ``kind``, ``label`` (a class name), ``text``, ``box``
            (x, y, width, height).
    """

    name: str
    image: str
    width: int
    height: int
    badness: float
    findings: list[dict[str, Any]]

    @property
    def faults(self) -> list[dict[str, Any]]:
        return [x for x in self.findings if x['kind'] != 'correct']


def make_gallery(evidence: Evidence, score_thr: float, count: int) -> list[Card]:
    """The worst images, and the worst of each kind of error and each class.

    Args:
        evidence: Objects and detections of all images.
        score_thr: Detections scored lower are not looked at.
        count: Images, at most.
    """
    cards = [_card(x, score_thr, evidence.classes) for x in evidence.pictures]
    order = sorted((x for x in cards if x.faults), key=lambda x: -x.badness)
    leaders: list[Card] = []
    for key, names in (('kind', KINDS), ('label', evidence.classes[: count // 2])):
        for name in names:
            of_name = [x for x in order if any(f[key] == name for f in x.faults)]
            leaders += of_name[:1]
    chosen = list({id(x): x for x in [*leaders, *order]}.values())[:count]
    paths = {id(x): y for x, y in zip(cards, evidence.pictures)}
    for card in chosen:
        card.image = _thumbnail(paths[id(card)])
    return sorted(chosen, key=lambda x: -x.badness)


def _card(picture: Picture, score_thr: float, classes: tuple[str, ...]) -> Card:
    scene = picture.scene.above(score_thr)
    findings = list(_findings(scene, classes))
    height, width = picture.shape
    badness = sum(x['weight'] for x in findings)
    return Card(Path(picture.path).name, '', width, height, badness, findings)


def _findings(scene: Scene, classes: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    judgement = judge(scene)
    for box, label, score, verdict, target in zip(
        scene.found.tolist(),
        scene.found_labels,
        scene.scores,
        judgement.verdicts,
        judgement.targets,
    ):
        if verdict == Verdict.IGNORED:
            continue
        text = f'{classes[label]} {score:.2f}'
        if verdict in (Verdict.CLASS, Verdict.BOTH):
            text += f', is {classes[scene.labels[target]]}'
        yield dict(
            kind=Verdict(verdict).name.lower(),
            label=classes[label],
            text=text,
            box=box,
            weight=0.0 if verdict == Verdict.CORRECT else float(score),
        )
    for row in np.flatnonzero(judgement.missed):
        name = classes[scene.labels[row]]
        box = scene.boxes[row].tolist()
        yield dict(kind='missed', label=name, text=name, box=box, weight=1.0)


def _thumbnail(picture: Picture) -> str:
    """The image as a JPEG in a ``data:`` address; empty if it cannot be read."""
    image = _read(picture)
    if image is None:
        return ''
    scale = _SIDE / max(image.shape[:2])
    if scale < 1:
        image = cv2.resize(
            image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA
        )
    _, content = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return f'data:image/jpeg;base64,{base64.b64encode(content.tobytes()).decode()}'


def _read(picture: Picture) -> np.ndarray | None:
    """The image as its boxes are: upright, or as stored where that was annotated."""
    path = Path(picture.path)
    if not path.is_file():
        return None
    content = np.fromfile(path, np.uint8)
    for flag in (0, cv2.IMREAD_IGNORE_ORIENTATION):
        image = cv2.imdecode(content, cv2.IMREAD_COLOR | flag)
        if image is not None and image.shape[:2] == picture.shape:
            return image
    return None
