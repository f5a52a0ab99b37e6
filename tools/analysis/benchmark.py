"""How fast a config tests, trains or loads its data, and where the time goes.

    python tools/analysis/benchmark.py configs/free_anchor_r18_fpn_shapes.py
    python tools/analysis/benchmark.py CONFIG CHECKPOINT --deploy --dtype float16
    python tools/analysis/benchmark.py CONFIG --task train --amp --batch-size 8
    python tools/analysis/benchmark.py CONFIG --task dataloader --split train

Steps are timed whole first; the stages are timed in further steps, because
waiting for a GPU after each stage costs time. Without a checkpoint weights are
random and post-processing has little to do.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

DTYPES = ('float32', 'bfloat16', 'float16')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', nargs='?', help='checkpoint file')
    parser.add_argument(
        '--task', choices=['inference', 'train', 'dataloader'], default='inference'
    )
    parser.add_argument('--iterations', type=int, default=50, help='timed steps (50)')
    parser.add_argument('--warmup', type=int, default=5, help='steps before them (5)')
    parser.add_argument('--batch-size', type=int, help="images of a step (config's)")
    parser.add_argument(
        '--num-workers', type=int, help="processes that load data (config's)"
    )
    parser.add_argument(
        '--split', choices=['train', 'test'], help='data of --task dataloader (train)'
    )
    parser.add_argument(
        '--amp', action='store_true', help='train in mixed precision, as tools/train.py'
    )
    parser.add_argument(
        '--deploy',
        action='store_true',
        help='test as deployed: norms folded into convolutions, fast layouts',
    )
    parser.add_argument(
        '--dtype', choices=DTYPES, default='float32', help='of the deployed network'
    )
    parser.add_argument(
        '--record', action='store_true', help='replay CUDA graphs (with --deploy)'
    )
    parser.add_argument('--out', type=Path, metavar='F.json', help='write the numbers')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='set values of the config: model.test_cfg.score_thr=0.3',
    )
    return parser.parse_args()


def check(args: argparse.Namespace) -> None:
    from freeanchor.engine import ConfigError

    if args.iterations < 1 or args.warmup < 0:
        raise ConfigError('--iterations is 1 or more and --warmup 0 or more.')
    if not args.deploy and (args.record or args.dtype != 'float32'):
        raise ConfigError('--record and --dtype need --deploy.')
    uses = dict(amp='train', deploy='inference', split='dataloader')
    for option, task in uses.items():
        if getattr(args, option) and args.task != task:
            raise ConfigError(f'--{option} is for --task {task}, not {args.task}.')


def prepared(args: argparse.Namespace, work_dir: str) -> Any:
    """The config's runner, ready for the task."""
    from freeanchor.engine import load_config, use_amp
    from freeanchor.engine.command_line import (
        build_runner,
        checked_checkpoint,
        set_launch,
    )

    cfg = load_config(args.config, args.cfg_options)
    set_launch(cfg, 'none', work_dir)
    # MMEngine names a run by the second, and hands out what it has of that name.
    cfg.experiment_name = Path(work_dir).name
    cfg.model.backbone.init_cfg = None  # weights do not change the speed
    if args.amp:
        use_amp(cfg)
    for name in ('train_dataloader', 'test_dataloader'):
        loader = cfg[name]
        if args.batch_size is not None:
            loader.batch_size = args.batch_size
        if args.num_workers is not None:
            loader.num_workers = args.num_workers
            loader.persistent_workers = args.num_workers > 0
    if args.checkpoint is not None:
        checked_checkpoint(args.checkpoint)
    return build_runner(cfg)


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """All numbers of the task, as ``--out`` writes them."""
    from stages import Clock, describe, summary

    with tempfile.TemporaryDirectory() as work_dir:
        runner = prepared(args, work_dir)
        split = 'test' if args.task == 'inference' else args.split or 'train'
        loader = runner.build_dataloader(runner.cfg[f'{split}_dataloader'], seed=0)
        clock = Clock(next(runner.model.parameters()).device)
        step = make_step(args, runner, clock)
        found = run(step, loader, clock, args)
    return dict(
        config=args.config,
        task=args.task,
        batch_size=loader.batch_sampler.batch_size,
        num_workers=loader.num_workers,
        warmup=args.warmup,
        iterations=args.iterations,
        **describe(clock.device),
        **summary(found, loader.batch_sampler.batch_size),
    )


def make_step(args: argparse.Namespace, runner: Any, clock: Any) -> Any:
    """What is done with one batch of data."""
    import torch

    from freeanchor.models.deploy import deploy

    model = runner.model
    if args.task == 'dataloader':
        return lambda data: None
    model.bbox_head.init_weights()  # scores as low as they are in a trained one
    if args.checkpoint is not None:
        runner.load_checkpoint(args.checkpoint)
    if args.task == 'inference':
        if args.deploy:
            deploy(model, dtype=getattr(torch, args.dtype), record=args.record)
        # A recording runs no Python: its parts cannot be told apart.
        clock.watch(model, last='all recorded' if args.record else 'postprocess')
        model.eval()
        return torch.no_grad()(model.test_step)
    clock.watch(model, last='loss')
    model.train()
    return train_step(
        model, runner.build_optim_wrapper(runner.cfg.optim_wrapper), clock
    )


def train_step(model: Any, wrapper: Any, clock: Any) -> Any:
    """A training step in the pieces that ``wrapper.update_params`` puts together."""

    def step(data: Any) -> None:
        with wrapper.optim_context(model):
            data = model.data_preprocessor(data, True)
            losses = model(**data, mode='loss')
        total, _ = model.parse_losses(losses)
        clock.mark('loss')
        wrapper.backward(wrapper.scale_loss(total))
        clock.mark('backward')
        wrapper.step()
        wrapper.zero_grad()
        clock.mark('optimizer')

    return step


def run(
    step: Any, loader: Any, clock: Any, args: argparse.Namespace
) -> list[dict[str, float]]:
    """Seconds of each step: whole ones first, then as many in stages."""
    batches = endless(loader)
    found = []
    whole = 0 if args.task == 'dataloader' else args.iterations
    for i in range(args.warmup + whole + args.iterations):
        clock.in_stages = i >= args.warmup + whole
        clock.start()
        data = next(batches)
        clock.finish('data')
        step(data)
        clock.finish('step')
        if i >= args.warmup:
            found.append(clock.seconds)
    return found


def endless(loader: Any) -> Any:
    """Batches over and over, whatever the size of the data set."""
    while True:
        yield from loader


def main() -> int:
    args = parse_args()
    # After the arguments: --help need not wait for torch.
    from freeanchor.engine.command_line import run_tool

    def job() -> None:
        from stages import table

        check(args)
        numbers = measure(args)
        print(table(numbers))
        if args.out is not None:
            args.out.parent.mkdir(parents=True, exist_ok=True)
            args.out.write_text(json.dumps(numbers, indent=1) + '\n')

    return run_tool(job)


if __name__ == '__main__':
    sys.exit(main())
