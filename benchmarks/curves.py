"""Draw the curves of runs beside each other: loss terms and AP.

    python benchmarks/curves.py OUT.png WORK_DIR [WORK_DIR ...]

A work folder may hold several runs; the newest counts.
"""

import argparse
import json
from pathlib import Path

import matplotlib.pyplot as plt


def scalars(work_dir: Path) -> list[dict]:
    """The lines of the newest ``scalars.json`` of a work folder."""
    files = sorted(work_dir.glob('*/vis_data/scalars.json'))
    if not files:
        raise SystemExit(f'{work_dir} has no */vis_data/scalars.json: is it a run?')
    return [json.loads(line) for line in files[-1].read_text().splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('out', type=Path)
    parser.add_argument('work_dirs', type=Path, nargs='+')
    args = parser.parse_args()

    figure, (losses, precision) = plt.subplots(1, 2, figsize=(11, 4))
    for work_dir in args.work_dirs:
        lines = scalars(work_dir)
        steps = [x for x in lines if 'loss' in x]
        losses.plot([x['step'] for x in steps], [x['loss'] for x in steps])
        tests = [x for x in lines if 'coco/bbox_mAP' in x]
        precision.plot(
            [x['step'] for x in tests],
            [100 * x['coco/bbox_mAP'] for x in tests],
            marker='o',
            label=work_dir.name,
        )
    losses.set(xlabel='iteration', ylabel='loss (not comparable between losses)')
    losses.set_yscale('log')
    precision.set(xlabel='epoch', ylabel='AP (%)', ylim=(0, None))
    precision.legend(fontsize=8)
    for axes in (losses, precision):
        axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(args.out, dpi=110)


if __name__ == '__main__':
    main()
