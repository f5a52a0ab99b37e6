import copy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from torch import Tensor, nn
from torch._subclasses.fake_tensor import DynamicOutputShapeException, FakeTensorMode

from freeanchor.models.deploy import deploy
from freeanchor.models.fuse import fuse
from freeanchor.registry import MODELS
from freeanchor.structures import DensePredictions
from tests.batches import flat, sample

from .detectors import small_detector
from .test_deploy import Copies
from .test_fuse import with_statistics

ROOT = Path(__file__).parents[2]
# Ours, and MMDetection's.
NAMES = {
    'retina_cls': 'atss_cls',
    'retina_reg': 'atss_reg',
    'retina_quality': 'atss_centerness',
}
WIDTH = 128  # what minimal filtering takes
OBJECT = sample([[8, 8, 60, 50]], [1], (96, 128))
EMPTY = sample([], [], (96, 128))


def head(**changes: object) -> dict:
    return dict(
        type='QualityHead', num_classes=3, in_channels=WIDTH, feat_channels=WIDTH,
        stacked_convs=1, prior_prob=0.1, num_groups=8,
        anchor_generator=dict(
            type='AnchorGenerator', strides=[8, 16, 32, 64, 128], ratios=[1.0],
            octave_base_scale=8, scales_per_octave=1,
        ),
        bbox_coder=dict(type='DeltaBoxCoder', stds=[0.1, 0.1, 0.2, 0.2]),
        **changes,
    )  # fmt: skip


def detector(**changes: object) -> nn.Module:
    neck = dict(
        type='FPN', in_channels=[64, 128, 256, 512], start_level=1,
        out_channels=WIDTH, num_outs=5,
    )  # fmt: skip
    torch.manual_seed(0)
    return small_detector(bbox_head=head(), neck=neck, **changes)


def maps(*sides: int) -> list[Tensor]:
    return [torch.rand(2, WIDTH, n, n) for n in sides]


@pytest.fixture(scope='module')
def trained() -> nn.Module:
    """Scores and qualities that are far apart, as after some training."""
    model = with_statistics(detector(loss=dict(type='ATSSLoss')))
    with torch.no_grad():
        for name in ('retina_cls', 'retina_quality'):
            getattr(model.bbox_head, name).weight.mul_(30)
    return model


def test_names_order_and_shapes_are_mmdetections() -> None:
    cfg = Config.fromfile(ROOT / 'configs/atss_r50_fpn_1x.py')
    cfg.model.backbone.init_cfg = None
    state = MODELS.build(cfg.model).state_dict()
    rows = [f'{k} {"x".join(map(str, v.shape))}'.rstrip() for k, v in state.items()]
    ours = '\n'.join(rows)
    for own, theirs in NAMES.items():
        ours = ours.replace(own, theirs)
    keys = Path(__file__).parent / 'keys' / 'atss_r50.txt'
    assert ours.splitlines() == keys.read_text().splitlines()


def test_scores_start_at_the_prior_and_qualities_in_the_middle() -> None:
    found = detector()(torch.rand(1, 3, 64, 64))
    assert flat(found.logits).sigmoid().mean().item() == pytest.approx(0.1, rel=0.2)
    assert flat(found.quality).sigmoid().mean().item() == pytest.approx(0.5, abs=0.05)


def test_every_anchor_has_one_quality() -> None:
    found = MODELS.build(head())(maps(8, 4, 2, 1, 1))
    assert [x.shape for x in found.quality] == [(2, n, 1, 1) for n in (64, 16, 4, 1, 1)]


def test_each_level_has_a_factor_of_its_deltas_alone() -> None:
    module = MODELS.build(head())
    given = maps(8, 4, 2, 1, 1)
    with torch.no_grad():
        before = module(given)
        module.scales[1].scale.fill_(3.0)
        after = module(given)
    for level, (x, y) in enumerate(zip(before.deltas, after.deltas)):
        torch.testing.assert_close(y, x * 3 if level == 1 else x)
    for x, y in zip(before.logits + before.quality, after.logits + after.quality):
        assert torch.equal(x, y)


def test_without_groups_there_is_no_normalisation() -> None:
    module = MODELS.build({**head(), 'num_groups': 0})
    assert not any(isinstance(x, nn.GroupNorm) for x in module.modules())
    assert module.cls_convs[0].conv.bias is not None


def test_groups_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r'feat_channels=128.*num_groups=33'):
        MODELS.build({**head(), 'num_groups': 33})


@pytest.mark.parametrize('sides', [(8, 4, 2, 1), (8, 4, 2, 1, 1, 1)])
def test_maps_and_strides_that_differ_in_number_are_refused(sides: tuple) -> None:
    with pytest.raises(ValueError, match=r'neck\.num_outs'):
        MODELS.build(head())(maps(*sides))


@pytest.mark.parametrize('loss', ['ATSSLoss', 'FreeAnchorLoss', 'RetinaLoss'])
def test_every_trained_parameter_gets_a_finite_gradient(loss: str) -> None:
    model = detector(loss=dict(type=loss)).train()
    for samples in ((OBJECT, EMPTY), (EMPTY, EMPTY)):
        model.zero_grad()
        sum(model(torch.rand(2, 3, 96, 128), list(samples), 'loss').values()).backward()
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                assert parameter.grad is not None, name
                assert parameter.grad.isfinite().all(), name


def test_centerness_teaches_the_quality_branch() -> None:
    model = detector(loss=dict(type='ATSSLoss')).train()
    sum(model(torch.rand(1, 3, 96, 128), [OBJECT], 'loss').values()).backward()
    assert model.bbox_head.retina_quality.weight.grad.abs().max() > 0


def detections(model: nn.Module) -> list[tuple[Tensor, Tensor, Tensor]]:
    images = torch.randn(2, 3, 96, 128, generator=torch.Generator().manual_seed(0))
    samples = [sample([], [], size) for size in ((96, 128), (90, 120))]
    with torch.no_grad():
        found = model(images, samples, mode='predict')
    return [(x.bboxes, x.scores, x.labels) for x in (s.pred_instances for s in found)]


def test_a_deployed_detector_finds_the_same(trained: nn.Module) -> None:
    deployed = deploy(copy.deepcopy(trained))
    for ours, theirs in zip(detections(deployed), detections(trained), strict=True):
        assert len(theirs[0]) > 20
        torch.testing.assert_close(ours[0], theirs[0], atol=0.05, rtol=0)
        torch.testing.assert_close(ours[1], theirs[1], atol=1e-4, rtol=0)
        assert torch.equal(ours[2], theirs[2])


def test_group_normalisations_stay_where_batch_normalisations_are_folded(
    trained: nn.Module,
) -> None:
    fused = fuse(copy.deepcopy(trained), torch.rand(1, 3, 64, 64))
    assert not any(isinstance(x, nn.BatchNorm2d) for x in fused.modules())
    assert sum(isinstance(x, nn.GroupNorm) for x in fused.modules()) == 2
    for key in trained.bbox_head.state_dict():
        ours, theirs = (x.bbox_head.state_dict()[key] for x in (fused, trained))
        assert torch.equal(ours, theirs), key


def test_quality_lowers_the_scores_of_detections(trained: nn.Module) -> None:
    """The product of two scores is below each; more so for a lower quality."""
    worse = copy.deepcopy(trained)
    with torch.no_grad():
        worse.bbox_head.retina_quality.bias.sub_(2.0)
    for (_, high, _), (_, low, _) in zip(detections(trained), detections(worse)):
        assert low.max() < high.max()


def test_powers_of_the_config_choose_how_quality_counts() -> None:
    settings = dict(score_thr=0.3, rank_powers=[0.5, 0.5], score_powers=[0.5, 0.5])
    objective = dict(type='PAALoss')
    model = detector(test_cfg=settings, loss=objective).eval()
    for _, scores, _ in detections(model):
        assert len(scores) == 0  # roots of 0.1 * 0.5: about 0.22
    settings['score_thr'] = 0.15
    model = detector(test_cfg=settings, loss=objective).eval()
    for _, scores, _ in detections(model):
        assert scores.mean().item() == pytest.approx(0.05**0.5, rel=0.1)


def test_powers_that_make_no_ranking_are_refused() -> None:
    with pytest.raises(ValueError, match=r'test_cfg\.rank_powers'):
        detector(test_cfg=dict(rank_powers=[0.0, 1.0]))


def test_outputs_are_views_of_what_the_convolutions_wrote() -> None:
    module = MODELS.build(head())
    written: list[Tensor] = []
    for name in ('retina_cls', 'retina_quality'):
        convolution = getattr(module, name)
        convolution.register_forward_hook(lambda _, __, out: written.append(out))
    given = [
        x.contiguous(memory_format=torch.channels_last) for x in maps(8, 4, 2, 1, 1)
    ]
    found: DensePredictions = module(given)
    starts = {x.data_ptr() for x in written}
    assert {x.data_ptr() for x in (*found.logits, *found.quality)} == starts


@pytest.mark.skipif(torch.__version__ < '2.7', reason='fake CUDA needs a driver here')
@pytest.mark.parametrize('powers', [[1.0, 0.0], [0.5, 0.5]])
def test_finding_candidates_never_waits_for_a_gpu(powers: list[float]) -> None:
    """Tensors without data refuse whatever depends on values."""

    def without_data(x: Tensor) -> Tensor:
        return torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device='cuda')

    model = deploy(detector(test_cfg=dict(rank_powers=powers)), dtype=torch.float16)
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
        assert found.boxes.dtype == found.scores.dtype == torch.float32


def test_weights_under_mmdetections_names_are_loaded_as_they_are() -> None:
    source, target = MODELS.build(head()), MODELS.build(head())
    theirs = {}
    for name, value in source.state_dict().items():
        first, _, rest = name.partition('.')
        theirs[f'{NAMES.get(first, first)}.{rest}'] = value
    target.load_state_dict(theirs)
    for name, value in source.state_dict().items():
        torch.testing.assert_close(target.state_dict()[name], value)


def test_a_branch_that_the_objective_does_not_train_changes_no_score() -> None:
    model = detector(loss=dict(type='FreeAnchorLoss')).eval()
    for _, scores, _ in detections(model):
        assert scores.mean() > 0.09  # about the prior; half of it with the branch


def test_a_voting_without_width_is_refused() -> None:
    with pytest.raises(ValueError, match='voting_sigma=0'):
        detector(test_cfg=dict(voting_sigma=0))
