"""FreeAnchor's equations, transcribed one by one, slowly, with 60 digits.

Nothing here is shared with the package: loops over Python lists, numbers from
mpmath. Equation numbers are those of https://arxiv.org/abs/1909.02466.
"""

from collections.abc import Sequence

from mpmath import exp, log, mp, mpf

mp.dps = 60

Box = Sequence[float]
Numbers = list[list[list[mpf]]]  # [image][anchor][class or coordinate]


def numbers(values: Sequence) -> list:
    """Nested lists of floats to nested lists of exact numbers."""
    if isinstance(values, int | float):
        return mpf(values)
    return [numbers(x) for x in values]


def sigmoid(x: mpf) -> mpf:
    return 1 / (1 + exp(-x))


def iou(a: Box, b: Box) -> mpf:
    width = max(min(a[2], b[2]) - max(a[0], b[0]), mpf(0))
    height = max(min(a[3], b[3]) - max(a[1], b[1]), mpf(0))
    shared = width * height
    area_a = (a[2] - a[0]) * (a[3] - a[1])
    area_b = (b[2] - b[0]) * (b[3] - b[1])
    return shared / (area_a + area_b - shared)


def encode(anchor: Box, box: Box, stds: Box) -> list[mpf]:
    width, height = anchor[2] - anchor[0], anchor[3] - anchor[1]
    return [
        ((box[0] + box[2]) - (anchor[0] + anchor[2])) / 2 / width / stds[0],
        ((box[1] + box[3]) - (anchor[1] + anchor[3])) / 2 / height / stds[1],
        log((box[2] - box[0]) / width) / stds[2],
        log((box[3] - box[1]) / height) / stds[3],
    ]


def decode(anchor: Box, deltas: Box, stds: Box) -> list[mpf]:
    width, height = anchor[2] - anchor[0], anchor[3] - anchor[1]
    x = (anchor[0] + anchor[2]) / 2 + deltas[0] * stds[0] * width
    y = (anchor[1] + anchor[3]) / 2 + deltas[1] * stds[1] * height
    w, h = width * exp(deltas[2] * stds[2]), height * exp(deltas[3] * stds[3])
    return [x - w / 2, y - h / 2, x + w / 2, y + h / 2]


def smooth_l1(deltas: Box, target: Box, beta: float) -> mpf:
    total = mpf(0)
    for a, b in zip(deltas, target):
        d = abs(a - b)
        total += d * d / (2 * beta) if d < beta else d - mpf(beta) / 2
    return total


def mean_max(probs: Sequence[mpf]) -> mpf:
    """Equation 7."""
    weights = [1 / (1 - p) for p in probs]
    return sum(w * p for w, p in zip(weights, probs)) / sum(weights)


def mean_max_by_identity(probs: Sequence[mpf]) -> mpf:
    """1 minus the harmonic mean of 1 - p: the same, said otherwise."""
    return 1 - len(probs) / sum(1 / (1 - p) for p in probs)


def saturated_linear(x: mpf, low: mpf, high: mpf) -> mpf:
    """Equation 5."""
    if x <= low:
        return mpf(0)
    return mpf(1) if x >= high else (x - low) / (high - low)


class FreeAnchorReference:
    """Equation 9 for a batch.

    Args:
        anchors: Boxes, the same for every image.
        objects: Per image a list of (box, label).
        stds: Of the deltas.
        bag_size: n of the paper.
        iou_thr: t.
        alpha, gamma: Of equation 9.
        box_weight, beta: Of P_loc, equation 2.
    """

    def __init__(
        self,
        anchors: Sequence[Box],
        objects: Sequence[Sequence[tuple[Box, int]]],
        stds: Box = (0.1, 0.1, 0.2, 0.2),
        bag_size: int = 50,
        iou_thr: float = 0.6,
        alpha: float = 0.5,
        gamma: float = 2.0,
        box_weight: float = 0.75,
        beta: float = 0.11,
    ) -> None:
        self.anchors = numbers(anchors)
        self.objects = [[(numbers(box), y) for box, y in own] for own in objects]
        self.stds = numbers(stds)
        self.bag_size = bag_size
        self.iou_thr = mpf(iou_thr)
        self.alpha, self.gamma = mpf(alpha), mpf(gamma)
        self.box_weight, self.beta = mpf(box_weight), mpf(beta)
        self.num_objects = sum(len(own) for own in objects)

    def positive(self, logits: Numbers, deltas: Numbers) -> mpf:
        total = mpf(0)
        for image, own in enumerate(self.objects):
            for box, label in own:
                members = []
                for a in self.bag(box):
                    target = encode(self.anchors[a], box, self.stds)
                    distance = smooth_l1(deltas[image][a], target, self.beta)
                    p_loc = exp(-self.box_weight * distance)
                    members.append(sigmoid(logits[image][a][label]) * p_loc)
                total -= log(mean_max(members))
        return self.alpha * total / max(self.num_objects, 1)

    def negative(self, logits: Numbers, match: Numbers) -> mpf:
        total = mpf(0)
        for image, anchors in enumerate(logits):
            for a, scores in enumerate(anchors):
                for label, x in enumerate(scores):
                    q = sigmoid(x) * (1 - match[image][a][label])
                    total -= q**self.gamma * log(1 - q)
        members = max(self.num_objects * self.bag_size, 1)
        return (1 - self.alpha) * total / members

    def match(self, deltas: Numbers, num_classes: int) -> Numbers:
        """P{a -> b}, the highest over the objects of each class."""
        result = []
        for own, row in zip(self.objects, deltas):
            pairs = zip(self.anchors, row)
            boxes = [decode(a, d, self.stds) for a, d in pairs]
            probs = [[mpf(0)] * num_classes for _ in boxes]
            for box, label in own:
                overlaps = [iou(box, x) for x in boxes]
                best = max(overlaps)
                for a, x in enumerate(overlaps):
                    p = saturated_linear(x, self.iou_thr, best)
                    probs[a][label] = max(probs[a][label], p)
            result.append(probs)
        return result

    def bag(self, box: Box) -> list[int]:
        overlaps = [iou(box, anchor) for anchor in self.anchors]
        order = sorted(range(len(overlaps)), key=lambda a: -overlaps[a])
        return order[: self.bag_size]


def derivative(function, values: list, place: Sequence[int]) -> mpf:
    """Central difference of ``function(values)`` in one entry of nested lists."""
    row = values
    for i in place[:-1]:
        row = row[i]
    last, step = place[-1], mpf(10) ** -20
    kept = row[last]
    row[last] = kept + step
    above = function(values)
    row[last] = kept - step
    below = function(values)
    row[last] = kept
    return (above - below) / (2 * step)
