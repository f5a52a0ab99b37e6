"""The average precision that MMDetection reports for the same detections."""

import pytest
import torch

from freeanchor.evaluation import CocoMetric

from . import goldens


@pytest.mark.parametrize('name', goldens.cases('evaluation'))
def test_precisions_agree_to_three_decimals(name):
    golden = goldens.load(name)
    annotations = goldens.folder() / 'pipeline_images/annotations.json'
    metric = CocoMetric(str(annotations), classwise=True)
    ids = {x['name']: x['id'] for x in metric._truth.dataset['categories']}
    classes = golden.info['classes']
    metric.dataset_meta = dict(classes=classes, cat_ids=[ids[x] for x in classes])
    images = sorted({int(key.split('/')[0]) for key in golden})
    for image_id in images:
        found = {k: torch.from_numpy(v) for k, v in golden.under(f'{image_id}').items()}
        metric.process({}, [dict(img_id=image_id, pred_instances=found)])

    ours = metric.evaluate(len(images))

    # MMDetection rounds to three decimals, which moves a number by up to 0.0005.
    expected = golden.info['results']
    assert {k: ours[k] for k in expected} == pytest.approx(expected, abs=0.0006)
