"""Images of a batch to one normalised tensor on the model's device."""

from typing import Any

from mmengine.model import ImgDataPreprocessor

from freeanchor.registry import MODELS


@MODELS.register_module()
class DetDataPreprocessor(ImgDataPreprocessor):
    """Normalise, pad at the right and bottom, and stack.

    Takes the arguments of :class:`mmengine.model.ImgDataPreprocessor`:
    ``mean`` and ``std`` per channel, ``bgr_to_rgb`` (images are read as BGR),
    ``pad_size_divisor``, ``pad_value``. Each sample learns its ``pad_shape``
    (height and width it would be padded to alone) and
    ``batch_input_shape``.

    Images go to the device as they come, in uint8. Samples stay on the CPU,
    where ground truth can be looked at without waiting for a GPU.
    """

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """``inputs``: a list of ``(3, H, W)`` images, to ``(B, 3, H, W)`` float32."""
        data = super().forward(data, training)
        size = tuple(data['inputs'].shape[-2:])
        for sample in data['data_samples'] or []:
            height, width = (self._padded(n) for n in sample.img_shape[:2])
            sample.set_metainfo(dict(batch_input_shape=size, pad_shape=(height, width)))
        return data

    def cast_data(self, data: Any) -> Any:
        if isinstance(data, dict):
            samples = data.get('data_samples')
            return dict(inputs=super().cast_data(data['inputs']), data_samples=samples)
        return super().cast_data(data)

    def _padded(self, length: int) -> int:
        divisor = self.pad_size_divisor
        return -(-length // divisor) * divisor
