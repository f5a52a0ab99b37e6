import torch

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
