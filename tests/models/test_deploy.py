import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import DynamicOutputShapeException, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from freeanchor.models.deploy import deploy
from freeanchor.models.winograd import WinogradConv2d
from tests.batches import sample

from .detectors import small_detector
from .test_fuse import with_statistics

SIZES = [(96, 128), (90, 120)]


def detector() -> nn.Module:
    head = dict(
        type='RetinaHead', num_classes=3, in_channels=128, feat_channels=128,
        stacked_convs=1, prior_prob=0.1,
        anchor_generator=dict(type='AnchorGenerator', strides=[8, 16, 32, 64, 128]),
        bbox_coder=dict(type='DeltaBoxCoder', stds=[0.1, 0.1, 0.2, 0.2]),
    )  # fmt: skip
    neck = dict(
        type='FPN', in_channels=[64, 128, 256, 512], start_level=1, out_channels=128,
        num_outs=5,
    )  # fmt: skip
    torch.manual_seed(0)
    model = with_statistics(small_detector(bbox_head=head, neck=neck))
    with torch.no_grad():  # scores that are far apart: the order is not in doubt
        model.bbox_head.retina_cls.weight.mul_(30)
    return model


def detections(model: nn.Module) -> list[tuple[Tensor, Tensor, Tensor]]:
    samples = [
        sample([], [], size, scale_factor=(scale, 2 * scale))
        for size, scale in zip(SIZES, (1.0, 1.5))
    ]
    images = torch.randn(2, 3, 96, 128, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = model(images, samples, mode='predict')
    return [(x.bboxes, x.scores, x.labels) for x in (s.pred_instances for s in found)]


@pytest.fixture(scope='module')
def plain() -> nn.Module:
    return detector()


def test_a_deployed_detector_finds_the_same(plain: nn.Module) -> None:
    deployed = deploy(copy.deepcopy(plain))
    assert any(isinstance(x, WinogradConv2d) for x in deployed.modules())
    assert not any(isinstance(x, nn.BatchNorm2d) for x in deployed.modules())
    for ours, theirs in zip(detections(deployed), detections(plain), strict=True):
        assert len(theirs[0]) > 50
        torch.testing.assert_close(ours[0], theirs[0], atol=0.05, rtol=0)
        torch.testing.assert_close(ours[1], theirs[1], atol=1e-4, rtol=0)
        assert torch.equal(ours[2], theirs[2])


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision_gives_float32_scores_near_the_exact_ones(
    plain: nn.Module, dtype: torch.dtype
) -> None:
    deployed = deploy(copy.deepcopy(plain), dtype=dtype)
    images = torch.randn(1, 3, 96, 128)
    with torch.no_grad():
        assert deployed(images).logits[0].dtype == dtype
    for ours, theirs in zip(detections(deployed), detections(plain), strict=True):
        assert ours[0].dtype == ours[1].dtype == torch.float32
        # The best ten: places may change among the many that are nearly equal.
        torch.testing.assert_close(ours[1][:10], theirs[1][:10], atol=0.02, rtol=0)


def test_anchors_stay_in_float32(plain: nn.Module) -> None:
    deployed = deploy(copy.deepcopy(plain), dtype=torch.bfloat16)
    with torch.no_grad():
        anchors = deployed(torch.zeros(1, 3, 64, 64)).anchors
    assert all(x.dtype == torch.float32 for x in anchors)


def test_recording_without_a_gpu_is_refused(plain: nn.Module) -> None:
    with pytest.raises(ValueError, match='record needs a CUDA device, not cpu'):
        deploy(copy.deepcopy(plain), record=True)


@pytest.mark.skipif(torch.__version__ < '2.7', reason='fake CUDA needs a driver here')
def test_what_is_recorded_never_waits_for_a_gpu(plain: nn.Module) -> None:
    """Tensors without data refuse whatever depends on values.

    A copy from the CPU, which a recording cannot hold either, would be seen
    as an operation on a tensor of the CPU.
    """

    def without_data(x: Tensor) -> Tensor:
        return torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device='cuda')

    model = deploy(copy.deepcopy(plain), dtype=torch.float16)
    with FakeTensorMode(allow_non_fake_inputs=True), Copies() as copies:
        model._apply(without_data)
        copies.seen.clear()
        images = torch.empty(2, 3, 96, 128, device='cuda')
        limits = torch.empty(2, 2, device='cuda', dtype=torch.float64)
        with torch.no_grad():
            found = model.find_candidates(images, limits)
        assert not copies.seen
        with pytest.raises(DynamicOutputShapeException):
            found.scores.nonzero()
        assert found.boxes.device.type == 'cuda'
        assert found.boxes.dtype == found.scores.dtype == torch.float32
        scores = torch.empty(3, 3)
        assert copies.seen == []
        scores.cuda()
        assert copies.seen


class Copies(TorchDispatchMode):
    """Operations that read a tensor of the CPU."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        if any(x.device.type == 'cpu' for x in tensors):
            self.seen.append(str(function))
        return function(*args, **(kwargs or {}))


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_a_recorded_detector_finds_the_same(plain: nn.Module) -> None:
    device = torch.device('cuda')
    unrecorded = deploy(copy.deepcopy(plain), device)
    recorded = deploy(copy.deepcopy(plain), device, record=True)
    samples = [sample([], [], size) for size in SIZES]
    for _ in range(3):
        images = torch.randn(2, 3, 96, 128, device=device)
        with torch.no_grad():
            first, second = (
                [x.pred_instances for x in m(images, copy.deepcopy(samples), 'predict')]
                for m in (unrecorded, recorded)
            )
        for ours, theirs in zip(second, first):
            torch.testing.assert_close(ours.bboxes, theirs.bboxes, atol=0.05, rtol=0)
