import dataclasses

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from freeanchor.boxes import LegacyDeltaBoxCoder
from freeanchor.deployment import Recipe
from freeanchor.engine import ConfigError
from freeanchor.inference import Detector, ImagePipeline, find_images

from .detectors import NAMES, PIPELINE, images, small


@pytest.fixture(scope='module')
def detector() -> Detector:
    return small()


def test_a_recipe_survives_its_text(detector: Detector) -> None:
    recipe = Recipe.of(detector)
    assert recipe.class_names == NAMES
    assert recipe.category_ids == (7, 8, 9)
    assert recipe.scale == (160, 120)
    assert Recipe.from_json(recipe.to_json(), 'a.onnx') == recipe


def test_images_are_prepared_as_the_detector_has_them(detector: Detector) -> None:
    recipe = Recipe.of(detector)
    batches = []
    for pipeline, preprocessor in [
        (detector.pipeline, detector.model.data_preprocessor),
        (recipe.pipeline(), recipe.preprocessor()),
    ]:
        samples = [pipeline.pack(pipeline.load(x)) for x in find_images(images())]
        batches.append(preprocessor(pseudo_collate(samples)))
    ours, theirs = batches
    assert torch.equal(ours['inputs'], theirs['inputs'])
    for a, b in zip(ours['data_samples'], theirs['data_samples'], strict=True):
        assert a.img_shape == b.img_shape
        assert a.scale_factor == b.scale_factor


@pytest.mark.parametrize('last_pixel', [False, True])
def test_boxes_go_back_as_their_coder_says(
    detector: Detector, last_pixel: bool
) -> None:
    head = detector.model.bbox_head
    plain = head.coder
    try:
        head.coder = LegacyDeltaBoxCoder() if last_pixel else plain
        recipe = Recipe.of(detector)
        boxes, scale = torch.tensor([[10.0, 20, 30, 60]]), torch.tensor([0.5, 0.8])
        expected = head.coder.to_original(boxes, scale)
        assert torch.equal(recipe.coder().to_original(boxes, scale), expected)
    finally:
        head.coder = plain


@pytest.mark.parametrize(
    'steps',
    [
        [PIPELINE[0], PIPELINE[2]],
        [*PIPELINE[:2], dict(type='RandomFlip', prob=1.0), PIPELINE[2]],
        [PIPELINE[0], dict(type='Resize', scale_factor=0.5), PIPELINE[2]],
        [*PIPELINE[:2], PIPELINE[1], PIPELINE[2]],
    ],
    ids=['none', 'flip', 'factor', 'twice'],
)
def test_a_pipeline_that_cannot_be_told_is_refused(
    detector: Detector, steps: list
) -> None:
    cfg = Config(dict(test_dataloader=dict(dataset=dict(pipeline=steps))))
    other = dataclasses.replace(detector, pipeline=ImagePipeline.of_config(cfg))
    with pytest.raises(ConfigError, match='can only Resize to a scale'):
        Recipe.of(other)


@pytest.mark.parametrize(
    'text', [None, '', '[]', '{}', '{"format": 9}', '{"format":1}']
)
def test_a_file_without_a_recipe_is_refused(text: str | None) -> None:
    with pytest.raises(ConfigError, match=r'a\.onnx does not say how images'):
        Recipe.from_json(text, 'a.onnx')
