"""LTM on raccoons, for a comparison of objectives.

python tools/analysis/compare_losses.py configs/compare/raccoon/*.py --out OUT
"""

_base_ = ['../../retinanet_r18_fpn_raccoon.py', '../../_base_/objectives/ltm.py']

model = _base_.objective
