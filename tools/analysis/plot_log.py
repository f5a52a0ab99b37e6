"""Plot the losses, the learning rate and AP of one or many runs.

    python tools/analysis/plot_log.py work_dirs/free_anchor_r18_fpn_shapes
    python tools/analysis/plot_log.py work_dirs/a work_dirs/b --out curves.png

A run that was resumed is one line. The highest AP of each run is printed.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

# Of the palette of Okabe and Ito, which all eyes tell apart.
COLOURS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#222222')
STYLES = ('-', '--', ':', '-.')
COLUMNS = 3
AP = ('bbox_mAP', 'bbox_mAP_50', 'bbox_mAP_75')
_FEW = 12  # points of a curve that are marked

Curves = dict[str, tuple[list[float], list[float]]]


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'work_dirs', nargs='+', type=Path, metavar='WORK_DIR', help='of a run'
    )
    parser.add_argument(
        '--out', type=Path, default=Path('curves.png'), help='PNG, PDF or SVG'
    )
    parser.add_argument(
        '--keys',
        nargs='+',
        help='what to plot, as the log calls it: loss lr coco/bbox_mAP (losses, lr '
        'and AP)',
    )
    parser.add_argument('--names', nargs='+', help='of the runs (their folders)')
    return parser.parse_args()


def run(args: argparse.Namespace) -> None:
    from freeanchor.engine import ConfigError

    names = args.names or named(args.work_dirs)
    if len(names) != len(args.work_dirs):
        raise ConfigError(
            f'--names has {len(names)} names for {len(args.work_dirs)} runs.'
        )
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(
                f'--names {name} is the name of two runs: give each its own.'
                if args.names
                else f'{name} is named twice: name each run once.'
            )
    out = picture_file(args.out)
    runs = {name: read_run(path) for name, path in zip(names, args.work_dirs)}
    keys = chosen(runs, args.keys)
    out.parent.mkdir(parents=True, exist_ok=True)
    plot(runs, keys, out)
    for name, curves in runs.items():
        print(f'{name}: {best_ap(curves)}')
    print(f'Written to {out}')


def picture_file(path: Path) -> Path:
    """The file that is written: PNG unless its name says otherwise.

    Raises:
        ConfigError: Its name says what no picture is.
    """
    from matplotlib.backend_bases import FigureCanvasBase

    from freeanchor.engine import ConfigError

    if not path.suffix:
        return path.with_suffix('.png')
    known = FigureCanvasBase.get_supported_filetypes()
    if path.suffix[1:].lower() not in known:
        raise ConfigError(
            f'--out {path}: {path.suffix} is none of {", ".join(sorted(known))}.'
        )
    return path


def named(folders: list[Path]) -> list[str]:
    """Folder names, with more of the path where two are the same."""
    names = [path.resolve().name for path in folders]
    return [
        name if names.count(name) == 1 else str(path)
        for name, path in zip(names, folders)
    ]


def read_run(folder: Path) -> Curves:
    """Steps and values of everything that a run has logged.

    What is logged while it trains and while it validates is told apart: ``time`` and
    ``val_time``.

    Raises:
        ConfigError: The folder has no log.
    """
    from reporting.run_folder import read_curves

    from freeanchor.engine import ConfigError

    lines = read_curves(folder)
    if not lines['training'] and not lines['validation']:
        raise ConfigError(
            f'{folder} has no */vis_data/scalars.json: name the work folder of a run.'
        )
    curves: Curves = {}
    validation = [
        {validated_key(key): value for key, value in line.items()}
        for line in lines['validation']
    ]
    for line in [*lines['training'], *validation]:
        for key, value in line.items():
            if isinstance(value, int | float) and value == value:
                steps, values = curves.setdefault(key, ([], []))
                steps.append(line['step'])
                values.append(value)
    return curves


def validated_key(key: str) -> str:
    """What a validation logs, named so that no key of training is the same."""
    told = key == 'step' or '/' in key or 'mAP' in key or key.startswith('val_')
    return key if told else f'val_{key}'


def chosen(runs: dict[str, Curves], wanted: list[str] | None) -> list[str]:
    """The curves that are plotted: total loss, its terms, the rate, AP.

    Raises:
        ConfigError: No run has one that was asked for.
    """
    from freeanchor.engine import ConfigError

    known = list(dict.fromkeys(key for curves in runs.values() for key in curves))
    for key in wanted or ():
        if key not in known:
            raise ConfigError(
                f'--keys {key}: the logs have {", ".join(sorted(known))}.'
            )
    if wanted:
        return wanted
    terms = [x for x in known if 'loss' in x and x != 'loss']
    of_training = [x for x in terms if not x.startswith('val_')]
    of_validation = [x for x in terms if x.startswith('val_')]
    found = [x for y in AP for x in known if x.endswith(y)]
    first = [x for x in ('loss', 'lr') if x in known]
    return [*first[:1], *of_training, *first[1:], *of_validation, *found]


def plot(runs: dict[str, Curves], keys: list[str], path: Path) -> None:
    """A panel for each key, a line for each run."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    from freeanchor.visualization.lettering import plain_text

    columns = min(COLUMNS, len(keys))
    rows = -(-len(keys) // columns)
    figure = Figure(figsize=(4.2 * columns, 2.7 * rows + 0.4), layout='constrained')
    FigureCanvasAgg(figure)
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes, key in zip(panels, keys):
        for number, (name, curves) in enumerate(runs.items()):
            if key in curves:
                draw_line(axes, curves[key], number, plain_text(name))
        axes.set_title(plain_text(key), loc='left', fontsize=10)
        axes.set_xlabel(unit(runs, key), fontsize=9)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25)
        axes.tick_params(labelsize=8)
        for side in ('top', 'right'):
            axes.spines[side].set_visible(False)
    for axes in panels[len(keys) :]:
        axes.set_visible(False)
    lines: dict[str, Any] = {}
    for axes in figure.axes:
        lines.update((str(line.get_label()), line) for line in axes.get_lines())
    figure.legend(
        lines.values(),
        lines.keys(),
        loc='outside upper left',
        ncols=3,
        frameon=False,
        fontsize=9,
    )
    figure.savefig(path, dpi=120)


def draw_line(
    axes: Any, curve: tuple[list[float], list[float]], number: int, name: str
) -> None:
    style = STYLES[number // len(COLOURS) % len(STYLES)]
    marker = 'o' if len(curve[0]) <= _FEW else None
    colour = COLOURS[number % len(COLOURS)]
    axes.plot(*curve, style, color=colour, marker=marker, ms=4, lw=1.5, label=name)


def unit(runs: dict[str, Curves], key: str) -> str:
    """What the steps of a curve count: what is validated counts epochs, if any do."""
    by_epoch = any('epoch' in curves for curves in runs.values())
    validated = key.startswith('val_') or '/' in key
    return 'epoch' if validated and by_epoch else 'iteration'


def best_ap(curves: Curves) -> str:
    for key, (steps, values) in curves.items():
        if key.endswith(AP[0]):
            best = max(values)
            return f'best {key} {100 * best:.1f}, at step {steps[values.index(best)]:g}'
    return 'not validated yet'


def main() -> int:
    args = parse_args()
    # After the arguments: --help need not wait for torch.
    from freeanchor.engine.command_line import run_tool

    return run_tool(lambda: run(args))


if __name__ == '__main__':
    sys.exit(main())
