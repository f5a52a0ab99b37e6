"""torchvision's ``retinanet_resnet50_fpn``, both versions.

Read in ``torchvision/models/detection/retinanet.py`` of 0.29. Its labels are the
category ids of COCO, 0 being background; its anchors are in our order.
"""

from .channels import without_background
from .source import Source

_FPN = r'backbone\.fpn\.'
_CLS, _REG = r'head\.classification_head\.', r'head\.regression_head\.'
# The file of COCO_V1 is older than the names of today, and so without the `.0`.
_TOWERS = tuple(
    pair
    for head, ours in ((_CLS, 'cls_convs'), (_REG, 'reg_convs'))
    for pair in (
        (head + r'conv\.([0-3])\.0\.(weight|bias)', rf'bbox_head.{ours}.\1.conv.\2'),
        (head + r'conv\.([0-3])\.1\.(weight|bias)', rf'bbox_head.{ours}.\1.gn.\2'),
        (head + r'conv\.0\.(weight|bias)', rf'bbox_head.{ours}.0.conv.\1'),
        (head + r'conv\.2\.(weight|bias)', rf'bbox_head.{ours}.1.conv.\1'),
        (head + r'conv\.4\.(weight|bias)', rf'bbox_head.{ours}.2.conv.\1'),
        (head + r'conv\.6\.(weight|bias)', rf'bbox_head.{ours}.3.conv.\1'),
    )
)

TORCHVISION = Source(
    'torchvision',
    marks=(r'backbone\.body\.conv1\.weight', _CLS + r'cls_logits\.weight'),
    names=(
        (r'backbone\.body\.((?:conv1|bn1|layer[1-4])\..+)', r'backbone.\1'),
        (_FPN + r'inner_blocks\.(\d)\.(?:0\.)?(\w+)', r'neck.lateral_convs.\1.conv.\2'),
        (_FPN + r'layer_blocks\.(\d)\.(?:0\.)?(\w+)', r'neck.fpn_convs.\1.conv.\2'),
        (_FPN + r'extra_blocks\.p6\.(\w+)', r'neck.fpn_convs.3.conv.\1'),
        (_FPN + r'extra_blocks\.p7\.(\w+)', r'neck.fpn_convs.4.conv.\1'),
        *_TOWERS,
        (_CLS + r'cls_logits\.(\w+)', r'bbox_head.retina_cls.\1'),
        (_REG + r'bbox_reg\.(\w+)', r'bbox_head.retina_reg.\1'),
    ),
    steps=(without_background,),
    stds=(1.0, 1.0, 1.0, 1.0),
    reading='RGB images, P6 from P5 (the second version: from C5), ReLU between P6 '
    'and P7, rounded anchors',
    configs=('retinanet_{trunk}_fpn_torchvision',),
)

_FIRST_NAME = 'head.classification_head.conv.0.weight'


def frozen_eps(names: set[str]) -> tuple[float, str]:
    """What a file's frozen normalisation adds to a variance, and why.

    The published COCO_V1 is used with 0 (``overwrite_eps``), others with 1e-5.
    """
    if any(x.endswith('num_batches_tracked') for x in names):
        return 1e-5, ''
    if _FIRST_NAME in names:
        return (
            0.0,
            'named as the published COCO_V1, whose norms add nothing to variances',
        )
    return 1e-5, (
        "norms taken to add 1e-5 to variances; if the model began from torchvision's "
        'COCO_V1, they add nothing: give --norm-eps 0'
    )
