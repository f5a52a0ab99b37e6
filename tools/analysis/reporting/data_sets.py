"""The data sets of a config, and what is in them."""

import json
from pathlib import Path
from typing import Any

from freeanchor.datasets.statistics import BoxStatistics, statistics_of
from freeanchor.registry import DATASETS

from .charts import Chart, histogram

_SIZES = (0, 16, 32, 64, 96, 128, 256, 512, 1024)
_RATIOS = (1, 1.5, 2, 3, 5, 8, 12)
_NUMBERS = (0, 1, 2, 4, 8, 16, 32, 64, 128)


def build_dataset(settings: dict[str, Any]) -> Any:
    """The data set of a dataloader's config, without its pipeline.

    Where it repeats or joins others, the first of these.
    """
    while 'dataset' in settings or 'datasets' in settings:
        settings = settings.get('dataset') or settings['datasets'][0]
    return DATASETS.build({**settings, 'pipeline': []})


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
