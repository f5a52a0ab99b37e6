"""The nouns that heads, losses and post-processing hand to each other.

Shapes are written with B images, L levels, A anchors over all levels (A_l on
one), C classes, G objects of the batch, R ignored regions.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from mmengine.structures import BaseDataElement
from torch import Tensor

from freeanchor.boxes import DeltaBoxCoder

# Boxes that are decoded at a time.
_PIECE = 16384


@dataclass(frozen=True)
class DensePredictions:
    """What a dense head says of every anchor, level by level, finest first.

    A level has P_l positions with K anchors each, A_l = P_l * K. Logits and
    deltas are views of what the convolutions wrote, in either memory format:
    no copy of them has to be made, and none in the losses is.

    Anchors are the same for every image of the batch. An anchor's index
    counts over the levels in order, the anchors of a position side by side.
    """

    logits: tuple[Tensor, ...]  # per level (B, P_l, K, C), before the sigmoid
    deltas: tuple[Tensor, ...]  # per level (B, P_l, K, 4), as the coder writes them
    anchors: tuple[Tensor, ...]  # per level (A_l, 4) xyxy, pixels
    coder: DeltaBoxCoder
    # Per level (B, P_l, K, 1), before the sigmoid: how good the anchor's box is
    # (centerness, overlap). Empty where the head has no branch for it.
    quality: tuple[Tensor, ...] = ()

    @classmethod
    def from_maps(
        cls,
        logits: Sequence[Tensor],
        deltas: Sequence[Tensor],
        anchors: Sequence[Tensor],
        coder: DeltaBoxCoder,
        quality: Sequence[Tensor] = (),
    ) -> 'DensePredictions':
        """From maps as a head's convolutions write them.

        Args:
            logits: Per level ``(B, K * C, H_l, W_l)``.
            deltas: Per level ``(B, K * 4, H_l, W_l)``.
            anchors: Per level ``(H_l * W_l * K, 4)`` xyxy, pixels.
            coder: How deltas are read.
            quality: Per level ``(B, K, H_l, W_l)``, or none at all.
        """

        def view(maps: Tensor, own: Tensor) -> Tensor:
            rows = maps.flatten(2).transpose(1, 2)  # (B, P_l, K * width)
            return rows.unflatten(2, (len(own) // rows.shape[1], -1))

        return cls(
            logits=tuple(map(view, logits, anchors)),
            deltas=tuple(map(view, deltas, anchors)),
            anchors=tuple(anchors),
            coder=coder,
            quality=tuple(map(view, quality, anchors)),
        )

    @property
    def num_images(self) -> int:
        return len(self.logits[0])

    @property
    def num_anchors(self) -> int:
        return sum(map(len, self.anchors))

    @property
    def num_classes(self) -> int:
        return self.logits[0].shape[-1]

    def image(self, i: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Logits ``(A_l, C)``, deltas ``(A_l, 4)`` and anchors of an image."""
        for logits, deltas, anchors in zip(self.logits, self.deltas, self.anchors):
            yield logits[i].flatten(0, 1), deltas[i].flatten(0, 1), anchors

    def boxes(self, i: int) -> Tensor:
        """``(A, 4)`` predicted boxes of an image, xyxy, float32 or wider."""
        decoded = []
        for deltas, anchors in zip(self.deltas, self.anchors):
            # In pieces: decoding makes a dozen tensors of the size of a column.
            own = deltas[i].flatten(0, 1)
            pieces = zip(anchors.split(_PIECE), own.split(_PIECE))
            decoded += [self.coder.decode(*piece) for piece in pieces]
        return torch.cat(decoded)


@dataclass(frozen=True)
class Regions:
    """Parts of the batch's images that say nothing: crowds, ignored boxes."""

    boxes: Tensor  # (R, 4) xyxy, pixels
    image: Tensor  # (R,) which image


@dataclass(frozen=True)
class Objects:
    """The ground-truth objects of a batch, all images in one row."""

    boxes: Tensor  # (G, 4) xyxy, pixels
    labels: Tensor  # (G,) class, 0-based
    image: Tensor  # (G,) which image of the batch an object is in, ascending
    counts: tuple[int, ...]  # objects of each image
    ignored: Regions
    pad_shapes: tuple[tuple[int, int], ...]  # height, width of each padded image

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def gather(
        cls,
        samples: Sequence[BaseDataElement],
        device: torch.device | str | None = None,
    ) -> 'Objects':
        """Put the objects of a batch's samples in one row.

        Args:
            samples: Each with ``gt_instances`` (``bboxes``, ``labels``),
                ``img_shape`` and, if known, ``ignored_instances`` and
                ``pad_shape``.
            device: Where the tensors should go.
        """
        truth = [sample.gt_instances for sample in samples]
        boxes, image = _in_one_row([x.bboxes for x in truth])
        labels = torch.cat([x.labels for x in truth])
        rows = [boxes, labels, image, *_in_one_row(list(map(_ignored_boxes, samples)))]
        boxes, labels, image, *ignored = _moved(rows, device)
        return cls(
            boxes=boxes,
            labels=labels,
            image=image,
            counts=tuple(len(x) for x in truth),
            ignored=Regions(*ignored),
            pad_shapes=tuple(x.get('pad_shape', x.img_shape)[:2] for x in samples),
        )


# Thinner boxes have targets that float32 does not hold.
_LEAST_SIDE = 1e-6  # pixels


def check_objects(samples: Sequence[BaseDataElement], num_classes: int) -> None:
    """Refuse objects that no loss can learn from.

    Meant for samples that are still on the CPU, where looking is free.

    Raises:
        ValueError: A box is not finite, has no area or lies outside the
            image, or a label is not below ``num_classes``. The message names
            the image, the box and the mend.
    """
    for sample in samples:
        boxes, labels = sample.gt_instances.bboxes, sample.gt_instances.labels
        height, width = sample.img_shape[:2]
        limit = boxes.new_tensor([width, height])
        sides = boxes[:, 2:] - boxes[:, :2]
        bad_boxes = {
            'is not finite': ~(boxes.isfinite() & sides.isfinite().repeat(1, 2)).all(1),
            'has no area': (sides <= _LEAST_SIDE).any(dim=1),
            f'lies outside the {width} x {height} image': (
                (boxes[:, 2:] <= 0) | (boxes[:, :2] >= limit)
            ).any(dim=1),
        }
        for fault, rows in bad_boxes.items():
            if rows.any():
                row = int(rows.nonzero()[0])
                raise ValueError(
                    f'{_name(sample)}: object {row}{_annotation(sample, row)}, box '
                    f'{boxes[row].tolist()} (xyxy, pixels of the resized image), '
                    f'{fault}; correct or remove this annotation, or drop such boxes '
                    'in the pipeline'
                )
        wrong = (labels < 0) | (labels >= num_classes)
        if wrong.any():
            raise ValueError(
                f'{_name(sample)}: label {int(labels[wrong][0])} but the head has '
                f'num_classes={num_classes}, labels 0 to {num_classes - 1}; make '
                'model.bbox_head.num_classes the number of classes of the data set'
            )


def _annotation(sample: BaseDataElement, row: int) -> str:
    ids = sample.gt_instances.get('ann_ids')
    return '' if ids is None else f' (annotation {int(ids[row])})'


def _name(sample: BaseDataElement) -> str:
    path, image_id = sample.get('img_path'), sample.get('img_id')
    return f'image {path or "of unknown path"} (id {image_id})'


def _ignored_boxes(sample: BaseDataElement) -> Tensor:
    if 'ignored_instances' in sample:
        return sample.ignored_instances.bboxes
    return sample.gt_instances.bboxes[:0]


def _in_one_row(boxes: list[Tensor]) -> tuple[Tensor, Tensor]:
    image = [torch.full_like(x[:, 0], i, dtype=torch.long) for i, x in enumerate(boxes)]
    return torch.cat(boxes), torch.cat(image)


def _moved(tensors: list[Tensor], device: torch.device | str | None) -> list[Tensor]:
    if device is None or torch.device(device).type != 'cuda' or tensors[0].is_cuda:
        return [x.to(device) for x in tensors]
    # From pinned memory, and one copy for all: nothing waits for it.
    row = packed(tensors).pin_memory().to(device, non_blocking=True)
    return unpacked(row, tensors)


def packed(tensors: Sequence[Tensor]) -> Tensor:
    """The bytes of tensors in one row of uint8, of the widest dtypes first."""
    widest_first = sorted(tensors, key=lambda x: -x.element_size())
    return torch.cat([x.reshape(-1).view(torch.uint8) for x in widest_first])


def unpacked(row: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """Views of what :func:`packed` packed, with the shapes and dtypes of ``like``."""
    found, start = {}, 0
    for i in sorted(range(len(like)), key=lambda i: -like[i].element_size()):
        end = start + like[i].numel() * like[i].element_size()
        found[i] = row[start:end].view(like[i].dtype).view(like[i].shape)
        start = end
    return [found[i] for i in range(len(like))]
