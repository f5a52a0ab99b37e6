"""Test a detector.

python tools/test.py configs/free_anchor_r50_fpn_1x.py work_dirs/.../epoch_12.pth
bash tools/dist_test.sh configs/free_anchor_r50_fpn_1x.py CHECKPOINT 8
"""

import argparse
import os
import sys
from typing import Any


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Test a detector.')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--work-dir', help='folder for logs (work_dirs/NAME_OF_CONFIG)')
    parser.add_argument(
        '--out', metavar='F.pkl', help='write all detections to this pickle file'
    )
    parser.add_argument('--show-dir', help='draw detections into this folder')
    parser.add_argument(
        '--fuse',
        action='store_true',
        help='test as deployed: norms folded into convolutions, fast layouts',
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
        help='set values of the config: model.test_cfg.score_thr=0.3',
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


def test(args: argparse.Namespace) -> None:
    from freeanchor.engine import load_config
    from freeanchor.engine.command_line import (
        build_runner,
        checked_checkpoint,
        set_launch,
    )
    from freeanchor.engine.trust import trust_named

    cfg = load_config(args.config, args.cfg_options)
    if args.trust_checkpoint:
        trust_named(args.checkpoint)
    set_launch(cfg, args.launcher, args.work_dir)
    cfg.load_from = checked_checkpoint(args.checkpoint)
    cfg.resume = False
    if args.out is not None:
        dump_detections(cfg, args.out)
    if args.show_dir is not None:
        draw_detections(cfg, args.show_dir)
    runner = build_runner(cfg)
    if args.fuse:
        fuse_loaded(runner)
    runner.test()


def fuse_loaded(runner: Any) -> None:
    """Deploy the runner's model, once it has the checkpoint's weights."""
    from mmengine.model import is_model_wrapper

    from freeanchor.models.deploy import deploy

    runner.load_or_resume()
    model = runner.model
    deploy(model.module if is_model_wrapper(model) else model)


def dump_detections(cfg: Any, path: str) -> None:
    """Write the samples, with their detections, beside the evaluation."""
    from freeanchor.engine import ConfigError

    if not path.endswith(('.pkl', '.pickle')):
        raise ConfigError(f'--out {path}: the file must end with .pkl.')
    metrics = cfg.test_evaluator
    metrics = list(metrics) if isinstance(metrics, list | tuple) else [metrics]
    cfg.test_evaluator = [*metrics, dict(type='DumpResults', out_file_path=path)]


def draw_detections(cfg: Any, folder: str) -> None:
    """Let the visualization hook write a picture of each image to ``folder``."""
    from freeanchor.engine import ConfigError

    hook = cfg.default_hooks.get('visualization')
    if hook is None:
        raise ConfigError('--show-dir needs default_hooks.visualization in the config.')
    hook.update(draw=True, show_dir=folder)


def main() -> int:
    args = parse_args()
    # After the arguments: --help need not wait for torch.
    from freeanchor.engine.command_line import run_tool

    return run_tool(lambda: test(args))


if __name__ == '__main__':
    sys.exit(main())
