"""Images of a batch to one normalised tensor on the model's device."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import ImgDataPreprocessor
from torch import Tensor

from freeanchor.registry import MODELS


@MODELS.register_module()
class DetDataPreprocessor(ImgDataPreprocessor):
    """Normalise, pad at the right and bottom, and stack.

    Takes the arguments of :class:`mmengine.model.ImgDataPreprocessor`:
    ``mean`` and ``std`` per channel, ``bgr_to_rgb`` (images are read as BGR),
    ``pad_size_divisor``, ``pad_value``. Each sample learns its ``pad_shape``
    (height and width it would be padded to alone) and
    ``batch_input_shape``.

    Images go to the device as they come, in uint8, and each is normalised in
    its place in the batch. Samples stay on the CPU, where ground truth can be
    looked at without waiting for a GPU.

    Args:
        bucket: Pixels; sides of a training batch are padded to multiples of it,
            instead of ``pad_size_divisor``, so that fewer shapes occur.
        non_blocking: Do not wait for the copy to the device.
        kwargs: Those above.

    Raises:
        ValueError: ``bucket`` is no multiple of ``pad_size_divisor``.
    """

    def __init__(
        self, bucket: int | None = None, non_blocking: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(non_blocking=non_blocking, **kwargs)
        self.bucket = bucket or self.pad_size_divisor
        if self.bucket % self.pad_size_divisor:
            raise ValueError(
                f'data_preprocessor.bucket={bucket} is no multiple of '
                f'pad_size_divisor={self.pad_size_divisor}'
            )

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """``inputs``, a list of ``(3, H, W)`` images, to one ``(B, 3, H, W)``.

        The batch is float32 in channels-last order. Images that are stacked
        already are kept in MMEngine's way.
        """
        if isinstance(data['inputs'], Tensor):
            data = super().forward(data, training)
        else:
            data = self.cast_data(data)
            divisor = self.bucket if training else self.pad_size_divisor
            data['inputs'] = self._stacked(data['inputs'], divisor)
        size = tuple(data['inputs'].shape[-2:])
        for sample in data['data_samples'] or []:
            height, width = (
                _padded(n, self.pad_size_divisor) for n in sample.img_shape[:2]
            )
            sample.set_metainfo(dict(batch_input_shape=size, pad_shape=(height, width)))
        return data

    def cast_data(self, data: Any) -> Any:
        if isinstance(data, dict):
            samples = data.get('data_samples')
            return dict(inputs=super().cast_data(data['inputs']), data_samples=samples)
        return super().cast_data(data)

    def _stacked(self, images: Sequence[Tensor], divisor: int) -> Tensor:
        height = _padded(max(x.shape[1] for x in images), divisor)
        width = _padded(max(x.shape[2] for x in images), divisor)
        batch = torch.empty(
            (len(images), images[0].shape[0], height, width),
            device=images[0].device,
            memory_format=torch.channels_last,
        )
        for image, place in zip(images, batch):
            _, h, w = image.shape
            place[:, h:].fill_(self.pad_value)
            place[:, :h, w:].fill_(self.pad_value)
            self._normalise(image, place[:, :h, :w])
        return batch

    def _normalise(self, image: Tensor, place: Tensor) -> None:
        if self._channel_conversion:
            image = image.flip(0)
        if self._enable_normalize:
            torch.sub(image, self.mean, out=place).div_(self.std)
        else:
            place.copy_(image)


def _padded(length: int, divisor: int) -> int:
    return -(-length // divisor) * divisor
