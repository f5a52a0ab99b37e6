"""MMDetection 2.x and 3.x. Our names are its own, but for ATSS's and PAA's head."""

from .source import Source

_HEADS = (
    (r'(bbox_head)\.atss_cls\.(weight|bias)', r'\1.retina_cls.\2'),
    (r'(bbox_head)\.atss_reg\.(weight|bias)', r'\1.retina_reg.\2'),
    (r'(bbox_head)\.atss_centerness\.(weight|bias)', r'\1.retina_quality.\2'),
)
_SAME = (
    (r'((?:backbone|neck)\..+)', r'\1'),
    (r'(bbox_head\.(?:cls|reg)_convs\.\d+\.(?:conv|gn|bn)\..+)', r'\1'),
    (r'(bbox_head\.retina_(?:cls|reg|quality)\.(?:weight|bias))', r'\1'),
    (r'(bbox_head\.scales\.\d+\.scale)', r'\1'),
)
_MARKS = (r'bbox_head\.(retina|atss)_cls\.weight', r'neck\.lateral_convs\.0\.conv\..+')
_DROPPED = (r'data_preprocessor\..+',)

MMDET2 = Source('mmdet2', _MARKS, _HEADS + _SAME, _DROPPED)
MMDET3 = Source('mmdet3', _MARKS, _HEADS + _SAME, _DROPPED)
OURS = Source(
    'freeanchor',
    (r'bbox_head\.retina_cls\.weight', _MARKS[1]),
    (*_SAME, (r'(loss\..+)', r'\1')),  # what an objective has learned
    _DROPPED,
)
