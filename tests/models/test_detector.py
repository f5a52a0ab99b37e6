import warnings

import pytest
import torch
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import DefaultScope, Registry
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from freeanchor.boxes import DeltaBoxCoder
from freeanchor.models import ResNet
from freeanchor.registry import MODELS
from freeanchor.structures import DensePredictions, Objects, Regions
from tests.batches import flat, sample

from .detectors import small_detector

OBJECT = sample([[8, 8, 60, 50]], [1], (96, 128))
EMPTY = sample([], [], (96, 128))
LOSSES = [dict(type='FreeAnchorLoss'), dict(type='RetinaLoss')]


def data(*samples) -> dict:
    images = [
        torch.randint(0, 256, (3, *x.img_shape), dtype=torch.uint8) for x in samples
    ]
    return dict(inputs=images, data_samples=list(samples))


def test_tensor_mode_gives_dense_predictions() -> None:
    out = small_detector()(torch.rand(2, 3, 64, 96))
    assert isinstance(out, DensePredictions)
    assert [x.shape[0] for x in out.logits] == [2] * 5
    assert [len(x) for x in out.anchors] == [8 * 12 * 9, 4 * 6 * 9, 2 * 3 * 9, 18, 9]


def test_scores_start_at_the_prior() -> None:
    logits = flat(small_detector()(torch.rand(1, 3, 64, 64)).logits)
    assert logits.sigmoid().mean().item() == pytest.approx(0.01, rel=0.2)


@pytest.mark.parametrize('loss', LOSSES)
@pytest.mark.parametrize('samples', [(OBJECT, EMPTY), (EMPTY, EMPTY), (EMPTY,)])
def test_every_trained_parameter_gets_a_finite_gradient(
    loss: dict, samples: tuple
) -> None:
    model = small_detector(loss=loss).train()
    batch = model.data_preprocessor(data(*samples), training=True)
    sum(model(**batch, mode='loss').values()).backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name


def test_a_bad_box_is_refused_before_the_network_runs() -> None:
    model = small_detector()
    model.backbone.forward = None
    bad = sample([[8, 8, 8, 50]], [1], (96, 128), img_path='photo.jpg')
    batch = model.data_preprocessor(data(OBJECT, bad), training=True)
    with pytest.raises(ValueError, match=r'photo.jpg.*has no area'):
        model(**batch, mode='loss')


def test_predictions_are_in_pixels_of_the_original_image() -> None:
    model = small_detector(test_cfg=dict(score_thr=0.0, max_per_img=50)).eval()
    halves = []
    for scale in (1.0, 2.0):
        torch.manual_seed(0)
        picture = sample([], [], (64, 64), scale_factor=(scale, scale))
        with torch.no_grad():
            found = model.test_step(data(picture))[0].pred_instances
        assert len(found) == 50
        halves.append(found.bboxes * scale)
    torch.testing.assert_close(*halves)


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="'tensor', 'loss' or 'predict', not 'train'"):
        small_detector()(torch.rand(1, 3, 64, 64), mode='train')


@pytest.mark.parametrize('loss', LOSSES)
@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_losses_under_autocast_are_float32_and_near(
    loss: dict, dtype: torch.dtype
) -> None:
    model = small_detector(loss=loss).train()
    batch = model.data_preprocessor(data(OBJECT, EMPTY), training=True)
    exact = model(**batch, mode='loss')
    with torch.autocast('cpu', dtype=dtype):
        mixed = model(**batch, mode='loss')
    for name, value in mixed.items():
        assert value.dtype == torch.float32
        assert value.item() == pytest.approx(exact[name].item(), rel=0.1, abs=1e-4)


@pytest.mark.skipif(torch.__version__ < '2.7', reason='fake CUDA needs a driver here')
@pytest.mark.parametrize('loss', LOSSES)
def test_no_operation_of_a_loss_is_unsafe_under_cuda_autocast(
    loss: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CUDA's autocast refuses some operations that the CPU's lets pass.

    Tensors without data show it where there is no GPU: dispatch is by device.
    """
    # The kernels are no operations of autocast's, and need data.
    for place in ('boxes.search', 'losses.background', 'losses.entries'):
        monkeypatch.setattr(f'freeanchor.{place}.can_fuse', lambda x: False)
    objective = MODELS.build(loss)
    shapes = ShapeEnv(allow_dynamic_output_shape_ops=True)
    with FakeTensorMode(shape_env=shapes), _cuda_autocast():
        half = torch.zeros(4, device='cuda', dtype=torch.float16)
        with pytest.raises(RuntimeError, match='unsafe to autocast'):
            nn.functional.binary_cross_entropy(half, half)
        anchors = (torch.zeros(36, 4, device='cuda'),)
        logits = torch.zeros(1, 4, 9, 3, device='cuda', dtype=torch.float16)
        deltas = torch.zeros(1, 4, 9, 4, device='cuda', dtype=torch.float16)
        row = torch.zeros(1, device='cuda', dtype=torch.long)
        batch = DensePredictions((logits,), (deltas,), anchors, DeltaBoxCoder())
        objects = Objects(
            boxes=torch.ones(1, 4, device='cuda'), labels=row, image=row, counts=(1,),
            ignored=Regions(torch.ones(0, 4, device='cuda'), row[:0]),
            pad_shapes=((64, 64),),
        )  # fmt: skip
        for value in objective(batch, objects).values():
            assert value.dtype == torch.float32


class _cuda_autocast:  # noqa: N801
    """``torch.autocast('cuda')`` without its check that there is a GPU."""

    def __enter__(self) -> None:
        torch.set_autocast_enabled('cuda', True)

    def __exit__(self, *_: object) -> None:
        torch.set_autocast_enabled('cuda', False)
        torch.clear_autocast_cache()


def test_our_classes_are_found_whatever_the_default_scope_is() -> None:
    other = Registry('model', scope='elsewhere', parent=ROOT_MODELS)

    @other.register_module(name='ResNet')
    class NotOurs(nn.Module):
        pass

    with DefaultScope.overwrite_default_scope('elsewhere'), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        model = small_detector()
    assert type(model.backbone) is ResNet


def test_a_mistyped_key_of_test_cfg_gets_the_nearest() -> None:
    with pytest.raises(ValueError, match="no 'score_thrr'; did you mean score_thr"):
        small_detector(test_cfg=dict(score_thrr=0.1))
