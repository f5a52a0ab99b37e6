import pytest
import torch
from mmengine.structures import InstanceData

from freeanchor.deployment.agreement import DisagreementError, compare


def found(rows: list[tuple[float, float, int]]) -> InstanceData:
    """Boxes of 10 x 10 pixels by their left side, score and label."""
    left, scores, labels = zip(*rows) if rows else ((), (), ())
    x = torch.tensor(left).reshape(-1, 1)
    return InstanceData(
        bboxes=torch.cat([x, x * 0, x + 10, x * 0 + 10], dim=1),
        scores=torch.tensor(scores),
        labels=torch.tensor(labels, dtype=torch.int64),
    )


ORIGINAL = [(0.0, 0.9, 0), (50.0, 0.5, 1), (51.0, 0.5, 0)]


def test_the_largest_distances_are_said() -> None:
    near = [(0.05, 0.90003, 0), (50.0, 0.5, 1), (51.02, 0.5, 0)]
    agreement = compare([found(near), found([])], [found(ORIGINAL), found([])], 'ab')
    assert agreement.num_images == 2
    assert agreement.num_detections == 3
    assert agreement.box_distance == pytest.approx(0.05, abs=1e-5)
    assert agreement.score_distance == pytest.approx(3e-5, rel=0.01)


def test_the_order_of_equal_scores_does_not_matter() -> None:
    turned = [ORIGINAL[0], ORIGINAL[2], ORIGINAL[1]]
    assert compare([found(turned)], [found(ORIGINAL)], 'a').box_distance == 0


@pytest.mark.parametrize(
    'changed',
    [
        [(0.2, 0.9, 0), *ORIGINAL[1:]],
        [(0.0, 0.9002, 0), *ORIGINAL[1:]],
        [(0.0, 0.9, 2), *ORIGINAL[1:]],
        [ORIGINAL[0], ORIGINAL[0], ORIGINAL[2]],
        [(float('nan'), 0.9, 0), *ORIGINAL[1:]],
        ORIGINAL[1:],
        [],
    ],
    ids=['box', 'score', 'label', 'twice', 'no number', 'one less', 'none'],
)
def test_what_differs_is_refused_with_the_name_of_the_image(changed: list) -> None:
    with pytest.raises(DisagreementError, match=r'dog\.jpg: '):
        compare([found(changed)], [found(ORIGINAL)], ['dog.jpg'])
