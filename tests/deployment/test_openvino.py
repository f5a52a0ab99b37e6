"""An exported file in OpenVINO, which reads ONNX without us."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from freeanchor.deployment import export, load_exported
from freeanchor.deployment.agreement import compare
from freeanchor.inference import detect

from .detectors import images, small


@pytest.mark.slow
def test_openvino_finds_what_the_detector_finds(tmp_path: Path) -> None:
    for name in ('onnx', 'onnxscript', 'onnxruntime'):
        pytest.importorskip(name)
    openvino = pytest.importorskip('openvino')
    detector, path = small(), tmp_path / 'x.onnx'
    export(detector, 'onnx', path, images()[:1])
    network = openvino.Core().compile_model(
        path, 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'}
    )

    def run(batch: Tensor, sizes: Tensor) -> list[Tensor]:
        found = network([batch.numpy(), sizes.numpy()])
        return [torch.from_numpy(found[i].copy()) for i in range(len(network.outputs))]

    theirs = replace(load_exported(path), run=run)
    for batch_size in (1, 3):
        found, expected = (
            detect(x, images(), score_thr=0.0, batch_size=batch_size)
            for x in (theirs, detector)
        )
        assert compare(found, expected, 'abcde').num_detections > 100
