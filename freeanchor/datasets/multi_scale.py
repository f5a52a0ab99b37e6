"""Several views of an image for test-time augmentation."""

from collections.abc import Sequence

from mmcv import transforms

from freeanchor.registry import TRANSFORMS


@TRANSFORMS.register_module()
class MultiScaleFlipAug(transforms.BaseTransform):
    """Every scale of an image, as it is and flipped, each ready for the detector.

    MMCV's ``TestTimeAug`` of ``Resize``, ``RandomFlip`` and ``PackDetInputs``,
    with what is mostly changed as keys of their own. Stands last in a pipeline;
    :class:`freeanchor.models.DetTTAModel` takes what it gives: ``inputs`` and
    ``data_samples``, lists with one entry for each view.

    Args:
        scales: Longer and shorter side at most; the ratio is kept.
        flip_directions: ``'horizontal'``, ``'vertical'`` or ``'diagonal'``,
            each another view of every scale.
        backend: What resizes, ``'cv2'`` or ``'pillow'``.
    """

    def __init__(
        self,
        scales: Sequence[tuple[int, int]],
        flip_directions: Sequence[str] = (),
        backend: str = 'cv2',
    ) -> None:
        sizes = [
            dict(type='Resize', scale=tuple(x), keep_ratio=True, backend=backend)
            for x in scales
        ]
        flips: list[dict] = [dict(type='RandomFlip', prob=0.0)]
        flips += [
            dict(type='RandomFlip', prob=1.0, direction=x) for x in flip_directions
        ]
        steps = [sizes, flips, [dict(type='PackDetInputs')]]
        self.views = TRANSFORMS.build(dict(type='TestTimeAug', transforms=steps))

    def transform(self, results: dict) -> dict[str, list]:
        return self.views(results)
