"""Converted weights compute what they computed at home."""

import pickle
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.structures import BaseDataElement
from torch import Tensor, nn
from torchvision.models import resnet50
from torchvision.models.detection import RetinaNet, retinanet_resnet50_fpn
from torchvision.models.detection._utils import overwrite_eps
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
from torchvision.ops import FrozenBatchNorm2d
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from freeanchor.engine import CheckpointError, read_checkpoint
from freeanchor.engine.conversion import ConversionError, build_untrained, convert
from freeanchor.engine.conversion.recognition import source_of
from tests.attacks import write_attack

from .foreign_models import Detectron2, FrozenNorm, Official

CONFIGS = Path(__file__).parents[2] / 'configs'
NUM_CLASSES = 3
# COCO's category ids, as its annotation files have them.
COCO_IDS = [
    *(i for i in range(1, 91) if i not in (12, 26, 29, 30, 45, 66, 68, 69, 71, 83))
]


def ours(config: str, weights: dict) -> nn.Module:
    cfg = Config.fromfile(CONFIGS / f'{config}.py')
    classes = len(weights['bbox_head.retina_cls.weight']) // 9
    cfg.merge_from_dict({'model.bbox_head.num_classes': classes})
    model = build_untrained(cfg.model.to_dict())
    model.load_state_dict(weights, strict=True)
    return model.double().eval()


def assert_same_maps(found, theirs: list[tuple[Tensor, Tensor]]) -> None:
    for logits, deltas, (cls, reg) in zip(found.logits, found.deltas, theirs):
        for mine, other in ((logits, cls), (deltas, reg)):
            other = other.permute(0, 2, 3, 1).reshape(mine.shape)
            torch.testing.assert_close(mine, other, rtol=1e-6, atol=1e-7)


@torch.no_grad()
def test_the_authors_outputs_are_kept():
    torch.manual_seed(0)
    model = Official(NUM_CLASSES)
    state = {f'module.{k}': x for k, x in model.state_dict().items()}
    converted = convert(dict(state_dict=state), 'official')
    images = torch.randn(1, 3, 64, 96).double()
    mine = ours('free_anchor_r50_fpn_1x_official', converted.weights)
    assert_same_maps(mine(images), model.double()(images))
    assert converted.settings.stds == (0.1, 0.1, 0.2, 0.2)
    assert not converted.unmatched


@torch.no_grad()
def test_detectron2s_outputs_are_kept_in_our_order():
    torch.manual_seed(0)
    model = Detectron2(NUM_CLASSES)
    converted = convert(dict(state_dict=model.state_dict()), 'detectron2')
    images = torch.randn(1, 3, 64, 96).double()
    theirs = []
    for cls, reg in model.double()(images):  # (size, ratio) to (ratio, size)
        maps = [x.unflatten(1, (3, 3, -1)).transpose(1, 2) for x in (cls, reg)]
        theirs.append(tuple(x.flatten(1, 3) for x in maps))
    mine = ours('retinanet_r50_fpn_detectron2', converted.weights)
    assert_same_maps(mine(images), theirs)
    assert not converted.unmatched


def test_detectron2s_pickles_of_arrays_are_read(tmp_path):
    state = {k: x.numpy() for k, x in Detectron2(1).state_dict().items()}
    path = tmp_path / 'model_final.pkl'
    path.write_bytes(pickle.dumps(dict(model=state, __author__='x'), protocol=2))
    converted = convert(read_checkpoint(path))
    assert converted.source.name == 'detectron2'
    found = converted.weights['bbox_head.cls_convs.0.conv.bias']
    assert torch.equal(found, torch.tensor(state['head.cls_subnet.0.bias']))


@pytest.mark.parametrize('name', ['os.system', 'object array'])
def test_a_pickle_that_would_run_code_is_refused(name, tmp_path):
    marker = tmp_path / 'marker'
    path = write_attack(tmp_path / 'model_final.pkl', marker, name, 'bare pickle')
    with pytest.raises(CheckpointError, match='was not loaded'):
        read_checkpoint(path)
    assert not marker.exists()


def torchvisions(kind: str, num_classes: int = 91) -> nn.Module:
    """Its own, with norms and scores that tell one detection from another."""
    if kind == 'trained from scratch':
        model = retinanet_resnet50_fpn(
            weights=None, weights_backbone=None, num_classes=num_classes
        )
    else:
        trunk = resnet50(norm_layer=FrozenBatchNorm2d)
        extra = LastLevelP6P7(256, 256)
        trunk = _resnet_fpn_extractor(trunk, 3, [2, 3, 4], extra)
        model = RetinaNet(trunk, num_classes)
    for module in model.modules():
        if isinstance(module, FrozenBatchNorm2d | nn.BatchNorm2d):
            values = FrozenNorm(len(module.weight), 0).state_dict()
            module.load_state_dict(values, strict=False)
    if kind == 'published':
        overwrite_eps(model, 0.0)
    head = model.head.classification_head
    nn.init.normal_(head.cls_logits.weight, std=0.05)
    bias = torch.full((9, num_classes), -20.0)
    bias[:, COCO_IDS if num_classes == 91 else slice(1, None)] = -2.0
    head.cls_logits.bias.data = bias.flatten()
    return model.eval()


def as_published(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The names that torchvision's file of 2020 has."""
    old = OrderedDict()
    for name, x in state.items():
        for i in range(4):
            name = name.replace(f'_head.conv.{i}.0.', f'_head.conv.{2 * i}.old.')
        for part in ('inner_blocks', 'layer_blocks'):
            for i in range(3):
                name = name.replace(f'{part}.{i}.0.', f'{part}.{i}.')
        old[name.replace('.old.', '.')] = x
    return old


@pytest.mark.parametrize('kind', ['trained from scratch', 'frozen norms', 'published'])
@torch.no_grad()
def test_torchvisions_detections_are_kept(kind):
    torch.manual_seed(0)
    model = torchvisions(kind)
    state = model.state_dict()
    converted = convert(as_published(state) if kind == 'published' else state)
    assert converted.source.name == 'torchvision'
    assert not converted.unmatched
    mine = ours('retinanet_r50_fpn_torchvision', converted.weights)
    assert mine.bbox_head.num_classes == 80

    # Its cells are 53 and 80 pixels high where ours would be 64 and 128.
    size = (160, 224)
    model.double().transform.min_size, model.transform.max_size = (160,), 224
    image = torch.rand(3, *size).double()
    theirs = model([image])[0]
    sample = BaseDataElement(metainfo=dict(img_shape=size))
    inputs = model.transform([image])[0].tensors
    found = mine(inputs, [sample], mode='predict')[0].pred_instances
    assert len(found.scores) == 300
    labels = torch.tensor(COCO_IDS)[found.labels]
    torch.testing.assert_close(found.scores, theirs['scores'])
    torch.testing.assert_close(found.bboxes, theirs['boxes'], rtol=1e-6, atol=1e-3)
    assert torch.equal(labels, theirs['labels'])


def test_torchvisions_background_goes_whatever_the_classes():
    converted = convert(torchvisions('frozen norms', 5).state_dict())
    bias = converted.weights['bbox_head.retina_cls.bias']
    assert torch.equal(bias, torch.full((9 * 4,), -2.0))


def test_an_epsilon_that_is_known_better_is_used():
    state = torchvisions('frozen norms', 2).state_dict()
    as_they_are = convert(state).weights['backbone.bn1.weight']
    assert torch.equal(as_they_are, state['backbone.body.bn1.weight'])
    folded = convert(state, norm_eps=0).weights['backbone.bn1.weight']
    torch.testing.assert_close(folded[0], as_they_are[0] * 2**0.5)  # variance 1e-5


def test_a_norm_without_variance_keeps_its_weight():
    model = Official(1)
    model.backbone.body.stem.bn1.running_var[1] = 0
    weights = convert(model.state_dict()).weights
    assert weights['backbone.bn1.weight'][1] == model.backbone.body.stem.bn1.weight[1]


@pytest.mark.parametrize('claimed', ['mmdet2', 'mmdet3', 'torchvision', 'detectron2'])
def test_a_file_that_is_not_what_it_claims_is_refused(claimed):
    with pytest.raises(ConversionError, match=f'{claimed}: it looks like official'):
        convert(Official(1).state_dict(), claimed)


def test_a_file_of_another_kind_is_refused_with_its_names():
    with pytest.raises(ConversionError, match=r'roi_heads\.box'):
        source_of({'roi_heads.box.weight': torch.ones(1)})


def test_every_name_that_is_not_understood_is_told():
    state = Official(1).state_dict()
    state['rpn.head.mask.weight'] = torch.ones(1)
    assert convert(state).unmatched == ('rpn.head.mask.weight',)


@pytest.mark.parametrize(
    ('part', 'named'),
    [
        ('rpn.head.bbox_pred.weight', r'bbox_head\.retina_reg\.weight'),
        ('backbone.body.layer3', r'backbone\.layer3\.'),
        ('backbone.fpn', r'neck\.lateral_convs\.0\.'),
        ('rpn.head.bbox_tower', r'bbox_head\.reg_convs\.0\.'),
    ],
)
def test_a_missing_part_is_named(part, named):
    state = {k: x for k, x in Official(1).state_dict().items() if part not in k}
    with pytest.raises(ConversionError, match=f'has no {named}'):
        convert(state)
