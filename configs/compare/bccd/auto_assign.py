"""AutoAssign on blood cells, for a comparison of objectives.

python tools/analysis/compare_losses.py configs/compare/bccd/*.py --out OUT
"""

_base_ = ['../../retinanet_r18_fpn_bccd.py', '../../_base_/objectives/auto_assign.py']

model = _base_.objective
model['loss'].update(num_classes=3, anchor_scale=4.0)
