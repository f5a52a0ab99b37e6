"""TAL on the generated shapes, for a comparison of objectives.

python tools/analysis/compare_losses.py configs/compare/shapes/*.py --out OUT
"""

_base_ = ['../../retinanet_r18_fpn_shapes.py', '../../_base_/objectives/tal.py']

model = _base_.objective
