import pytest
import torch
from mmengine.model import ImgDataPreprocessor

from freeanchor.models import DetDataPreprocessor
from tests.batches import sample


def preprocessor(**settings: object) -> DetDataPreprocessor:
    return DetDataPreprocessor(
        mean=[1.0, 2.0, 3.0], std=[1.0, 2.0, 4.0], bgr_to_rgb=True, **settings
    )


def image(height: int, width: int) -> torch.Tensor:
    return torch.tensor([30, 20, 10], dtype=torch.uint8)[:, None, None].expand(
        3, height, width
    )


def test_bgr_becomes_normalised_rgb() -> None:
    out = preprocessor()(
        dict(inputs=[image(4, 4)], data_samples=[sample([], [], (4, 4))])
    )
    assert out['inputs'][0, :, 0, 0].tolist() == [9.0, 9.0, 6.75]


def test_images_are_padded_at_the_right_and_bottom_to_a_common_size() -> None:
    small, large = sample([], [], (30, 70)), sample([], [], (40, 50))
    out = preprocessor(pad_size_divisor=32)(
        dict(inputs=[image(30, 70), image(40, 50)], data_samples=[small, large])
    )
    assert out['inputs'].shape == (2, 3, 64, 96)
    assert out['inputs'][0, :, 30:].abs().sum() == 0
    assert out['inputs'][0, :, :, 70:].abs().sum() == 0
    assert (small.pad_shape, large.pad_shape) == ((32, 96), (64, 64))
    assert small.batch_input_shape == (64, 96)


@pytest.mark.parametrize('dtype', [torch.uint8, torch.float32])
def test_pixels_are_mmengines_to_the_last_bit(dtype: torch.dtype) -> None:
    settings: dict = dict(
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True, pad_size_divisor=32, pad_value=7,
    )  # fmt: skip
    images = [
        torch.randint(0, 256, (3, *size)).to(dtype) for size in [(33, 70), (64, 41)]
    ]
    expected = ImgDataPreprocessor(**settings)(dict(inputs=images))['inputs']
    found = DetDataPreprocessor(**settings)(dict(inputs=images, data_samples=None))
    assert torch.equal(found['inputs'], expected)


def test_images_may_stay_as_they_are() -> None:
    found = DetDataPreprocessor()(dict(inputs=[image(3, 5)], data_samples=None))
    assert torch.equal(found['inputs'][0], image(3, 5).float())


def test_a_batch_is_channels_last() -> None:
    out = preprocessor(pad_size_divisor=32)(
        dict(inputs=[image(30, 70), image(40, 50)], data_samples=None)
    )
    assert out['inputs'].is_contiguous(memory_format=torch.channels_last)


def test_training_batches_are_padded_to_buckets_and_samples_do_not_see_it() -> None:
    element = sample([], [], (30, 70))
    batch = dict(inputs=[image(30, 70)], data_samples=[element])
    bucketed = preprocessor(pad_size_divisor=32, bucket=128)
    assert bucketed(batch, training=True)['inputs'].shape == (1, 3, 128, 128)
    assert element.pad_shape == (32, 96)
    assert bucketed(batch, training=False)['inputs'].shape == (1, 3, 32, 96)


def test_a_bucket_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match='bucket=100 is no multiple of'):
        preprocessor(pad_size_divisor=32, bucket=100)
