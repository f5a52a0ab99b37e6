"""A detector as one function of tensors, in which nothing depends on their values.

Shapes are written with B images, N candidates of an image, D places for
detections (``test_cfg.max_per_img``).
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import nms

from freeanchor.boxes.candidates import dense_candidates

from .detector import SingleStageDetector, settings_of
from .fuse import fuse

Suppress = Callable[[Tensor, Tensor, Tensor, int, float], Tensor]

_LEFT_OUT = -1.0  # the score of what is no detection


class ExportableDetector(nn.Module):
    """From normalised images to a fixed number of places for detections.

    Anchors are laid out by the size of the input, so that height, width and the
    number of images may change from call to call.

    Args:
        detector: With its weights. It is changed: normalisations are folded into
            convolutions, and it cannot be trained afterwards.
        suppress: Does what :func:`keep_by_class` does.

    Raises:
        ValueError: ``test_cfg.voting_sigma`` is set.
    """

    def __init__(
        self, detector: SingleStageDetector, suppress: Suppress | None = None
    ) -> None:
        super().__init__()
        if detector.test_cfg.get('voting_sigma') is not None:
            raise ValueError(
                'score voting cannot be exported: set model.test_cfg.voting_sigma to '
                'None, which leaves boxes as they are predicted'
            )
        device = next(detector.parameters()).device
        fuse(detector, torch.zeros(1, 3, 64, 64, device=device))
        self.detector = detector
        self.suppress = suppress or keep_by_class
        self.finding = settings_of(detector.test_cfg, 'score_thr', 'nms_pre')
        limits = settings_of(detector.test_cfg, 'nms_iou', 'max_per_img')
        self.nms_iou, self.max_per_img = limits['nms_iou'], limits['max_per_img']

    def forward(
        self, images: Tensor, sizes: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Detect objects.

        Args:
            images: ``(B, 3, H, W)`` float32, normalised and padded at the right
                and the bottom.
            sizes: ``(B, 2)`` float32 width and height without padding, pixels.

        Returns:
            Boxes ``(B, D, 4)`` float32 xyxy in pixels of ``images``; scores
            ``(B, D)`` float32 from high to low; labels ``(B, D)`` int64; counts
            ``(B,)`` int64, how many of an image's places are taken. In those that
            are not, boxes and scores are 0 and labels -1.
        """
        boxes, scores, labels = self._candidates(images, sizes)
        num_classes = self.detector.bbox_head.num_classes
        keep = self.suppress(boxes, scores, labels, num_classes, self.nms_iou)
        scores = scores.masked_fill(~keep, _LEFT_OUT)
        # There may be fewer candidates than places.
        scores = F.pad(scores, (0, self.max_per_img), value=_LEFT_OUT)
        scores, index = scores.topk(self.max_per_img)
        taken = scores > _LEFT_OUT
        index = index.masked_fill(~taken, 0)
        boxes = boxes.gather(1, index[..., None].expand(-1, -1, 4))
        return (
            boxes.masked_fill(~taken[..., None], 0),
            scores.masked_fill(~taken, 0),
            labels.gather(1, index).masked_fill(~taken, -1),
            taken.sum(dim=1),
        )

    def _candidates(
        self, images: Tensor, sizes: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes ``(B, N, 4)``, scores ``(B, N)`` and labels ``(B, N)``."""
        found = self.detector(images)
        candidates = dense_candidates(
            list(zip(found.logits, found.deltas, found.anchors)),
            found.coder,
            sizes,
            **self.finding,
            quality=found.quality if self.detector.loss.reads_quality else (),
            scoring=self.detector.scoring,
        )
        num_images = images.shape[0]
        scores = candidates.scores.masked_fill(
            candidates.image == num_images, _LEFT_OUT
        )
        return (
            candidates.boxes.reshape(num_images, -1, 4),
            scores.reshape(num_images, -1),
            candidates.labels.reshape(num_images, -1),
        )


def keep_by_class(
    boxes: Tensor, scores: Tensor, labels: Tensor, num_classes: int, nms_iou: float
) -> Tensor:
    """Which candidates NMS within images and classes keeps.

    Args:
        boxes: ``(B, N, 4)`` xyxy, pixels, not negative.
        scores: ``(B, N)``; what is below 0 is no candidate.
        labels: ``(B, N)`` int64.
        num_classes: Labels are below it.
        nms_iou: Of two boxes that overlap more, the lower goes.

    Returns:
        ``(B, N)`` bool.
    """
    image = torch.arange(boxes.shape[0], device=boxes.device)
    group = (image[:, None] * num_classes + labels).flatten()
    # Boxes that are moved apart; float64 holds the moved corners exactly.
    side = boxes.amax().double().ceil() + 1
    apart = boxes.flatten(0, 1).double() + group[:, None] * side
    valid = scores.flatten() >= 0
    # What is no candidate is put on the first of two boxes far away. Both are always
    # kept: torch.export takes it for certain that NMS gets and keeps two or more.
    far = side * boxes.shape[0] * num_classes
    nowhere = far + far.new_tensor([[0, 0, 1, 1], [2, 2, 3, 3]])
    apart = torch.cat([torch.where(valid[:, None], apart, nowhere[0]), nowhere])
    ranks = F.pad(scores.flatten().double(), (0, 2), value=_LEFT_OUT)
    kept = nms(apart, ranks, nms_iou)
    keep = torch.zeros_like(ranks, dtype=torch.bool).index_fill(0, kept, True)
    return (keep[:-2] & valid).reshape(scores.shape)
