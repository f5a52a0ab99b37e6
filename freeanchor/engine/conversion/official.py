"""The authors' repository, https://github.com/zhangxiaosong18/FreeAnchor.

A fork of maskrcnn-benchmark. Its frozen batch normalisation adds nothing to the
variance (``maskrcnn_benchmark/layers/batch_norm.py``).
"""

from .source import Source

_BODY = r'backbone\.body\.'

OFFICIAL = Source(
    'official',
    marks=(r'backbone\.body\.stem\.conv1\.weight', r'rpn\.head\.cls_logits\.weight'),
    names=(
        (_BODY + r'stem\.((?:conv|bn)1\..+)', r'backbone.\1'),
        (_BODY + r'(layer[1-4]\.\d+\.(?:conv|bn)[123]\..+)', r'backbone.\1'),
        (_BODY + r'(layer[1-4]\.0\.downsample\.[01]\..+)', r'backbone.\1'),
        (r'backbone\.fpn\.fpn_inner2\.(\w+)', r'neck.lateral_convs.0.conv.\1'),
        (r'backbone\.fpn\.fpn_inner3\.(\w+)', r'neck.lateral_convs.1.conv.\1'),
        (r'backbone\.fpn\.fpn_inner4\.(\w+)', r'neck.lateral_convs.2.conv.\1'),
        (r'backbone\.fpn\.fpn_layer2\.(\w+)', r'neck.fpn_convs.0.conv.\1'),
        (r'backbone\.fpn\.fpn_layer3\.(\w+)', r'neck.fpn_convs.1.conv.\1'),
        (r'backbone\.fpn\.fpn_layer4\.(\w+)', r'neck.fpn_convs.2.conv.\1'),
        (r'backbone\.fpn\.top_blocks\.p6\.(\w+)', r'neck.fpn_convs.3.conv.\1'),
        (r'backbone\.fpn\.top_blocks\.p7\.(\w+)', r'neck.fpn_convs.4.conv.\1'),
        (r'rpn\.head\.cls_tower\.0\.(\w+)', r'bbox_head.cls_convs.0.conv.\1'),
        (r'rpn\.head\.cls_tower\.2\.(\w+)', r'bbox_head.cls_convs.1.conv.\1'),
        (r'rpn\.head\.cls_tower\.4\.(\w+)', r'bbox_head.cls_convs.2.conv.\1'),
        (r'rpn\.head\.cls_tower\.6\.(\w+)', r'bbox_head.cls_convs.3.conv.\1'),
        (r'rpn\.head\.bbox_tower\.0\.(\w+)', r'bbox_head.reg_convs.0.conv.\1'),
        (r'rpn\.head\.bbox_tower\.2\.(\w+)', r'bbox_head.reg_convs.1.conv.\1'),
        (r'rpn\.head\.bbox_tower\.4\.(\w+)', r'bbox_head.reg_convs.2.conv.\1'),
        (r'rpn\.head\.bbox_tower\.6\.(\w+)', r'bbox_head.reg_convs.3.conv.\1'),
        (r'rpn\.head\.cls_logits\.(\w+)', r'bbox_head.retina_cls.\1'),
        (r'rpn\.head\.bbox_pred\.(\w+)', r'bbox_head.retina_reg.\1'),
    ),
    dropped=(r'rpn\.(head\.)?anchor_generator\..+',),
    stds=(0.1, 0.1, 0.2, 0.2),
    norm_eps=0.0,
    reading='BGR images, P6 from P5, boxes and anchors with the legacy +1; the '
    "ResNets with the stride in the first 1x1 convolution (style='caffe')",
    configs=('free_anchor_{trunk}_fpn_*_official',),
)
