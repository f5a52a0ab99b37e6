"""Train several objectives under the same conditions, and compare them.

    python tools/analysis/compare_losses.py configs/compare/shapes/*.py --out OUT
    python tools/analysis/compare_losses.py configs/compare/shapes/free_anchor.py \
        --vary model.loss.bag_size=10,25,50,100 model.loss.iou_thr=0.5,0.6,0.7 --out OUT

Each CONFIG is a row. Every row is trained with every seed by tools/train.py, in a
folder of its own, and its last checkpoint (not the best one, which would be chosen by
what it is tested on) is tested on the config's test set, with AP of slender and crowded
objects and NMS recall. With --vary each value of each key is a row too, one change at a
time. OUT gets comparison.md, comparison.json and comparison.png, which are written anew
after each run.

Killed or stopped, the same command goes on where it was; what is finished is not run
again. A run that fails is told in the table, the others go on, and the same command
tries it again. Settings that differ beside the loss, such as the coder's stds, are
listed below the table. Where --jobs is above 1 runs share the machine, and step times
mean little.
"""

import argparse
import hashlib
import json
import re
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

NAMES = ('comparison.md', 'comparison.json', 'comparison.png')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('configs', nargs='+', metavar='CONFIG', help='a row each')
    parser.add_argument(
        '--out', type=Path, required=True, help='folder for runs, table and plot'
    )
    parser.add_argument(
        '--seeds', nargs='+', type=int, default=[0, 1, 2], help='of each row (0 1 2)'
    )
    parser.add_argument(
        '--vary',
        nargs='+',
        default=[],
        metavar='KEY=V1,V2',
        help='also a row for each value: model.loss.bag_size=25,50,100',
    )
    parser.add_argument('--jobs', type=int, default=1, help='runs at a time (1)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='set values of all configs: train_cfg.max_epochs=24',
    )
    return parser.parse_args()


def variants(args: argparse.Namespace) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Config and options of each row, by its name.

    Raises:
        ConfigError: Two rows would have one name, or --vary is no KEY=VALUES.
    """
    from freeanchor.engine import ConfigError

    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for config in args.configs:
        stem, common = Path(config).stem, tuple(args.cfg_options)
        rows = {stem: common}
        for change in args.vary:
            key, equals, values = change.partition('=')
            if not (equals and key and values):
                raise ConfigError(f'--vary {change}: write it as KEY=VALUE,VALUE.')
            for value in values.split(','):
                name = f'{stem} {key.rpartition(".")[2]}={value}'
                rows[name] = (*common, f'{key}={value}')
        for name, options in rows.items():
            if name in found:
                raise ConfigError(
                    f'two rows would be called {name!r}: give the configs files of '
                    'different names, and each value of --vary once.'
                )
            found[name] = (config, options)
    return found


def planned(args: argparse.Namespace) -> tuple[list[Any], dict[str, dict]]:
    """All runs, seed by seed, and the settings of each row.

    Every config is read first, so that a slip in the last is found at once.
    """
    from compared_runs import Run, place_of_metric, read_state

    from freeanchor.engine import load_config

    runs, settings = [], {}
    rows = variants(args)
    for seed in args.seeds:
        for name, (config, options) in rows.items():
            cfg = load_config(config, [*options, f'randomness.seed={seed}']).to_dict()
            settings[name] = cfg
            digest = hashlib.sha256(json.dumps(cfg, sort_keys=True).encode())
            folder = args.out / 'runs' / re.sub(r'[^\w.=-]', '_', name) / f'seed{seed}'
            run = Run(name, config, options, seed, folder, digest.hexdigest())
            place_of_metric(run)
            read_state(run)
            runs.append(run)
    return runs, settings


def compare(args: argparse.Namespace) -> None:
    """Perform all runs, and write what is known after each of them."""
    from compared_runs import Workshop

    from freeanchor.engine.signals import StopRun

    runs, settings = planned(args)
    workshop = Workshop()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: workshop.stop())
    outcomes: list[Any] = []
    with ThreadPoolExecutor(args.jobs) as pool:
        for future in as_completed([pool.submit(workshop.perform, x) for x in runs]):
            outcome = future.result()
            outcomes.append(outcome)
            if workshop.stopped:
                continue
            print(progress(outcome, len(outcomes), len(runs)), flush=True)
            write(args, settings, outcomes)
    if workshop.stopped:
        raise StopRun('Stopped on request: the same command goes on with the runs.')
    print(f'Written to {args.out}: {", ".join(NAMES)}')


def progress(outcome: Any, done: int, total: int) -> str:
    """A line on the run that has just ended."""
    what = f'[{done}/{total}] {outcome.name}, seed {outcome.seed}: '
    if outcome.failure is not None:
        return f'{what}failed, {outcome.failure}'
    return f'{what}AP {outcome.numbers["AP"]:.1f}'


def write(
    args: argparse.Namespace, settings: dict[str, dict], outcomes: Sequence[Any]
) -> None:
    """Table, numbers and plot of the runs that have ended so far."""
    from comparison_plot import draw
    from comparison_table import as_json, differences, report, summarise

    from freeanchor.engine.durable import write_text_atomically

    ordered = sorted(outcomes, key=lambda x: x.seed)
    rows = summarise(settings, ordered)
    differ = differences(settings)
    told = conditions(args)
    text, numbers, picture = (args.out / name for name in NAMES)
    write_text_atomically(text, report(told, rows, differ))
    content = dict(conditions=told, rows=rows, differences=differ)
    write_text_atomically(numbers, as_json(content))
    seeds = f'{len(args.seeds)} seed' + ('' if len(args.seeds) == 1 else 's')
    draw(rows, f'{args.out.name}: {seeds}, last checkpoint', picture)


def conditions(args: argparse.Namespace) -> list[str]:
    """What was run, and on what."""
    import torch
    from mmengine.device import get_device

    gpu = torch.cuda.get_device_name() if get_device() == 'cuda' else None
    parts = [' '.join(args.configs), '--seeds', *map(str, args.seeds)]
    for option in ('vary', 'cfg_options'):
        if getattr(args, option):
            parts += [f'--{option.replace("_", "-")}', *getattr(args, option)]
    together = '' if args.jobs == 1 else f', {args.jobs} runs at a time'
    return [
        f'`python tools/analysis/compare_losses.py {" ".join(parts)}`',
        f'On {gpu or "a CPU"}{together}; torch {torch.__version__}. Memory is that of '
        + ("the GPU's tensors." if gpu else 'the process that trains, all in all.'),
    ]


def main() -> int:
    args = parse_args()
    # After the arguments: --help need not wait for torch.
    from freeanchor.engine.command_line import run_tool

    return run_tool(lambda: compare(args))


if __name__ == '__main__':
    sys.exit(main())
