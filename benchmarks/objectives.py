"""A training step with each objective, by turns: what the choice costs.

Ours alone, each as its own recipe has it. On a CPU R-50 with 1 x 512 x 512, on a GPU
2 x 800 x 1333.
"""

from typing import Any

from mmengine.config import Config

from benchmarks.machine import ROOT
from benchmarks.step import step_of
from benchmarks.timing import interleave
from benchmarks.trunks import built

RECIPES = {
    'RetinaNet': 'retinanet',
    'FreeAnchor': 'free_anchor',
    'FreeAnchor, GIoU': 'free_anchor_giou',
    'LTM': 'ltm',
    'ATSS': 'atss',
    'PAA': 'paa',
    'TAL': 'tal',
    'AutoAssign': 'auto_assign',
}
BASE = 'RetinaNet'


def measure(device: str, quick: bool) -> dict[str, Any]:
    """Time steps; see ``benchmarks/README.md`` for what is returned."""
    images, size = (1, (512, 512)) if device == 'cpu' else (2, (800, 1333))
    if quick:
        size = (128, 128)
    calls = {}
    for name, recipe in RECIPES.items():
        cfg = Config.fromfile(ROOT / 'configs' / f'{recipe}_r50_fpn_1x.py')
        cfg.model.backbone.pop('init_cfg', None)
        model = built(cfg, device)
        calls[name] = step_of(model, cfg.optim_wrapper, device, images, size, True)
    times = interleave(calls, 2 if quick else 5 if device == 'cpu' else 20,
                       1 if device == 'cpu' else 5, device, memory=True)  # fmt: skip
    rows = []
    for name in RECIPES:
        found = times[name]
        seconds = found['wall_median_s']
        memory = found.get('peak_cuda_mb', found.get('peak_rss_growth_mb'))
        against = seconds / times[BASE]['wall_median_s']
        rows.append([name, round(seconds * 1e3), round(against, 2), memory])
    return dict(
        title='Training step by objective',
        reach='none is set; a table to choose from',
        columns=['objective', 'step, ms', f'against {BASE}', 'MiB at peak'],
        rows=rows,
        notes=[
            f'{images} x {size[0]} x {size[1]}, 10 objects an image, 80 classes; heads '
            'are those of the recipes: nine anchors at a position, but one for ATSS, '
            'PAA and AutoAssign, which have group normalisation and one branch more'
        ],
        raw=dict(times=times),
    )
