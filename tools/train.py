"""Train a detector.

python tools/train.py configs/free_anchor_r50_fpn_1x.py
bash tools/dist_train.sh configs/free_anchor_r50_fpn_1x.py 8
python tools/train.py configs/free_anchor_r50_fpn_1x.py --data PATH
"""

import argparse
import os
import sys
from contextlib import nullcontext
from typing import Any


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Train a detector.')
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--work-dir', help='folder for logs and checkpoints (work_dirs/NAME_OF_CONFIG)'
    )
    parser.add_argument(
        '--data',
        metavar='PATH',
        help="train on this data set instead of the config's: a folder (or data.yaml, "
        'or .json) in the format of COCO, YOLO or Pascal VOC, or a table of boxes',
    )
    parser.add_argument(
        '--data-format',
        choices=['coco', 'yolo', 'voc', 'csv'],
        help='the format of --data, where it is not recognised',
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
    beginning = parser.add_mutually_exclusive_group()
    beginning.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on from a checkpoint; without one, from the newest of the work dir, '
        'or from the beginning where it has none',
    )
    beginning.add_argument(
        '--fresh',
        action='store_true',
        help='begin anew in a used work dir; its checkpoints are moved aside',
    )
    parser.add_argument(
        '--warm-start',
        metavar='CHECKPOINT',
        help='begin with the weights of any RetinaNet, ours or of another project: '
        'all that fit',
    )
    parser.add_argument(
        '--accept-config-changes',
        action='store_true',
        help='resume although the config is not the one of the checkpoint',
    )
    parser.add_argument(
        '--check',
        choices=['fast', 'full', 'off'],
        default='fast',
        help='look for faults of the data first: fast takes seconds, full decodes '
        'every image',
    )
    parser.add_argument(
        '--trust-checkpoint',
        action='store_true',
        help='unpickle the checkpoint named here in full, which runs any code in it',
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


def train(args: argparse.Namespace, parent: int) -> None:
    """Train as ``args`` say; ``parent`` is the process that has started this one."""
    from freeanchor.engine.launcher_watch import watch_launcher
    from freeanchor.engine.signals import STOP

    with STOP:
        if args.launcher != 'none':
            watch_launcher(parent)
        cfg = config_of(args)
        run_in_own_folder(cfg, args, own_data_of(cfg, args))


def own_data_of(cfg: Any, args: argparse.Namespace) -> Any:
    """The data set of ``--data``, which ``cfg`` then trains on; None without it."""
    if args.data is None:
        return None
    from own_data import OwnData, beside_config

    beside = beside_config(args)
    own = OwnData(args.data, args.data_format, cfg, args.cfg_options, beside)
    own.change(cfg)
    return own


def config_of(args: argparse.Namespace) -> Any:
    """The config with what the command line sets in it."""
    from freeanchor.engine import ConfigError, load_config, use_amp, use_compile
    from freeanchor.engine.command_line import set_launch
    from freeanchor.engine.trust import trust_named
    from freeanchor.engine.warm_start import use_warm_start

    cfg = load_config(args.config, args.cfg_options)
    if args.trust_checkpoint:
        trust_named(args.resume or args.warm_start, args.cfg_options)
    if args.warm_start:
        use_warm_start(cfg, args.warm_start)
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
    return cfg


def run_in_own_folder(cfg: Any, args: argparse.Namespace, own_data: Any) -> None:
    """Train in a work folder that no other run has or is to keep."""
    from freeanchor.datasets.check import check_before_training
    from freeanchor.engine.command_line import build_runner
    from freeanchor.engine.distributed import is_first_process
    from freeanchor.engine.run_lock import RunLock
    from freeanchor.engine.run_start import set_start

    is_first = is_first_process(args.launcher)
    with RunLock(cfg.work_dir) if is_first else nullcontext():
        set_start(cfg, args.resume, args.fresh, is_first)
        if is_first:  # the others wait where processes meet
            if own_data is not None:
                own_data.write(resumed=bool(cfg.get('resume')))
            check_before_training(cfg, args.check)
        runner = build_runner(cfg)
        runner.accept_config_changes = args.accept_config_changes
        runner.train()


def main() -> int:
    parent = os.getppid()
    args = parse_args()
    # After the arguments: --help need not wait for torch.
    from freeanchor.engine.command_line import run_tool

    return run_tool(lambda: train(args, parent))


if __name__ == '__main__':
    sys.exit(main())
