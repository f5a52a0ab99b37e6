"""Time from the command to the first iteration, on a COCO-size annotation file.

Both competitors run as a user runs them, ``tools/train.py CONFIG``, in
processes that take turns: ResNet-50, batch 2, two workers, 118,000 images with
860,000 boxes to train on and 5,000 with 36,000 to validate on, no weights to
load. The clock runs from the start of the process to the first batch.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.coco_size import class_names, coco_size
from benchmarks.first_iteration import MARK
from benchmarks.peer import VARIABLE, load_peer, why_no_peer

ROOT = Path(__file__).resolve().parents[1]
_REACH = 'at most half of MMDetection; --help in under 1 s'
_COMMON = """
custom_imports = dict(imports=['benchmarks.first_iteration'])
custom_hooks = [dict(type='StopAtFirstIteration')]
model = dict(backbone=dict(init_cfg=None))
train_files = dict(
    data_root=r'{train}/',
    ann_file='annotations.json',
    data_prefix={{'{prefix}': 'images/'}},
    metainfo=dict(classes={classes}),
)
val_files = {{**train_files, 'data_root': r'{val}/'}}
train_dataloader = dict(batch_size=2, num_workers=2, dataset=train_files)
val_dataloader = dict(dataset=val_files)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=r'{val}/annotations.json')
test_evaluator = val_evaluator
"""
# MMDetection's own tool, in a process where its operators have stand-ins.
_PEER_TOOL = """
import os, runpy, sys
sys.path.insert(0, os.environ['{variable}'])
import mmcv_ops_shim
mmcv_ops_shim.install()
sys.argv[0] = r'{tool}'
runpy.run_path(sys.argv[0], run_name='__main__')
"""


def measure(device: str, quick: bool) -> dict[str, Any]:
    """The suite's table."""
    train = coco_size(2_000, 15_000) if quick else coco_size()
    val = coco_size(500, 3_600) if quick else coco_size(5_000, 36_000)
    peer = load_peer()
    marks: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        commands = {'freeanchor': _ours(Path(folder), train, val)}
        if peer is not None:
            commands = {'mmdet': _theirs(Path(folder), train, val, peer)} | commands
        for path in (train, val):  # into the system's cache, for the first one too
            (path / 'annotations.json').read_bytes()
        for _ in range(1 if quick else 3):
            for name, command in commands.items():
                marks.setdefault(name, []).append(_run(command, folder))
    helps = {tool: _help_seconds(tool) for tool in ('train', 'test')}
    return _report(marks, helps, [] if peer else [why_no_peer()])


def _ours(folder: Path, train: Path, val: Path) -> list[str]:
    base = ROOT / 'configs' / 'free_anchor_r50_fpn_1x.py'
    config = _write_config(folder / 'ours.py', base, 'img_path', train, val)
    return [sys.executable, str(ROOT / 'tools' / 'train.py'), str(config)]


def _theirs(folder: Path, train: Path, val: Path, peer: Any) -> list[str]:
    root = Path(peer.peer_mmdet.CONFIG_ROOT)
    base = root / peer.peer_mmdet.CONFIGS['freeanchor_r50']
    config = _write_config(folder / 'theirs.py', base, 'img', train, val)
    tool = root.parent / 'tools' / 'train.py'
    script = folder / 'train_peer.py'
    script.write_text(_PEER_TOOL.format(variable=VARIABLE, tool=tool))
    return [sys.executable, str(script), str(config)]


def _write_config(path: Path, base: Path, prefix: str, train: Path, val: Path) -> Path:
    body = _COMMON.format(
        train=train, val=val, prefix=prefix, classes=tuple(class_names())
    )
    path.write_text(f"_base_ = r'{base}'\n{body}")
    return path


def _run(command: list[str], work_dir: str) -> dict[str, float]:
    """Seconds to the first iteration of one process, and what it took."""
    environ = {**os.environ, 'PYTHONPATH': _python_path()}
    began = time.time()
    done = subprocess.run(
        [*command, '--work-dir', f'{work_dir}/work'],
        env=environ,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    for line in done.stdout.splitlines():
        if line.startswith(MARK):
            found = json.loads(line.removeprefix(MARK))
            return dict(wall_s=found.pop('at') - began, **found)
    raise RuntimeError(f'{command} did not reach an iteration:\n{done.stderr[-2000:]}')


def _python_path() -> str:
    return os.pathsep.join(filter(None, [str(ROOT), os.environ.get('PYTHONPATH')]))


def _help_seconds(tool: str) -> float:
    """Median time of ``--help``."""
    command = [sys.executable, str(ROOT / 'tools' / f'{tool}.py'), '--help']
    times = []
    for _ in range(5):
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def _report(
    marks: dict[str, list[dict[str, float]]], helps: dict[str, float], notes: list[str]
) -> dict[str, Any]:
    keys = ('wall_s', 'cpu_s', 'peak_mb')
    medians = {
        name: {key: statistics.median(x[key] for x in runs) for key in keys}
        for name, runs in marks.items()
    }
    rows = [[name, *(round(m[key], 1) for key in keys)] for name, m in medians.items()]
    if 'mmdet' in medians:
        theirs, ours = medians['mmdet'], medians['freeanchor']
        rows.append(['ratio', *(f'{theirs[key] / ours[key]:.1f} x' for key in keys)])
    shown = ', '.join(f'tools/{k}.py --help {v:.2f} s' for k, v in helps.items())
    return dict(
        title='From the command to the first iteration, COCO-size annotations',
        reach=_REACH,
        columns=['', 'wall s', 'processor s', 'peak memory MiB'],
        rows=rows,
        notes=[shown, *notes],
        raw=dict(runs=marks, help_s=helps, ratios=aims(medians)),
    )


def aims(medians: dict[str, dict[str, float]]) -> list[list[Any]]:
    """Bars of the overview."""
    if 'mmdet' not in medians:
        return []
    theirs, ours = medians['mmdet'], medians['freeanchor']
    return [
        [
            'command to first iteration',
            round(theirs['wall_s'] / ours['wall_s'], 2),
            2.0,
        ],
        ['memory until then', round(theirs['peak_mb'] / ours['peak_mb'], 2), None],
    ]
