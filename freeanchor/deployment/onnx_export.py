"""A detector as an ONNX model, with NMS inside."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, library

from freeanchor.models import SingleStageDetector
from freeanchor.models.export import keep_by_class

from .program import INPUTS, OUTPUTS, make_program
from .recipe import METADATA_KEY, Recipe
from .required import required

OPSET = 18


@library.custom_op('freeanchor::keep_by_class', mutates_args=())
def _keep(
    boxes: Tensor, scores: Tensor, labels: Tensor, num_classes: int, nms_iou: float
) -> Tensor:
    return keep_by_class(boxes, scores, labels, num_classes, nms_iou)


@_keep.register_fake
def _(
    boxes: Tensor, scores: Tensor, labels: Tensor, num_classes: int, nms_iou: float
) -> Tensor:
    return torch.empty_like(scores, dtype=torch.bool)


def write_onnx(detector: SingleStageDetector, recipe: Recipe, path: Path) -> None:
    """Write an ONNX model of opset 18 and its recipe to one file.

    Inputs and outputs are those of
    :class:`freeanchor.models.export.ExportableDetector`, under the names of
    :data:`INPUTS` and :data:`OUTPUTS`. The recipe is JSON in ``metadata_props``.

    Args:
        detector: With its weights, on the CPU; changed.
        recipe: What to do before and after.
        path: The file.

    Raises:
        ConfigError: onnx or onnxscript is not installed.
        ValueError: The detector votes.
    """
    for name in ('onnx', 'onnxscript'):
        required(name, 'onnx')
    translations: dict[Callable, Callable] = {
        torch.ops.freeanchor.keep_by_class.default: _translation()
    }
    with warnings.catch_warnings():
        # Two inputs have the same number of images, as they should.
        warnings.filterwarnings('ignore', '# The axis name')
        onnx_program = torch.onnx.export(
            make_program(detector, _keep),
            dynamo=True,
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            opset_version=OPSET,
            # Names only: the program knows which dimensions are dynamic.
            dynamic_shapes=dict(
                images={0: 'batch', 2: 'height', 3: 'width'}, sizes={0: 'batch'}
            ),
            custom_translation_table=translations,
            verbose=False,
        )
    assert onnx_program is not None
    for node in onnx_program.model.graph.all_nodes():
        node.metadata_props.clear()  # paths of this machine's source files
    onnx_program.model.metadata_props[METADATA_KEY] = recipe.to_json()
    onnx_program.save(path)


def _translation() -> Callable:
    """:func:`keep_by_class` in operators of ONNX.

    NonMaxSuppression takes a score of each box for each class: below 0 for the
    classes that a candidate is not of. It leaves out what is not above its
    threshold, so a score of 0 is raised above it.
    """
    op = required('onnxscript', 'onnx').opset18
    least = torch.finfo(torch.float32).tiny

    def translate(
        boxes: Any, scores: Any, labels: Any, num_classes: int, nms_iou: float
    ) -> Any:
        classes = op.Constant(value_ints=list(range(num_classes)))
        of_class = op.Equal(
            op.Unsqueeze(labels, op.Constant(value_ints=[1])),
            op.Unsqueeze(classes, op.Constant(value_ints=[0, 2])),
        )  # (B, C, N)
        low = op.Constant(value_float=-1.0)
        zero = op.Constant(value_float=0.0)
        is_candidate = op.GreaterOrEqual(scores, zero)
        above = op.Max(scores, op.Constant(value_float=least))
        ranks = op.Where(is_candidate, above, low)
        grid = op.Where(of_class, op.Unsqueeze(ranks, op.Constant(value_ints=[1])), low)
        found = op.NonMaxSuppression(
            boxes,
            grid,
            op.Constant(value_int=2**31 - 1),
            op.Constant(value_float=nms_iou),
            zero,
        )  # (M, 3): image, class, candidate
        rows = op.Gather(found, op.Constant(value_ints=[0, 2]), axis=1)
        # ScatterND of numbers: not every runtime has it for truth values.
        nothing = op.Mul(scores, zero)
        one = op.Expand(op.Constant(value_float=1.0), op.Shape(rows, start=0, end=1))
        return op.Greater(op.ScatterND(nothing, rows, one), zero)

    return translate
