import pytest
import torch
from torch import nn
from torchvision.models import resnet

from freeanchor.models import ResNet, ResNeXt

IMAGES = torch.rand(1, 3, 64, 64)


@pytest.mark.parametrize('depth', [18, 50])
def test_features_are_torchvisions(depth: int) -> None:
    theirs = getattr(resnet, f'resnet{depth}')()
    ours = ResNet(depth)
    missing, unexpected = ours.load_state_dict(theirs.state_dict(), strict=False)
    assert not missing
    assert set(unexpected) == {'fc.weight', 'fc.bias'}
    ours.double().eval(), theirs.double().eval()
    images = IMAGES.double()
    x = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(images))))
    for stage, feature in enumerate(ours(images), start=1):
        x = getattr(theirs, f'layer{stage}')(x)
        torch.testing.assert_close(feature, x)


@pytest.mark.parametrize(
    ('depth', 'count'), [(18, 8), (34, 16), (50, 16), (101, 33), (152, 50)]
)
def test_every_depth_has_its_blocks(depth: int, count: int) -> None:
    blocks = (resnet.BasicBlock, resnet.Bottleneck)
    assert sum(isinstance(x, blocks) for x in ResNet(depth).modules()) == count


@pytest.mark.parametrize(
    ('depth', 'groups', 'base_width', 'width'),
    [(50, 32, 4, 128), (101, 32, 4, 128), (101, 32, 8, 256), (101, 64, 4, 256)],
)
def test_a_resnext_is_named_by_groups_and_their_width(
    depth: int, groups: int, base_width: int, width: int
) -> None:
    trunk = ResNeXt(depth, groups=groups, base_width=base_width)
    conv = trunk.layer1[0].conv2
    assert (conv.groups, conv.out_channels) == (groups, width)


def test_out_indices_choose_the_maps() -> None:
    maps = ResNet(18, out_indices=(1, 3))(IMAGES)
    assert [x.shape[1:] for x in maps] == [(128, 8, 8), (512, 2, 2)]


def test_stages_that_nothing_reads_are_left_out() -> None:
    trunk = ResNet(18, out_indices=(0, 1))
    sum(x.sum() for x in trunk(IMAGES)).backward()
    trained = [p for p in trunk.parameters() if p.requires_grad]
    assert all(p.grad is not None for p in trained)
    assert not any(k.startswith('layer3') for k in trunk.state_dict())


def test_caffe_style_strides_in_the_first_convolution() -> None:
    block = ResNet(50, style='caffe').layer2[0]
    assert (block.conv1.stride, block.conv2.stride) == ((2, 2), (1, 1))
    block = ResNet(50, style='pytorch').layer2[0]
    assert (block.conv1.stride, block.conv2.stride) == ((1, 1), (2, 2))
    assert ResNet(50, style='caffe')(IMAGES)[3].shape == (1, 2048, 2, 2)


def trained(trunk: nn.Module) -> set[str]:
    return {k.split('.')[0] for k, v in trunk.named_parameters() if v.requires_grad}


@pytest.mark.parametrize(
    ('frozen_stages', 'frozen'),
    [(-1, set()), (0, {'conv1', 'bn1'}), (2, {'conv1', 'bn1', 'layer1', 'layer2'})],
)
def test_frozen_stages_are_not_trained(frozen_stages: int, frozen: set[str]) -> None:
    everything = {'conv1', 'bn1', 'layer1', 'layer2', 'layer3', 'layer4'}
    trunk = ResNet(18, frozen_stages=frozen_stages, norm_eval=False).train()
    assert trained(trunk) == everything - frozen
    assert trunk.bn1.training == ('bn1' not in frozen)
    assert trunk.layer4[0].bn1.training


def test_norm_eval_keeps_running_statistics() -> None:
    trunk = ResNet(18, norm_eval=True).train()
    before = trunk.layer4[0].bn1.running_mean.clone()
    trunk(IMAGES)
    torch.testing.assert_close(trunk.layer4[0].bn1.running_mean, before)
    assert trunk.layer4.training


def test_synchronised_norms_stay_at_their_running_statistics() -> None:
    trunk = nn.SyncBatchNorm.convert_sync_batchnorm(ResNet(18)).train()
    norms = [x for x in trunk.modules() if isinstance(x, nn.SyncBatchNorm)]
    assert len(norms) == 20
    assert not any(x.training for x in norms)


def test_the_affine_part_of_norms_may_be_frozen() -> None:
    trunk = ResNet(18, frozen_stages=-1, norm_requires_grad=False)
    norms = [x for x in trunk.modules() if isinstance(x, nn.BatchNorm2d)]
    assert not any(p.requires_grad for x in norms for p in x.parameters())
    assert trunk.layer4[0].conv1.weight.requires_grad


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(depth=20), r'depth is one of \[18, 34, 50, 101, 152\], not 20'),
        (dict(depth=18, style='tf'), "style is 'pytorch' or 'caffe', not 'tf'"),
        (dict(depth=18, out_indices=(4,)), 'out_indices'),
        (dict(depth=18, frozen_stages=5), 'frozen_stages is -1 to 4, not 5'),
    ],
)
def test_a_wrong_argument_is_told_with_what_is_right(
    settings: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ResNet(**settings)


def test_frozen_stages_keep_nothing_for_the_backward_pass() -> None:
    trunk = ResNet(18, frozen_stages=2).train()
    maps = trunk(IMAGES)
    assert [x.requires_grad for x in maps] == [False, False, True, True]


@pytest.mark.parametrize('depth', [18, 50])
def test_gradients_are_torchvisions_with_norms_standing_still(depth: int) -> None:
    theirs = getattr(resnet, f'resnet{depth}')().double().eval()
    ours = ResNet(depth, frozen_stages=-1).double().train()
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.weight, 0.5, 1)
    ours.load_state_dict(theirs.state_dict(), strict=False)
    images = IMAGES.double().contiguous(memory_format=torch.channels_last)
    ours(images)[-1].square().sum().backward()
    x = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(IMAGES.double()))))
    for stage in range(1, 5):
        x = getattr(theirs, f'layer{stage}')(x)
    x.square().sum().backward()
    expected = {k: v.grad for k, v in theirs.named_parameters() if v.grad is not None}
    for name, parameter in ours.named_parameters():
        difference = (parameter.grad - expected[name]).norm()
        assert difference < 1e-9 * expected[name].norm(), name
