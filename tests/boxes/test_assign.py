import torch
from hypothesis import given
from hypothesis import strategies as st

from freeanchor.boxes import BACKGROUND, IGNORED, max_iou_assign


def by_hand(ious: list[list[float]], num_anchors: int) -> list[int]:
    """RetinaNet's rules, anchor by anchor, then object by object."""
    result = []
    for a in range(num_anchors):
        column = [row[a] for row in ious]
        best = max(column, default=0.0)
        if best >= 0.5:
            result.append(column.index(best))
        else:
            result.append(BACKGROUND if best < 0.4 else IGNORED)
    for g, row in enumerate(ious):
        for a, x in enumerate(row):
            if x == max(row) and x > 0:
                result[a] = g
    return result


overlaps = st.sampled_from([0.0, 0.1, 0.39, 0.4, 0.45, 0.5, 0.51, 0.7, 0.9])


@given(st.data(), st.integers(0, 4), st.integers(1, 6))
def test_the_rules_are_retinanets(
    data: st.DataObject, num_objects: int, num_anchors: int
) -> None:
    row = st.lists(overlaps, min_size=num_anchors, max_size=num_anchors)
    ious = data.draw(st.lists(row, min_size=num_objects, max_size=num_objects))
    assigned = max_iou_assign(torch.tensor(ious).reshape(num_objects, num_anchors))
    assert assigned.tolist() == by_hand(ious, num_anchors)


def test_an_object_keeps_its_best_anchor_however_bad() -> None:
    ious = torch.tensor([[0.1, 0.3, 0.0]])
    assert max_iou_assign(ious).tolist() == [BACKGROUND, 0, BACKGROUND]
