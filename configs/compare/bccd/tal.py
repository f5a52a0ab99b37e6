"""TAL on blood cells, for a comparison of objectives.

python tools/analysis/compare_losses.py configs/compare/bccd/*.py --out OUT
"""

_base_ = ['../../retinanet_r18_fpn_bccd.py', '../../_base_/objectives/tal.py']

model = _base_.objective
