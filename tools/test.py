"""Test a detector.

python tools/test.py configs/free_anchor_r50_fpn_1x.py work_dirs/.../epoch_12.pth
python tools/test.py configs/free_anchor_r50_fpn_1x.py CHECKPOINT --tta clean
bash tools/dist_test.sh configs/free_anchor_r50_fpn_1x.py CHECKPOINT 8
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

PROTOCOLS = Path(__file__).parents[1] / 'configs' / '_base_' / 'tta'


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
        '--tta',
        choices=['official', 'clean', 'config'],
        help="test on several sizes of each image: as FreeAnchor's authors did, from "
        'the file, or as tta_model and tta_pipeline of the config say',
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
    from freeanchor.engine.whole_weights import WholeWeightsHook

    # What sets the augmentation has to wait until that is there.
    later = [x for x in args.cfg_options if args.tta and x.startswith('tta_')]
    cfg = load_config(args.config, [x for x in args.cfg_options if x not in later])
    if args.tta is not None:
        choose_views(cfg, args.tta, later)
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
    runner.register_hook(WholeWeightsHook())
    if args.fuse:
        fuse_loaded(runner)
    if args.tta is not None:
        see_several_views(runner, cfg.tta_model.to_dict())
    runner.test()


def choose_views(cfg: Any, protocol: str, options: list[str]) -> None:
    """Put a protocol's ``tta_model`` and ``tta_pipeline`` into ``cfg``, and use them.

    Args:
        cfg: Changed in place.
        protocol: Name of a file in ``configs/_base_/tta``, or ``'config'``.
        options: ``KEY=VALUE`` of what is changed in them.
    """
    from mmengine.config import Config

    from freeanchor.engine import ConfigError
    from freeanchor.engine.config_check import check_config
    from freeanchor.engine.config_options import apply_options, parse_options

    if protocol != 'config':
        found = Config.fromfile(PROTOCOLS / f'{protocol}.py')
        cfg.update({key: found.get(key) for key in ('tta_model', 'tta_pipeline')})
    elif cfg.get('tta_model') is None:
        raise ConfigError('--tta config: the config has no tta_model.')
    apply_options(cfg, parse_options(options), {})
    check_config(cfg)
    if cfg.get('tta_pipeline') is not None:
        cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline


def see_several_views(runner: Any, tta_model: dict[str, Any]) -> None:
    """Wrap the runner's model when its test begins, with its weights."""
    from mmengine.hooks import PrepareTTAHook

    runner.register_hook(PrepareTTAHook(tta_model))


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
