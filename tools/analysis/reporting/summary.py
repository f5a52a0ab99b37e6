"""What stands on top of a report: what was trained, on what, what came of it."""

from pathlib import Path
from typing import Any

from freeanchor.datasets.statistics import BoxStatistics

from .run_folder import best_of


def summarise(
    report: dict[str, Any],
    cfg: Any,
    folder: Path,
    sets: dict[str, BoxStatistics],
    out: Path,
) -> dict[str, Any]:
    """The names, tiles and facts of the page's head.

    Args:
        report: The numbers.
        cfg: The run's config.
        folder: The run's work folder.
        sets: Statistics by ``'training'`` and ``'test'``.
        out: The page's file.
    """
    return dict(
        title=folder.resolve().name,
        work_dir=str(folder),
        config_name=Path(report['config_file']).name,
        json_name=out.with_suffix('.json').name,
        tiles=_tiles(report),
        facts=[*_model(cfg), *_data(sets), *_course(report, folder)],
    )


def _tiles(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The large numbers: of the test, or else of the best validation."""
    if report['numbers'] is None:
        best = best_of(report['curves']['validation'])
        if best is None:
            return []
        note = f'best validation, after {report["unit"]} {best["step"]}'
        return [dict(name='AP', value=best['AP'], note=note)]
    numbers = report['numbers']['overall']
    shown = {
        'AP': ('bbox_mAP', 'IoU 0.50:0.95'),
        'AP50': ('bbox_mAP_50', 'IoU 0.50'),
        'AP75': ('bbox_mAP_75', 'IoU 0.75'),
        'Recall': ('bbox_AR@100', 'at 100'),
    }
    return [
        dict(name=name, value=numbers[key], note=note)
        for name, (key, note) in shown.items()
    ]


def _model(cfg: Any) -> list[tuple[str, str]]:
    model = cfg.model
    backbone = model.get('backbone') or {}
    parts = [backbone.get('type', '-'), str(backbone.get('depth') or '')]
    loss = (model.get('loss') or {}).get('type', '-')
    return [
        ('Objective', str(loss)),
        ('Backbone', ' '.join(x for x in parts if x)),
    ]


def _data(sets: dict[str, BoxStatistics]) -> list[tuple[str, str]]:
    lines = []
    for name, data in sets.items():
        images = f'{len(data.per_image)} images, {len(data.labels)} objects'
        lines.append((f'{name.capitalize()} set', images))
    for data in list(sets.values())[:1]:
        shown = ', '.join(data.classes[:10])
        more = f' and {len(data.classes) - 10} more' if len(data.classes) > 10 else ''
        lines.append(('Classes', f'{len(data.classes)}: {shown}{more}'))
    return lines


def _course(report: dict[str, Any], folder: Path) -> list[tuple[str, str]]:
    lines = []
    training, best = report['curves']['training'], None
    if training:
        lines.append(('Trained', f'{training[-1]["step"]} iterations'))
        best = best_of(report['curves']['validation'])
    if best is not None:
        text = f'AP {100 * best["AP"]:.1f} after {report["unit"]} {best["step"]}'
        lines.append(('Best validation', text))
    if report['tested'] is not None:
        lines.append(('Tested', report['tested']))
    kept = [x['name'] for x in report['checkpoints'] if x['best']]
    if kept:
        lines.append(('Best checkpoint', str(folder / kept[-1])))
    return lines
