"""A comparison as a picture: every run a ring, the mean a dot with its error bar."""

import math
from pathlib import Path
from typing import Any

SHOWN = ('AP', 'AP75', 'AP slender', 'AP crowded', 'NMS recall')
# Of the palette of Okabe and Ito, which all eyes tell apart.
_MEAN, _RUN = '#0072B2', '#E69F00'


def draw(rows: list[dict], title: str, path: Path) -> bool:
    """Draw the numbers that any row has; False where matplotlib is not installed."""
    try:
        import matplotlib as mpl
    except ImportError:
        return False
    mpl.use('Agg')
    import matplotlib.pyplot as plt

    shown = [x for x in SHOWN if any(not math.isnan(row['mean'][x]) for row in rows)]
    shown = shown or ['AP']
    figure, panels = plt.subplots(
        1,
        len(shown),
        figsize=(2.2 + 2.3 * len(shown), 1.4 + 0.42 * len(rows)),
        sharey=True,
        squeeze=False,
        layout='constrained',
    )
    for axes, number in zip(panels[0], shown):
        _panel(axes, rows, number)
    panels[0, 0].set_yticks(range(len(rows)), [row['name'] for row in rows])
    panels[0, 0].set_ylim(len(rows) - 0.5, -0.5)  # the first on top
    handles, labels = panels[0, 0].get_legend_handles_labels()
    if handles:
        figure.legend(
            handles, labels, loc='outside lower center', ncols=2, frameon=False
        )
    figure.suptitle(title, fontsize=11)
    figure.savefig(path, dpi=130)
    plt.close(figure)
    return True


def _panel(axes: Any, rows: list[dict], number: str) -> None:
    runs = [
        (run['numbers'][number], place)
        for place, row in enumerate(rows)
        for run in row['runs']
        if run['failure'] is None and not math.isnan(run['numbers'][number])
    ]
    known = [(x, i) for i, x in enumerate(rows) if not math.isnan(x['mean'][number])]
    if known:
        axes.errorbar(
            [row['mean'][number] for row, _ in known],
            [place for _, place in known],
            xerr=[_or_zero(row['deviation'][number]) for row, _ in known],
            fmt='o',
            color=_MEAN,
            capsize=3,
            label='mean ± standard deviation',
        )
        axes.scatter(
            *zip(*runs),
            facecolors='none',
            edgecolors=_RUN,
            s=36,
            linewidths=1.4,
            zorder=3,
            label='a run',
        )
    axes.set_xlabel(f'{number} (%)')
    axes.grid(axis='x', alpha=0.3)
    axes.tick_params(axis='y', length=0)
    for side in ('top', 'right', 'left'):
        axes.spines[side].set_visible(False)


def _or_zero(deviation: float) -> float:
    return 0.0 if math.isnan(deviation) else deviation
