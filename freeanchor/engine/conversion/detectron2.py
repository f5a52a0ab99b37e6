"""detectron2, https://github.com/facebookresearch/detectron2.

Its frozen batch normalisation adds 1e-5 to the variance, as torch's does
(``detectron2/layers/batch_norm.py``). Its anchors are ours in another order: sizes
vary slowest (``detectron2/modeling/anchor_generator.py``).
"""

from .channels import ratios_slowest
from .source import Source

_BODY = r'backbone\.bottom_up\.'
_RES = r'res{}\.(\d+)\.'


def _stages() -> tuple[tuple[str, str], ...]:
    pairs = []
    for stage in range(1, 5):
        theirs, ours = _BODY + _RES.format(stage + 1), rf'backbone.layer{stage}.\1.'
        pairs += [
            (theirs + r'conv([123])\.norm\.(\w+)', ours + r'bn\2.\3'),
            (theirs + r'(conv[123]\.weight)', ours + r'\2'),
            (theirs + r'shortcut\.norm\.(\w+)', ours + r'downsample.1.\2'),
            (theirs + r'shortcut\.(weight)', ours + r'downsample.0.\2'),
        ]
    return tuple(pairs)


DETECTRON2 = Source(
    'detectron2',
    marks=(r'backbone\.bottom_up\.stem\.conv1\.weight', r'head\.cls_score\.weight'),
    names=(
        (_BODY + r'stem\.(conv1\.weight)', r'backbone.\1'),
        (_BODY + r'stem\.conv1\.norm\.(\w+)', r'backbone.bn1.\1'),
        *_stages(),
        (r'backbone\.fpn_lateral3\.(\w+)', r'neck.lateral_convs.0.conv.\1'),
        (r'backbone\.fpn_lateral4\.(\w+)', r'neck.lateral_convs.1.conv.\1'),
        (r'backbone\.fpn_lateral5\.(\w+)', r'neck.lateral_convs.2.conv.\1'),
        (r'backbone\.fpn_output3\.(\w+)', r'neck.fpn_convs.0.conv.\1'),
        (r'backbone\.fpn_output4\.(\w+)', r'neck.fpn_convs.1.conv.\1'),
        (r'backbone\.fpn_output5\.(\w+)', r'neck.fpn_convs.2.conv.\1'),
        (r'backbone\.top_block\.p6\.(\w+)', r'neck.fpn_convs.3.conv.\1'),
        (r'backbone\.top_block\.p7\.(\w+)', r'neck.fpn_convs.4.conv.\1'),
        (r'head\.cls_subnet\.0\.(\w+)', r'bbox_head.cls_convs.0.conv.\1'),
        (r'head\.cls_subnet\.2\.(\w+)', r'bbox_head.cls_convs.1.conv.\1'),
        (r'head\.cls_subnet\.4\.(\w+)', r'bbox_head.cls_convs.2.conv.\1'),
        (r'head\.cls_subnet\.6\.(\w+)', r'bbox_head.cls_convs.3.conv.\1'),
        (r'head\.bbox_subnet\.0\.(\w+)', r'bbox_head.reg_convs.0.conv.\1'),
        (r'head\.bbox_subnet\.2\.(\w+)', r'bbox_head.reg_convs.1.conv.\1'),
        (r'head\.bbox_subnet\.4\.(\w+)', r'bbox_head.reg_convs.2.conv.\1'),
        (r'head\.bbox_subnet\.6\.(\w+)', r'bbox_head.reg_convs.3.conv.\1'),
        (r'head\.cls_score\.(\w+)', r'bbox_head.retina_cls.\1'),
        (r'head\.bbox_pred\.(\w+)', r'bbox_head.retina_reg.\1'),
    ),
    dropped=(r'pixel_(mean|std)', r'anchor_generator\.cell_anchors\.\d+'),
    steps=(ratios_slowest,),
    stds=(1.0, 1.0, 1.0, 1.0),
    reading='BGR images, P6 from C5, ReLU between P6 and P7; its own ResNets with the '
    "stride in the first 1x1 convolution (style='caffe')",
    configs=('retinanet_{trunk}_fpn_detectron2',),
)
