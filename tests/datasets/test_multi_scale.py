import cv2
import numpy as np
import torch

from freeanchor.datasets import MultiScaleFlipAug


def views(tmp_path, **settings):
    image = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    results = dict(img=image, img_shape=(40, 60), ori_shape=(40, 60), img_id=1)
    return image, MultiScaleFlipAug(**settings)(results)


def test_every_scale_comes_in_every_direction(tmp_path):
    _, found = views(
        tmp_path,
        scales=[(60, 40), (120, 80)],
        flip_directions=['horizontal', 'vertical'],
    )
    assert [tuple(x.shape) for x in found['inputs']] == 3 * [(3, 40, 60)] + 3 * [
        (3, 80, 120)
    ]
    assert [x.flip_direction for x in found['data_samples']] == 2 * [
        None,
        'horizontal',
        'vertical',
    ]
    assert found['data_samples'][5].scale_factor == (2.0, 2.0)


def test_each_view_is_made_from_the_file(tmp_path):
    image, found = views(tmp_path, scales=[(30, 20), (60, 40)])
    exact = torch.from_numpy(image).permute(2, 0, 1)
    assert torch.equal(found['inputs'][1], exact)  # though a smaller one came before
    half = cv2.resize(image, (30, 20), interpolation=cv2.INTER_LINEAR)
    assert torch.equal(found['inputs'][0], torch.from_numpy(half).permute(2, 0, 1))


def test_a_flipped_view_is_the_mirrored_image(tmp_path):
    image, found = views(tmp_path, scales=[(60, 40)], flip_directions=['diagonal'])
    mirrored = torch.from_numpy(image[::-1, ::-1].copy()).permute(2, 0, 1)
    assert torch.equal(found['inputs'][1], mirrored)
