import torch
from hypothesis import given
from hypothesis import strategies as st

from freeanchor.boxes import task_aligned_assign
from freeanchor.boxes.centres import holds_centre


def slow_assign(
    alignment: list, ious: list, inside: list, number: int
) -> dict[int, int]:
    """Each assigned anchor's object, by loops."""
    claims: dict[int, list] = {}
    for i, row in enumerate(alignment):
        best = sorted(range(len(row)), key=lambda a: -row[a])[:number]
        for a in best:
            if inside[i][a] and row[a] > -torch.inf:
                claims.setdefault(a, []).append((-ious[i][a], i))
    return {a: min(found)[1] for a, found in claims.items()}


@given(st.integers(0, 6), st.integers(1, 30), st.integers(1, 8), st.integers(0, 99))
def test_it_is_what_loops_find(
    num_objects: int, num_anchors: int, number: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    ious = torch.rand(num_objects, num_anchors, generator=generator)
    alignment = torch.rand(num_objects, num_anchors, generator=generator).log()
    alignment[alignment < -2] = -torch.inf
    inside = torch.rand(num_objects, num_anchors, generator=generator) > 0.3
    anchor, given = task_aligned_assign(alignment, ious, inside, number)
    assert anchor.shape == given.shape == (num_objects, min(number, num_anchors))
    object_ = torch.arange(num_objects)[:, None].expand_as(anchor)
    found = dict(zip(anchor[given].tolist(), object_[given].tolist()))
    assert len(found) == given.sum()  # no anchor twice
    truth = slow_assign(alignment.tolist(), ious.tolist(), inside.tolist(), number)
    # Among anchors that fit not at all, which are asked for is left open.
    assert found == truth


def test_of_equal_overlaps_the_first_object_gets_the_anchor() -> None:
    same = torch.full((2, 1), 0.5)
    _, given = task_aligned_assign(same.log(), same, same > 0, 1)
    assert given.tolist() == [[True], [False]]


def test_a_centre_on_the_edge_is_outside() -> None:
    box = torch.tensor([[0.0, 0, 10, 10]])
    anchors = torch.tensor([[4.0, 4, 6, 6], [-1, 4, 1, 6], [4, 9, 6, 11], [0, 0, 1, 1]])
    assert holds_centre(box, anchors).tolist() == [[True, False, False, True]]
    assert holds_centre(box, anchors, 1.0).tolist() == [[True, False, False, False]]
