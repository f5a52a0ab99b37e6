"""Train MMDetection's FreeAnchor and ours side by side, from the same weights.

    PYTHONPATH=. PEER_ENV/bin/python benchmarks/trajectory.py --peer FOLDER

Both see the same pictures in the same order and take SGD steps with the
recipe's settings, R-18, 128 x 160 pixels. FOLDER holds ``peer_mmdet.py``,
which builds MMDetection 3.3.0's models from its own configs without compiled
operators; PEER_ENV is an environment with mmdet in it and what we need.
Writes ``benchmarks/results/trajectory.json`` and a table beside it.
"""

import argparse
import json
import platform
import sys
from pathlib import Path
from typing import Any

import torch
from mmengine.optim import build_optim_wrapper
from mmengine.structures import BaseDataElement, InstanceData

ROOT = Path(__file__).parents[1]
SIZE, STEPS, BATCHES, SEED = (128, 160), 20, 4, 3
RESULTS = ROOT / 'benchmarks' / 'results'


def batches(deterministic: Any, dtype: torch.dtype) -> list[tuple]:
    """Pictures ``(2, 3, H, W)`` and, per picture, boxes and labels."""
    found = []
    for b in range(BATCHES):
        names = [f'trajectory/{b}/{i}' for i in range(2)]
        pixels = [
            deterministic.normalised(deterministic.image(n, *SIZE, SEED)) for n in names
        ]
        truth = [deterministic.boxes(n, 5, *SIZE, 3, seed=SEED) for n in names]
        inputs = torch.stack([torch.from_numpy(x) for x in pixels]).to(dtype)
        found.append((inputs, truth))
    return found


def instances(boxes: Any, labels: Any) -> InstanceData:
    return InstanceData(bboxes=torch.from_numpy(boxes), labels=torch.from_numpy(labels))


def train(model: torch.nn.Module, cfg: Any, make_sample: Any, data: list) -> list[dict]:
    """Losses of every step."""
    model.train()
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    seen = []
    for step in range(STEPS):
        inputs, truth = data[step % len(data)]
        samples = [make_sample(*x) for x in truth]
        total, log = model.parse_losses(model(inputs, samples, mode='loss'))
        wrapper.update_params(total)
        seen.append({k: v.item() for k, v in log.items()})
    return seen


def theirs(peer: Any, dtype: torch.dtype, data: list) -> list[dict]:
    model, cfg = peer.build('freeanchor_r18', SEED)

    def make_sample(boxes: Any, labels: Any) -> Any:
        return peer.sample(peer.meta(SIZE), boxes, labels)

    return train(model.to(dtype), cfg, make_sample, data)


def ours(deterministic: Any, dtype: torch.dtype, data: list) -> list[dict]:
    from mmengine.config import Config

    from freeanchor.registry import MODELS

    cfg = Config.fromfile(ROOT / 'configs/free_anchor_r50_fpn_1x.py')
    cfg.model.backbone.update(depth=18, init_cfg=None)
    cfg.model.neck.in_channels = [64, 128, 256, 512]
    cfg.model.bbox_head.num_classes = 3
    model = MODELS.build(cfg.model)
    weights = deterministic.fill_state(model.state_dict(), SEED)
    model.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()})

    def make_sample(boxes: Any, labels: Any) -> BaseDataElement:
        metainfo = dict(img_shape=SIZE, pad_shape=SIZE, scale_factor=(1.0, 1.0))
        sample = BaseDataElement(metainfo=metainfo)
        sample.gt_instances = instances(boxes, labels)
        return sample

    return train(model.to(dtype), cfg, make_sample, data)


def table(runs: dict[str, dict[str, list[dict]]], versions: dict[str, str]) -> str:
    lines = [
        '# MMDetection and ours, trained side by side',
        '',
        'FreeAnchor R-18, the same weights, pictures and recipe; total loss of each '
        'step and the relative difference. '
        '`python benchmarks/trajectory.py --peer FOLDER`, as its docstring says.',
        '',
        'In float64 the two are one run. In float32 rounding alone parts them after '
        'a few steps.',
        '',
        ', '.join(f'{k} {v}' for k, v in versions.items()),
        '',
        '| step | float64: MMDetection | ours | difference '
        '| float32: MMDetection | ours | difference |',
        '| --- | --- | --- | --- | --- | --- | --- |',
    ]
    for step in range(STEPS):
        row = [str(step)]
        for dtype in ('float64', 'float32'):
            a, b = (runs[dtype][who][step]['loss'] for who in ('mmdet', 'ours'))
            row += [f'{a:.6f}', f'{b:.6f}', f'{abs(a - b) / a:.1e}']
        lines.append('| ' + ' | '.join(row) + ' |')
    return '\n'.join(lines) + '\n'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--peer', required=True, help='folder with peer_mmdet.py')
    parser.add_argument('--threads', type=int, default=2)
    args = parser.parse_args()
    sys.path[:0] = [args.peer, str(ROOT / 'tests' / 'goldens')]
    import deterministic
    import peer_mmdet as peer

    torch.set_num_threads(args.threads)
    runs = {}
    for dtype in ('float64', 'float32'):
        data = batches(deterministic, getattr(torch, dtype))
        runs[dtype] = {
            'mmdet': theirs(peer, getattr(torch, dtype), data),
            'ours': ours(deterministic, getattr(torch, dtype), data),
        }
    versions = {
        'mmdet': peer.mmdet.__version__,
        'torch': torch.__version__,
        'mmengine': peer.mmengine.__version__,
        'Python': platform.python_version(),
        'threads': str(args.threads),
        'machine': platform.machine(),
    }
    RESULTS.mkdir(exist_ok=True)
    report = json.dumps(dict(versions=versions, runs=runs), indent=1)
    (RESULTS / 'trajectory.json').write_text(report + '\n')
    text = table(runs, versions)
    (RESULTS / 'trajectory.md').write_text(text)
    print(text)


if __name__ == '__main__':
    main()
