"""NMS recall of a detector: what share of the found objects survives NMS.

    python tools/analysis/nms_recall.py configs/free_anchor_r50_fpn_1x.py CHECKPOINT
    python tools/analysis/nms_recall.py CONFIG CHECKPOINT --class-aware --out nr.json

It tests the config's test set with NMS switched off, and compares the objects that are
recalled before NMS and after it, by boxes of any class as FreeAnchor's authors do or,
with --class-aware, of the object's own. What it means is in docs/nms_recall.md.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--work-dir', help='folder for logs (work_dirs/NAME_OF_CONFIG)')
    parser.add_argument(
        '--class-aware',
        action='store_true',
        help="only boxes of an object's class recall it",
    )
    parser.add_argument(
        '--score-thr', type=float, default=0.05, help='boxes score above this (0.05)'
    )
    parser.add_argument(
        '--nms-iou',
        type=float,
        help="boxes that overlap more are duplicates (config's)",
    )
    parser.add_argument(
        '--nms-pre',
        type=int,
        default=10_000,
        help='boxes of an image and level that are looked at, the best (10000)',
    )
    parser.add_argument('--out', type=Path, metavar='F.json', help='write the numbers')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='set values of the config: test_dataloader.batch_size=8',
    )
    return parser.parse_args()


def test_before_nms(cfg: Any, args: argparse.Namespace) -> None:
    """Make ``cfg`` test what goes into NMS, by NMS recall alone."""
    settings = cfg.model.test_cfg
    nms_iou = settings.get('nms_iou', 0.5) if args.nms_iou is None else args.nms_iou
    settings.update(
        score_thr=args.score_thr,
        nms_pre=args.nms_pre,
        nms_iou=1.0,  # no two boxes overlap more
        max_per_img=sys.maxsize,
    )
    settings.pop('voting_sigma', None)  # moves boxes by their neighbours
    cfg.test_evaluator = dict(
        type='NMSRecallMetric',
        ann_file=annotations(cfg),
        nms_iou=nms_iou,
        score_thr=args.score_thr,
        class_aware=args.class_aware,
    )


def annotations(cfg: Any) -> str:
    """The annotation file that the config's evaluator compares with."""
    from freeanchor.engine import ConfigError

    evaluators = cfg.test_evaluator
    if not isinstance(evaluators, list | tuple):
        evaluators = [evaluators]
    files = [x['ann_file'] for x in evaluators if x.get('ann_file')]
    if not files:
        raise ConfigError(
            'test_evaluator has no ann_file: set the annotation file to compare with, '
            "as test_evaluator=dict(type='CocoMetric', ann_file=...)."
        )
    return files[0]


def run(args: argparse.Namespace) -> None:
    from freeanchor.engine import load_config
    from freeanchor.engine.command_line import (
        build_runner,
        checked_checkpoint,
        set_launch,
    )
    from freeanchor.engine.whole_weights import WholeWeightsHook

    cfg = load_config(args.config, args.cfg_options)
    set_launch(cfg, 'none', args.work_dir)
    cfg.load_from = checked_checkpoint(args.checkpoint)
    cfg.resume = False
    cfg.default_hooks.pop('visualization', None)  # of boxes before NMS
    test_before_nms(cfg, args)
    runner = build_runner(cfg)
    runner.register_hook(WholeWeightsHook())
    numbers = runner.test()
    if args.out is not None:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(numbers, indent=1) + '\n')


def main() -> int:
    args = parse_args()
    # After the arguments: --help need not wait for torch.
    from freeanchor.engine.command_line import run_tool

    return run_tool(lambda: run(args))


if __name__ == '__main__':
    sys.exit(main())
