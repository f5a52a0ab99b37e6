"""Train a detector.

python tools/train.py configs/free_anchor_r50_fpn_1x.py
bash tools/dist_train.sh configs/free_anchor_r50_fpn_1x.py 8
"""

import argparse
import os
import sys
from typing import Any


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Train a detector.')
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--work-dir', help='folder for logs and checkpoints (work_dirs/NAME_OF_CONFIG)'
    )
    parser.add_argument(
        '--amp',
        action='store_true',
        help='mixed precision: bfloat16 where the device has it, else float16',
    )
    parser.add_argument(
        '--compile',
        action='store_true',
        help='compile the network (torch.compile); the first batches are slow',
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate with the number of images in a step',
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on from a checkpoint; without one, from the newest of the work dir',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='set values of the config: optim_wrapper.optimizer.lr=0.02',
    )
    parser.add_argument(
        '--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none'
    )
    # Some launchers pass it; the others set the environment variable.
    parser.add_argument('--local_rank', '--local-rank', type=int)
    args = parser.parse_args()
    if args.local_rank is not None:
        os.environ['LOCAL_RANK'] = str(args.local_rank)
    return args


def train(args: argparse.Namespace) -> None:
    from freeanchor.engine import ConfigError, load_config, use_amp, use_compile
    from freeanchor.engine.command_line import build_runner, set_launch

    cfg = load_config(args.config, args.cfg_options)
    set_launch(cfg, args.launcher, args.work_dir)
    if args.amp:
        use_amp(cfg)
    if args.compile:
        use_compile(cfg)
    if args.auto_scale_lr:
        if not (cfg.get('auto_scale_lr') or {}).get('base_batch_size'):
            raise ConfigError(
                '--auto-scale-lr needs auto_scale_lr.base_batch_size in the config: '
                'the images per step that the learning rate is meant for.'
            )
        cfg.auto_scale_lr.enable = True
    if args.resume is not None:
        set_resume(cfg, args.resume)
    build_runner(cfg).train()


def set_resume(cfg: Any, checkpoint: str) -> None:
    """Make ``cfg`` go on from ``checkpoint``; ``'auto'`` is the newest one."""
    from freeanchor.engine.command_line import checked_checkpoint, newest_checkpoint

    cfg.resume = True
    cfg.load_from = (
        newest_checkpoint(cfg.work_dir)
        if checkpoint == 'auto'
        else checked_checkpoint(checkpoint)
    )


def main() -> int:
    args = parse_args()
    # After the arguments: --help need not wait for torch.
    from freeanchor.engine.command_line import run_tool

    return run_tool(lambda: train(args))


if __name__ == '__main__':
    sys.exit(main())
