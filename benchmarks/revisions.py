"""Training of two checkouts of this repository, by turns: what has a change cost?

    python -m benchmarks.revisions OLD NEW --rounds 3

Each round trains the quick start for an epoch of 100 iterations with the tool of
each checkout, in a process of its own and a fresh work folder. It reports the
processor time of the whole command, with its data workers, and the median of the
wall time that the log notes for an iteration.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from .machine import describe

CONFIG = 'configs/free_anchor_r18_fpn_shapes.py'
OPTIONS = ('train_cfg.max_epochs=1', 'train_cfg.val_interval=5', 'log_level=ERROR')


def train(checkout: Path, folder: Path) -> tuple[float, float]:
    """Processor seconds of the command, and wall seconds of an iteration."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, 'tools/train.py', CONFIG, '--work-dir', str(folder)]
    subprocess.run(
        [*command, '--cfg-options', *OPTIONS],
        check=True,
        cwd=checkout,
        env={**os.environ, 'PYTHONPATH': str(checkout)},
        stdout=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    log = next(folder.glob('*/vis_data/scalars.json')).read_text()
    times = [json.loads(x)['time'] for x in log.splitlines() if '"loss"' in x]
    return processor, statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('old', type=Path)
    parser.add_argument('new', type=Path)
    parser.add_argument('--rounds', type=int, default=3)
    args = parser.parse_args()
    found: dict[str, list[tuple[float, float]]] = {'old': [], 'new': []}
    for _ in range(args.rounds):
        for name, checkout in (('old', args.old), ('new', args.new)):
            with tempfile.TemporaryDirectory() as folder:
                found[name].append(train(checkout.resolve(), Path(folder)))
    for key, value in describe('cpu').items():
        print(f'{key}: {value}')
    for i, what in enumerate(('processor time of the command', 'an iteration')):
        old, new = (statistics.median(x[i] for x in found[k]) for k in ('old', 'new'))
        print(f'{what}: {old:.3f} s before, {new:.3f} s after, {new / old:.3f} x')


if __name__ == '__main__':
    main()
