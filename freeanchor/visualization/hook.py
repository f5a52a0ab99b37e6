"""Pictures of what a detector finds, while it is trained and when it is tested."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine import dist
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmengine.structures import BaseDataElement, InstanceData
from PIL import Image

from freeanchor.registry import HOOKS

from .drawing import draw_comparison, draw_detections
from .originals import original_of

_QUALITY = 92  # of JPEG; with full colour resolution, so that lines stay crisp


@HOOKS.register_module()
class DetVisualizationHook(Hook):
    """Draw detections on the original images and write them as JPEG files.

    The pictures of a run lie in ``WORK_DIR/TIMESTAMP/OUT_DIR``: those of a
    validation in ``epoch_N`` or ``iter_N`` (``val`` without training), those of
    a test in ``test``. Each is named after its image and the image's id. Where
    the samples hold ground truth, it stands at the left of the detections. An
    image that cannot be drawn is warned of and left out.

    Args:
        draw: Whether to draw at all.
        num_images: How many images, the first of the data set; of several
            processes each draws its share.
        score_thr: Detections below this score are not shown.
        interval: Draw in every N-th validation.
        out_dir: Name of the folder.
        show_dir: Folder for a test's pictures; with it, all images are drawn.

    Raises:
        ValueError: ``interval`` is less than 1.
    """

    priority = 'LOW'

    def __init__(
        self,
        draw: bool = True,
        num_images: int = 8,
        score_thr: float = 0.3,
        interval: int = 1,
        out_dir: str = 'pictures',
        show_dir: str | None = None,
    ) -> None:
        if interval < 1:
            raise ValueError(f'interval is 1 or more, not {interval}')
        self.draw = draw
        self.num_images = num_images
        self.score_thr = score_thr
        self.interval = interval
        self.out_dir = out_dir
        self.show_dir = show_dir
        self._left = 0
        self._step: tuple[str, int] | None = None

    def before_train(self, runner: Runner) -> None:
        self._step = _step(runner)

    def before_val_epoch(self, runner: Runner) -> None:
        due = True
        if self._step is not None:
            self._step = unit, step = _step(runner)
            last = runner.max_epochs if unit == 'epoch' else runner.max_iters
            due = step == last or step // runner.val_interval % self.interval == 0
        self._left = share(self.num_images) if self.draw and due else 0

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[BaseDataElement] | None = None,
    ) -> None:
        when = '{}_{}'.format(*self._step) if self._step else 'val'
        folder = Path(runner.log_dir) / self.out_dir / when
        self._write(outputs or (), runner.val_dataloader.dataset, folder)

    def before_test_epoch(self, runner: Runner) -> None:
        every = len(runner.test_dataloader.dataset) if self.show_dir else 0
        self._left = share(max(every, self.num_images)) if self.draw else 0

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[BaseDataElement] | None = None,
    ) -> None:
        folder = Path(self.show_dir or Path(runner.log_dir) / self.out_dir / 'test')
        self._write(outputs or (), runner.test_dataloader.dataset, folder)

    def _write(
        self, samples: Sequence[BaseDataElement], dataset: Any, folder: Path
    ) -> None:
        names = getattr(dataset, 'metainfo', {}).get('classes') or ()
        for sample in samples[: self._left]:
            self._left -= 1
            try:
                picture = draw_sample(sample, names, self.score_thr)
                folder.mkdir(parents=True, exist_ok=True)
                path = folder / f'{_name(sample)}.jpg'
                Image.fromarray(picture).save(path, quality=_QUALITY, subsampling=0)
            except OSError as error:
                # A run is worth more than a picture of it.
                print_log(
                    f'No picture of {sample.img_path}: {error}',
                    logger='current',
                    level=logging.WARNING,
                )


def _step(runner: Runner) -> tuple[str, int]:
    """How far training is; without training, asking would build its data."""
    if isinstance(runner.train_loop, EpochBasedTrainLoop):
        return 'epoch', runner.epoch
    return 'iter', runner.iter


def share(num_images: int) -> int:
    """How many of the images this process draws."""
    rank, processes = dist.get_dist_info()
    return num_images // processes + (rank < num_images % processes)


def draw_sample(
    sample: BaseDataElement, class_names: Sequence[str], score_thr: float
) -> np.ndarray:
    """The original image with its detections, and its ground truth if known.

    Args:
        sample: What the detector returned: ``pred_instances`` in pixels of the
            image at ``img_path``, which has the height and width ``ori_shape`` as
            it was annotated; perhaps ``gt_instances`` in pixels of the network's
            input.
        class_names: Name of each class.
        score_thr: Detections below this score are not shown.

    Returns:
        ``(H, W, 3)`` uint8 RGB.

    Raises:
        OSError: The image cannot be read.
    """
    image = original_of(sample)
    found = sample.pred_instances
    detections = (_array(found.bboxes), _array(found.labels), _array(found.scores))
    truth = _truth(sample)
    if truth is None:
        return draw_detections(image, *detections, class_names, score_thr)
    return draw_comparison(image, truth, detections, class_names, score_thr)


def _truth(sample: BaseDataElement) -> tuple[np.ndarray, np.ndarray] | None:
    """Ground truth in pixels of the original image."""
    objects: InstanceData | None = sample.get('gt_instances')
    if objects is None or sample.get('flip'):
        return None
    scale = np.tile(sample.get('scale_factor', (1.0, 1.0)), 2)  # w, h, w, h
    return _array(objects.bboxes) / scale, _array(objects.labels)


def _array(values: Any) -> np.ndarray:
    return values.detach().cpu().numpy()


def _name(sample: BaseDataElement) -> str:
    """The image's own name; the id tells images of two folders apart."""
    stem, identity = Path(sample.img_path).stem, sample.get('img_id')
    return stem if identity is None else f'{stem}_{identity}'
