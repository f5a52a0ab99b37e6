from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine.structures import BaseDataElement
from torch import Tensor, nn
from torch.testing import assert_close

from freeanchor.boxes import LegacyDeltaBoxCoder
from freeanchor.boxes.candidates import Candidates, dense_candidates
from freeanchor.models import DetTTAModel, RescaleTTAModel
from freeanchor.models.tta import rescaled_size
from freeanchor.models.views import flipped_back

from .detectors import small_detector

SETTINGS = dict(score_thr=0.0, nms_pre=50, nms_iou=0.5, max_per_img=20)
SIZES = [(64, 96), (90, 61)]  # height and width


@pytest.fixture(scope='module')
def detector() -> nn.Module:
    torch.manual_seed(0)
    model = small_detector(test_cfg=SETTINGS).double().eval()
    # Else all scores are near the prior, and their order is chance.
    nn.init.normal_(model.bbox_head.retina_cls.weight, std=0.5)
    return model


def images() -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.rand(3, *size, generator=generator) * 255 for size in SIZES]


def sample(image: Tensor, scale: float = 1.0, flip: str | None = None) -> Any:
    info = dict(img_shape=tuple(image.shape[1:]), scale_factor=(scale, scale))
    return BaseDataElement(
        metainfo=dict(info, flip=flip is not None, flip_direction=flip)
    )


def batch(pictures: list[Tensor], **info: Any) -> dict[str, list]:
    return dict(inputs=pictures, data_samples=[sample(x, **info) for x in pictures])


def views(*batches: dict[str, list]) -> dict[str, list]:
    return {key: [x[key] for x in batches] for key in batches[0]}


def double(model: Any, data: dict[str, list]) -> list[Any]:
    """A test step in float64: order among near equals is not chance."""
    preprocessor = getattr(model, 'module', model).data_preprocessor
    preprocessor.forward = _in_float64(type(preprocessor).forward, preprocessor)
    with torch.no_grad():
        return model.test_step(data)


def _in_float64(forward: Any, preprocessor: Any) -> Any:
    def wrapped(data: dict, training: bool = False) -> dict:
        found = forward(preprocessor, data, training)
        return {**found, 'inputs': found['inputs'].double()}

    return wrapped


def found(samples: list[Any]) -> list[tuple[Tensor, Tensor, Tensor]]:
    instances = [x.pred_instances for x in samples]
    return [(x.bboxes, x.scores, x.labels) for x in instances]


def test_one_view_is_plain_testing(detector: nn.Module) -> None:
    plain = found(double(detector, batch(images(), scale=0.5)))
    augmented = DetTTAModel(detector)
    assert_close(found(double(augmented, views(batch(images(), scale=0.5)))), plain)
    assert len(plain[0][0]) == len(plain[1][0]) == 20


def test_one_scale_of_the_official_protocol_is_plain_testing(
    detector: nn.Module,
) -> None:
    for picture in images():
        plain = found(double(detector, batch([picture], scale=0.5)))
        scale = (min(picture.shape[1:]), max(picture.shape[1:]))
        augmented = RescaleTTAModel(detector, [scale])
        again = found(double(augmented, batch([picture], scale=0.5)))
        assert_close(again, plain)


def test_candidates_in_a_fixed_number_of_rows_give_the_same(
    detector: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a GPU has them, with rows that are none and images one after another."""
    model = DetTTAModel(detector)
    data = views(batch(images()), batch(images()))
    expected = found(double(model, data))
    finder = 'freeanchor.models.detector.candidate_finder'
    monkeypatch.setattr(finder, lambda device: dense_candidates)
    assert_close(found(double(model, data)), expected)


def test_the_same_view_twice_changes_nothing(detector: nn.Module) -> None:
    once = DetTTAModel(detector)
    one = found(double(once, views(batch(images()))))
    two = found(double(once, views(batch(images()), batch(images()))))
    assert_close(two, one)


def test_images_of_a_batch_do_not_mix(detector: nn.Module) -> None:
    model = RescaleTTAModel(detector, [(64, 96), (96, 160)])
    together = found(double(model, batch(images())))
    for picture, own in zip(images(), together):
        # Alone it is padded less, which the convolutions see at its edge.
        (alone,) = found(double(model, batch([picture])))
        assert_close(alone, own)


class Corner(nn.Module):
    """Finds one box: the bright pixels of each image."""

    def __init__(self, detector: nn.Module) -> None:
        super().__init__()
        self.data_preprocessor = detector.data_preprocessor
        self.test_cfg: dict = {}
        self.bbox_head: Any = SimpleNamespace(coder=detector.bbox_head.coder)

    def find_candidates(self, inputs: Tensor, limits: Tensor) -> Any:
        boxes = []
        for image in inputs:
            rows, columns = (image[0] > 1).nonzero(as_tuple=True)
            edges = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
            boxes.append(torch.stack(edges).double())
        number = torch.arange(len(boxes))
        return Candidates(
            torch.stack(boxes), 0.9 - 0.1 * number.double(), 0 * number, number
        )


DIRECTIONS = dict(horizontal=[2], vertical=[1], diagonal=[1, 2])


@pytest.mark.parametrize('direction', [None, *DIRECTIONS])
@pytest.mark.parametrize('scale', [1, 2])
def test_boxes_of_every_view_come_back_exactly(
    detector: nn.Module, direction: str | None, scale: int
) -> None:
    expected, pictures = [], []
    for i, picture in enumerate(images()):
        picture = torch.zeros_like(picture)
        x1, y1, x2, y2 = 5 + i, 12, 31, 40 + i
        picture[:, y1:y2, x1:x2] = 255
        expected.append([[float(v) for v in (x1, y1, x2, y2)]])
        picture = picture.repeat_interleave(scale, 1).repeat_interleave(scale, 2)
        pictures.append(picture.flip(DIRECTIONS.get(direction, [])))
    model = DetTTAModel(Corner(detector))
    samples = model.test_step(views(batch(pictures, scale=scale, flip=direction)))
    assert [x.pred_instances.bboxes.tolist() for x in samples] == expected


def test_boxes_of_first_and_last_pixels_come_back_as_such(detector: nn.Module) -> None:
    picture = torch.zeros(3, 64, 96)
    picture[:, 10:30, 20:50] = 255
    model = DetTTAModel(Corner(detector))
    model.module.bbox_head = SimpleNamespace(coder=LegacyDeltaBoxCoder())
    (sample,) = model.test_step(views(batch([picture], scale=2.0)))
    # The last pixels 49 and 29 are 24.5 and 14.5 of the original.
    assert sample.pred_instances.bboxes.tolist() == [[10, 5, 25.5, 15.5]]


def test_views_that_agree_give_one_box(detector: nn.Module) -> None:
    picture = torch.zeros(3, 64, 96)
    picture[:, 10:30, 20:50] = 255
    data = views(
        batch([picture]), batch([picture.flip(2)], flip='horizontal'), batch([picture])
    )
    (sample,) = DetTTAModel(Corner(detector)).test_step(data)
    assert sample.pred_instances.bboxes.tolist() == [[20, 10, 50, 30]]
    assert not sample.flip  # of the first view, which is drawn


coordinates = st.integers(0, 200)


@given(st.tuples(*[coordinates] * 4), st.sampled_from(sorted(DIRECTIONS)))
def test_a_flip_taken_back_twice_is_none(
    corners: tuple[int, int, int, int], direction: str
) -> None:
    x, y, w, h = corners
    boxes = torch.tensor([[x, y, x + w, y + h]], dtype=torch.float32)
    size = torch.tensor([640, 480])
    once = flipped_back(boxes, size, direction)
    assert (once[:, 2:] >= once[:, :2]).all()
    assert torch.equal(flipped_back(once, size, direction), boxes)


def test_a_pipeline_of_one_view_is_refused(detector: nn.Module) -> None:
    with pytest.raises(ValueError, match='MultiScaleFlipAug'):
        DetTTAModel(detector).test_step(batch(images()))


@pytest.mark.parametrize(
    ('size', 'scale', 'expected'),
    [
        ((800, 1199), (800, 1333), (800, 1199)),
        ((750, 1333), (800, 1333), (750, 1333)),
        ((800, 1199), (480, 800), (480, 719)),  # 719.4: down, not to the nearest
        ((1199, 800), (640, 1067), (959, 640)),
        ((600, 1333), (1280, 2133), (960, 2132)),  # 2133 * 600 / 1333 = 960.1
        ((100, 100), (480, 800), (480, 480)),
    ],
)
def test_sizes_are_maskrcnn_benchmarks(
    size: tuple[int, int], scale: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert rescaled_size(*size, *scale) == expected


@given(st.integers(32, 2000), st.integers(32, 2000))
def test_sizes_fill_the_scale_and_keep_the_ratio(height: int, width: int) -> None:
    found = rescaled_size(height, width, 800, 1333)
    ratio = max(height, width) / min(height, width)
    # The shorter side is rounded, which moves the longer by half the ratio.
    assert max(found) <= 1333 + ratio / 2
    assert min(found) <= 800
    assert min(found) == 800 or max(found) > 1333 - ratio / 2 - 1
    new_height, new_width = found
    assert (new_height >= new_width) == (height >= width) or min(found) == max(found)
    assert abs(max(found) - min(found) * ratio) <= 1


def test_a_resized_view_is_padded_and_knows_its_size(detector: nn.Module) -> None:
    seen = []

    class Spy(Corner):
        def find_candidates(self, inputs: Tensor, limits: Tensor) -> Any:
            seen.append((tuple(inputs.shape), limits.tolist()))
            return super().find_candidates(inputs, limits)

    model = RescaleTTAModel(Spy(detector), [(40, 100), (64, 96)])
    model.test_step(batch([torch.full((3, 64, 96), 255.0)]))
    assert seen == [
        ((1, 3, 64, 64), [[60.0, 40.0]]),
        ((1, 3, 64, 96), [[96.0, 64.0]]),
    ]


def test_boxes_are_voted_where_the_detector_says_so(detector: nn.Module) -> None:
    picture = torch.zeros(3, 64, 96)
    picture[:, 10:30, 20:50] = 255
    wider = torch.zeros(3, 64, 96)
    wider[:, 10:30, 20:54] = 255
    model = DetTTAModel(Corner(detector))
    model.module.test_cfg = dict(voting_sigma=0.025)
    (sample,) = model.test_step(views(batch([picture]), batch([wider])))
    ((_, _, right, _),) = sample.pred_instances.bboxes.tolist()
    assert 50 < right < 54
