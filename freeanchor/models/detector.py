"""A detector: backbone, neck and head in a row, and what it is trained for."""

import inspect
from difflib import get_close_matches
from typing import Any

import torch
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from mmengine.structures import BaseDataElement, InstanceData
from torch import Tensor

from freeanchor.boxes import Scoring, select_detections
from freeanchor.boxes.candidates import Candidates
from freeanchor.boxes.select_batch import candidate_finder, suppress
from freeanchor.registry import MODELS, SCOPE
from freeanchor.structures import DensePredictions, Objects, check_objects


@MODELS.register_module()
class SingleStageDetector(BaseModel):
    """Detect objects in one pass over the image.

    Args:
        backbone: Config of the trunk.
        neck: Config of the feature pyramid.
        bbox_head: Config of the head.
        loss: Config of the training objective, a
            :class:`freeanchor.losses.DenseLoss`.
        test_cfg: Arguments of :func:`freeanchor.boxes.select_detections`.
        data_preprocessor: Config of what is done to a batch beforehand.
        init_cfg: Where to load a whole detector's weights from.
    """

    def __init__(
        self,
        backbone: dict,
        neck: dict,
        bbox_head: dict,
        loss: dict,
        test_cfg: dict,
        data_preprocessor: dict,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(MODELS.build(data_preprocessor), init_cfg)
        self.backbone = MODELS.build(backbone)
        self.neck = MODELS.build(neck)
        self.bbox_head = MODELS.build(bbox_head)
        self.loss = MODELS.build(loss)
        self.test_cfg = _checked(test_cfg)
        self.scoring = Scoring(**settings_of(test_cfg, 'rank_powers', 'score_powers'))

    def forward(
        self,
        inputs: Tensor,
        data_samples: list[BaseDataElement] | None = None,
        mode: str = 'tensor',
    ) -> Any:
        """Run the network on ``(B, 3, H, W)`` normalised images.

        Returns:
            As ``mode`` asks: ``'tensor'``, the head's
            :class:`DensePredictions`; ``'loss'``, a dict of losses;
            ``'predict'``, the samples with ``pred_instances`` (``bboxes``
            xyxy, ``scores``, ``labels``) in pixels of the original image.

        Raises:
            ValueError: An object of ``data_samples`` cannot be learned; see
                :func:`freeanchor.structures.check_objects`.
        """
        if mode not in ('tensor', 'loss', 'predict'):
            raise ValueError(f"mode is 'tensor', 'loss' or 'predict', not {mode!r}")
        if mode == 'tensor':
            return self._network(inputs)
        if data_samples is None:
            raise ValueError(f'mode={mode!r} needs data_samples')
        if mode == 'loss':
            check_objects(data_samples, self.bbox_head.num_classes)
            objects = Objects.gather(data_samples, inputs.device)
            predictions = self._network(inputs)
            with torch.autocast(inputs.device.type, enabled=False):
                return self.loss(predictions, objects)
        return self._detect(inputs, data_samples)

    def init_weights(self) -> None:
        with DefaultScope.overwrite_default_scope(SCOPE):
            super().init_weights()

    def _network(self, inputs: Tensor) -> DensePredictions:
        return self.bbox_head(self.neck(self.backbone(inputs)))

    def find_candidates(self, inputs: Tensor, limits: Tensor) -> Candidates:
        """What may be a detection in ``(B, 3, H, W)`` normalised images.

        On a GPU its shapes depend on those of ``inputs`` only, and the GPU is
        not waited for.

        Args:
            inputs: The images, padded to one size.
            limits: ``(B, 2)`` width and height without padding, pixels.
        """
        found = self._network(inputs)
        levels = list(zip(found.logits, found.deltas, found.anchors))
        settings = settings_of(self.test_cfg, 'score_thr', 'nms_pre')
        find = candidate_finder(inputs.device)
        return find(
            levels,
            found.coder,
            limits,
            **settings,
            # Of another objective the branch has learned nothing.
            quality=found.quality if self.loss.reads_quality else (),
            scoring=self.scoring,
        )

    def _detect(
        self, inputs: Tensor, samples: list[BaseDataElement]
    ) -> list[BaseDataElement]:
        sizes = [sample.img_shape[1::-1] for sample in samples]
        factors = [sample.get('scale_factor', (1.0, 1.0)) for sample in samples]
        # Some devices have no float64.
        exact = torch.float32 if inputs.device.type == 'mps' else torch.float64
        known = torch.tensor([sizes, factors], dtype=exact)
        limits, scales = known.to(inputs.device, non_blocking=True)
        candidates = self.find_candidates(inputs, limits)
        settings = settings_of(self.test_cfg, 'nms_iou', 'max_per_img', 'voting_sigma')
        found = suppress(candidates, len(samples), **settings)
        for sample, scale, (boxes, scores, labels) in zip(samples, scales, found):
            boxes = self.bbox_head.coder.to_original(boxes, scale)
            sample.pred_instances = InstanceData(
                bboxes=boxes, scores=scores, labels=labels
            )
        return samples


def _checked(test_cfg: dict) -> dict:
    valid = set(inspect.signature(select_detections).parameters)
    valid -= {'levels', 'coder', 'image_size', 'quality'}
    for key in test_cfg:
        if key not in valid:
            near = get_close_matches(key, valid, n=1) or [', '.join(sorted(valid))]
            raise ValueError(f'test_cfg has no {key!r}; did you mean {near[0]}?')
    sigma = test_cfg.get('voting_sigma')
    if sigma is not None and sigma <= 0:
        raise ValueError(
            f'test_cfg.voting_sigma={sigma}: give a number above 0, or None for none'
        )
    return test_cfg


def settings_of(test_cfg: dict, *names: str) -> dict:
    """Some of the settings, with the defaults of those that are not given."""
    defaults = inspect.signature(select_detections).parameters
    return {name: test_cfg.get(name, defaults[name].default) for name in names}
