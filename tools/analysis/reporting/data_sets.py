"""The data sets of a config, and what is in them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from freeanchor.datasets import CocoDataset, ShapesDataset
from freeanchor.datasets.statistics import BoxStatistics, statistics_of
from freeanchor.registry import DATASETS

from .charts import Chart, histogram

_SIZES = (0, 16, 32, 64, 96, 128, 256, 512, 1024)
_RATIOS = (1, 1.5, 2, 3, 5, 8, 12)
_NUMBERS = (0, 1, 2, 4, 8, 16, 32, 64, 128)


def read_sets(cfg: Any, needed: Sequence[str] = ()) -> dict[str, Any]:
    """The data sets of a config, ``'training'`` and ``'test'``, that can be read.

    Raises:
        FileNotFoundError: The files of one of those ``needed`` are not there.
        DataError: It cannot be used.
    """
    sets = {}
    for name, key in (('training', 'train_dataloader'), ('test', 'test_dataloader')):
        loader = cfg.get(key)
        if not loader:
            continue
        try:
            sets[name] = build_dataset(loader['dataset'])
        except (OSError, ValueError) as error:
            if name in needed:
                raise
            print(f'Left out: the {name} set ({error})')
    return sets


def build_dataset(settings: dict[str, Any]) -> Any:
    """The data set of a dataloader's config, without its pipeline.

    Where it repeats or joins others, the first of these. Nothing is generated.

    Raises:
        FileNotFoundError: Its files are not there.
        DataError: It cannot be used.
    """
    while 'dataset' in settings or 'datasets' in settings:
        settings = settings.get('dataset') or settings['datasets'][0]
    return DATASETS.build({**_as_files(settings), 'pipeline': []})


def _as_files(settings: dict[str, Any]) -> dict[str, Any]:
    """Generated shapes as any other files: their own class draws what is missing."""
    if settings['type'] not in (ShapesDataset, ShapesDataset.__name__):
        return settings
    plain = dict(settings)
    split = plain.pop('split', 'train')
    return {
        'data_root': 'data/shapes/',
        **plain,
        'type': CocoDataset,
        'ann_file': f'annotations/{split}.json',
        'data_prefix': dict(img_path=split),
        'metainfo': ShapesDataset.METAINFO,
    }


def describe(dataset: Any) -> BoxStatistics | None:
    """Statistics of its annotation file; None where that is not in COCO's format."""
    path = Path(dataset.ann_file)
    if 'cat_ids' not in dataset.metainfo or not path.is_file():
        return None
    content = json.loads(path.read_text())
    name_of = dict(zip(dataset.metainfo['cat_ids'], dataset.metainfo['classes']))
    categories = [dict(id=i, name=name) for i, name in name_of.items()]
    return statistics_of({**content, 'categories': categories})


def data_charts(sets: dict[str, BoxStatistics]) -> list[Chart]:
    """Sizes, slenderness and numbers of the objects of each set."""
    measures = (
        ('Sizes of objects', 'root of the area (pixels)', _SIZES, 'sizes'),
        ('Slenderness', 'longer over shorter side', _RATIOS, 'slenderness'),
        ('Objects in an image', 'objects', _NUMBERS, 'per_image'),
    )
    charts = []
    for title, name, edges, attribute in measures:
        values = {key: getattr(x, attribute) for key, x in sets.items()}
        highest = max((x.max() for x in values.values() if len(x)), default=1)
        inner = [x for x in edges if x <= highest]
        end = edges[len(inner)] if len(inner) < len(edges) else 2 * edges[-1]
        charts.append(histogram(title, values, [*inner, end], name))
    return charts
