"""Profile a few training steps: a trace, and tables by stage and by operator.

python tools/analysis/profile_step.py configs/free_anchor_r50_fpn_1x.py
python tools/analysis/profile_step.py CONFIG --size 800 1333 --amp --steps 10

Images and objects are random, so no data set is needed. The trace opens in
chrome://tracing or https://ui.perfetto.dev.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

# What makes Python wait until the GPU has done its work.
WAITS = ('cudaStreamSynchronize', 'cudaDeviceSynchronize', 'cudaEventSynchronize')
FETCHES = ('aten::_local_scalar_dense', 'aten::nonzero', 'Memcpy DtoH')
STAGES = ('preprocess', 'backbone', 'neck', 'head', 'loss', 'backward', 'optimizer')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Profile training steps.')
    parser.add_argument('config', help='config file')
    parser.add_argument('--size', nargs=2, type=int, default=[512, 512])
    parser.add_argument('--batch', type=int, default=2, help='images a step')
    parser.add_argument('--objects', type=int, default=10, help='objects an image')
    parser.add_argument('--steps', type=int, default=3)
    parser.add_argument('--amp', action='store_true', help='mixed precision')
    parser.add_argument('--compile', action='store_true', help='torch.compile')
    parser.add_argument('--rows', type=int, default=25, help='operators to show')
    parser.add_argument('--trace', default='trace.json', help='file to write')
    return parser.parse_args()


def profile(args: argparse.Namespace) -> None:
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiler

    step, device = training_step(args)
    for _ in range(2):
        step()
    activities = [ProfilerActivity.CPU]
    if device == 'cuda':
        activities.append(ProfilerActivity.CUDA)
    with profiler(activities=activities) as found:
        for _ in range(args.steps):
            step()
    found.export_chrome_trace(args.trace)
    report(found, args, device)


def training_step(args: argparse.Namespace) -> tuple[Callable[[], Any], str]:
    """A callable that runs one step, and the kind of device it runs on."""
    import torch
    from mmengine.device import get_device

    from freeanchor.engine import load_config, use_amp, use_compile
    from freeanchor.engine.compilation import compile_network
    from freeanchor.engine.synthetic import batch_of, optim_wrapper_of
    from freeanchor.registry import MODELS

    cfg = load_config(args.config)
    if args.amp:
        use_amp(cfg)
    if args.compile:
        use_compile(cfg)
    cfg.model.backbone.pop('init_cfg', None)
    device = get_device()
    model = MODELS.build(cfg.model).to(device).to(memory_format=torch.channels_last)
    model.train()
    if args.compile:
        compile_network(model, cfg.compile)
    wrapper = optim_wrapper_of(model, cfg.optim_wrapper, device)
    classes = model.bbox_head.num_classes
    batch = batch_of(args.batch, tuple(args.size), args.objects, classes)
    mark_stages(model)
    return lambda: marked_step(model, wrapper, batch), device


def mark_stages(model: Any) -> None:
    """Name each part's forward pass in the profile."""
    from torch.profiler import record_function

    def named(stage: str, call: Callable) -> Callable:
        def marked(*args: Any, **kwargs: Any) -> Any:
            with record_function(stage):
                return call(*args, **kwargs)

        return marked

    parts = dict(data_preprocessor='preprocess', bbox_head='head')
    for part in ('data_preprocessor', 'backbone', 'neck', 'bbox_head', 'loss'):
        module = getattr(model, part)
        module.forward = named(parts.get(part, part), module.forward)


def marked_step(model: Any, wrapper: Any, batch: dict) -> None:
    from torch.profiler import record_function

    with wrapper.optim_context(model):
        losses = model(**model.data_preprocessor(dict(batch), True), mode='loss')
    total, _ = model.parse_losses(losses)
    with record_function('backward'):
        wrapper.backward(wrapper.scale_loss(total))
    with record_function('optimizer'):
        wrapper.step()
        wrapper.zero_grad()


def report(found: Any, args: argparse.Namespace, device: str) -> None:
    """Print time by stage, time by operator and waits, of one step."""
    averages = found.key_averages()
    by_name = {row.key: row for row in averages}
    print(f'\nStages, ms a step (mean of {args.steps}, as Python sees it)')
    for stage in STAGES:
        if stage in by_name:
            spent = by_name[stage].cpu_time_total / 1e3 / args.steps
            print(f'  {stage:<12}{spent:10.2f}')
    key = 'self_device_time_total' if device == 'cuda' else 'self_cpu_time_total'
    print(averages.table(sort_by=key, row_limit=args.rows, max_name_column_width=50))
    print('Waits for the device, a step')
    for name, count in waits(found, args.steps).items():
        print(f'  {name:<32}{count:8.2f}')
    print(f'Trace: {Path(args.trace).resolve()}')


def waits(found: Any, steps: int) -> dict[str, float]:
    """How often a step waits for the device or fetches from it.

    On a CPU the operators of which each would be a wait on a GPU are counted.
    """
    counts = Counter(event.name for event in found.events())
    return {
        name: sum(n for key, n in counts.items() if key.startswith(name)) / steps
        for name in (*WAITS, *FETCHES)
    }


def main() -> int:
    args = parse_args()
    # After the arguments: --help need not wait for torch.
    from freeanchor.engine.command_line import run_tool

    return run_tool(lambda: profile(args))


if __name__ == '__main__':
    sys.exit(main())
