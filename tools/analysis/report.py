"""A report on a run: one HTML file that needs no other, and its numbers as JSON.

    python tools/analysis/report.py work_dirs/free_anchor_r18_fpn_shapes
    python tools/analysis/report.py WORK_DIR --checkpoint best
    python tools/analysis/report.py WORK_DIR --results F.pkl --out report.html

The first shows how training went. With a checkpoint, which is tested, or with what
tools/test.py --out has written, it also shows AP by class, size, slenderness and
crowding, precision and recall, confusions, the cost of each type of error, and the
images with the worst of them. What can be read of the data is described; nothing is
generated. The numbers stand beside the page, in a .json file of the same name.
"""

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

_PARTS = {'summary', 'curves', 'checkpoints', 'versions', 'numbers', 'data'}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('work_dir', type=Path, help='work folder of the run')
    parser.add_argument('--config', help="config file (the newest in the run's folder)")
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        '--checkpoint', help="test this file first; 'best' or 'last' of the run"
    )
    source.add_argument(
        '--results',
        type=Path,
        metavar='F.pkl',
        help='detections of tools/test.py --out',
    )
    parser.add_argument(
        '--out', type=Path, metavar='F.html', help='(WORK_DIR/report.html)'
    )
    parser.add_argument(
        '--score-thr',
        type=float,
        help='detections count from this score on, in confusions and pictures (that '
        'with the best F1)',
    )
    parser.add_argument(
        '--images', type=int, default=24, help='images of the gallery (24)'
    )
    return parser.parse_args()


def run(args: argparse.Namespace) -> None:
    from reporting.data_sets import data_charts, describe, read_sets
    from reporting.page import render
    from reporting.run_folder import find_config
    from reporting.summary import summarise

    from freeanchor.engine import load_config
    from freeanchor.engine.durable import write_text_atomically

    config = find_config(args.work_dir, args.config)
    cfg = load_config(config, [])
    out = checked_page(args.out or args.work_dir / 'report.html')
    tested = args.checkpoint is not None or args.results is not None
    sets = read_sets(cfg, needed=['test'] if tested else [])
    results = args.results if args.checkpoint is None else test(args, config)
    described = {name: describe(x) for name, x in sets.items()}
    known = {name: x for name, x in described.items() if x is not None}
    numbers, cards = about_detections(args, cfg, sets.get('test'), results)
    report = about_run(args, cfg, config)
    report['numbers'] = numbers
    report['data'] = {name: x.summary() for name, x in known.items()}
    report['summary'] = summarise(report, cfg, args.work_dir, known, out)
    out.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(plain(report), indent=1)
    write_text_atomically(out.with_suffix('.json'), text + '\n')
    write_text_atomically(out, render(report, cards, data_charts(known)))
    print(f'written: {out} ({out.stat().st_size / 1e6:.1f} MB) and its numbers, .json')


def checked_page(path: Path) -> Path:
    """The page's file, if what is written there replaces a report at most.

    Raises:
        ConfigError: It is no HTML file, or numbers of something else are beside it.
    """
    from freeanchor.engine import ConfigError

    if path.suffix != '.html':
        raise ConfigError(
            f'--out {path}: a report is an .html file, with its numbers beside it.'
        )
    numbers = path.with_suffix('.json')
    if numbers.exists() and not is_report(numbers):
        raise ConfigError(
            f'--out {path}: {numbers} is no report, and its numbers would replace it; '
            'choose another name.'
        )
    return path


def is_report(path: Path) -> bool:
    """Whether a JSON file holds the numbers of a report."""
    try:
        content = json.loads(path.read_bytes())
    except ValueError:
        return False
    return isinstance(content, dict) and set(content) >= _PARTS


def test(args: argparse.Namespace, config: str) -> Path:
    """Test the checkpoint; gives the file with its detections."""
    from reporting.run_folder import choose_checkpoint
    from reporting.testing import detections_of

    args.checkpoint = choose_checkpoint(args.work_dir, args.checkpoint)
    return detections_of(config, args.checkpoint, args.work_dir / 'report_test')


def about_detections(
    args: argparse.Namespace, cfg: Any, dataset: Any, results: Path | None
) -> tuple[dict[str, Any] | None, list]:
    """The numbers and the gallery; none without detections."""
    from nms_recall import annotations
    from reporting.evidence import gather
    from reporting.gallery import make_gallery
    from reporting.measures import choose_threshold, measure

    from freeanchor.engine.dumped_detections import read_detections

    if results is None:
        return None, []
    samples = read_detections(results)
    evidence = gather(samples, annotations(cfg), dataset.metainfo)
    score_thr = args.score_thr
    if score_thr is None:
        score_thr = choose_threshold(evidence)
    numbers = measure(evidence, score_thr)
    cards = make_gallery(evidence, score_thr, args.images)
    numbers['worst_images'] = [
        dict(name=x.name, badness=x.badness, findings=x.faults) for x in cards
    ]
    return numbers, cards


def about_run(args: argparse.Namespace, cfg: Any, config: str) -> dict[str, Any]:
    """What does not depend on detections."""
    from reporting.run_folder import list_checkpoints, read_curves

    from freeanchor import env

    curves = read_curves(args.work_dir)
    by_epoch = any('epoch' in x for x in curves['training'])
    tested = args.checkpoint or args.results
    return dict(
        tested=str(tested) if tested else None,
        unit='epoch' if by_epoch else 'iteration',
        curves=curves,
        checkpoints=list_checkpoints(args.work_dir),
        versions=dict([*env.own(), *env.packages(), *env.machine()]),
        config=cfg.pretty_text,
        config_file=config,
    )


def plain(value: Any) -> Any:
    """The same with None for numbers that are not known, which JSON cannot hold."""
    if isinstance(value, dict):
        return {key: plain(x) for key, x in value.items()}
    if isinstance(value, list | tuple):
        return [plain(x) for x in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def main() -> int:
    args = parse_args()
    # After the arguments: --help need not wait for torch.
    from freeanchor.engine.command_line import run_tool

    return run_tool(lambda: run(args))


if __name__ == '__main__':
    sys.exit(main())
