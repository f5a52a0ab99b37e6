"""Whether an exported detector finds what the original finds."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from mmengine.structures import InstanceData
from torch import Tensor

BOX_TOLERANCE = 0.1  # pixels
SCORE_TOLERANCE = 1e-4


class DisagreementError(ValueError):
    """An exported detector finds something else than the original."""

    exit_code = 1


@dataclass(frozen=True)
class Agreement:
    """How far detections that belong together lie apart, at most."""

    num_images: int
    num_detections: int
    box_distance: float  # pixels
    score_distance: float


def compare(
    exported: Sequence[InstanceData],
    original: Sequence[InstanceData],
    names: Sequence[str],
) -> Agreement:
    """Compare the detections of two detectors in the same images.

    Detections belong together if they have the same label and lie nearest; the
    order among scores that are nearly equal does not matter.

    Args:
        exported: For each image ``bboxes`` ``(N, 4)``, ``scores``, ``labels``.
        original: The same, of the detector that was exported.
        names: Of the images.

    Raises:
        DisagreementError: Numbers of detections differ, or boxes are more than 0.1
            pixels apart, or scores more than 1e-4.
    """
    furthest = [_distances(*each) for each in zip(exported, original, names)]
    boxes, scores = (max(x, default=0.0) for x in zip(*furthest))
    return Agreement(len(names), sum(map(len, original)), boxes, scores)


def _distances(
    exported: InstanceData, original: InstanceData, name: str
) -> tuple[float, float]:
    if len(exported) != len(original):
        raise DisagreementError(
            f'{name}: {len(exported)} detections by the exported file, '
            f'{len(original)} by the original'
        )
    if not len(original):
        return 0.0, 0.0
    apart = _largest_difference(exported.bboxes, original.bboxes)  # (N, N)
    scores = (exported.scores[:, None] - original.scores).abs().double()
    # In units of what is allowed, so that the nearest in both is found.
    cost = torch.maximum(apart / BOX_TOLERANCE, scores / SCORE_TOLERANCE)
    cost = cost.masked_fill(exported.labels[:, None] != original.labels, torch.inf)
    partner = cost.argmin(dim=0)
    worst = cost.amin(dim=0).argmax()
    box, score = (
        x[partner, torch.arange(len(original))].amax() for x in (apart, scores)
    )
    if cost.amin(dim=0).amax() > 1 or len(partner.unique()) != len(original):
        raise DisagreementError(
            f'{name}: what the original finds at {original.bboxes[worst].tolist()} '
            f'with score {original.scores[worst]:.5f} is {box:.3f} pixels and '
            f'{score:.2g} in score away in the exported file'
        )
    return float(box), float(score)


def _largest_difference(a: Tensor, b: Tensor) -> Tensor:
    return (a.double()[:, None] - b.double()).abs().amax(dim=-1)
