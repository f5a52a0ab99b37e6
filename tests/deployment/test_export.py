"""Files are written once for all tests: recording a network takes its time."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import pytest
import torch

from freeanchor.deployment import FORMATS, Recipe, export, load_exported
from freeanchor.deployment.agreement import DisagreementError, compare
from freeanchor.engine import ConfigError
from freeanchor.inference import Detector, detect

from .detectors import NAMES, images, small

EXAMPLE = Path(__file__).parents[2] / 'examples' / 'onnx_30_lines.py'
WRITTEN = ('onnx', 'torch')


@pytest.fixture(scope='module')
def detector() -> Detector:
    return small()


@pytest.fixture(scope='module', params=WRITTEN)
def exported(
    request: pytest.FixtureRequest,
    detector: Detector,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    if request.param == 'onnx':
        for name in ('onnx', 'onnxscript', 'onnxruntime'):
            pytest.importorskip(name)
    path = tmp_path_factory.mktemp('exported') / f'x{FORMATS[request.param].suffix}'
    export(detector, request.param, path, images())
    assert [x.name for x in path.parent.iterdir()] == [path.name]
    return path


@pytest.mark.slow
@pytest.mark.parametrize('batch_size', [1, 2, 5])
def test_an_exported_detector_finds_the_same(
    exported: Path, detector: Detector, batch_size: int
) -> None:
    ours, theirs = (
        detect(x, images(), score_thr=0.0, batch_size=batch_size)
        for x in (load_exported(exported), detector)
    )
    agreement = compare(ours, theirs, 'abcde')
    assert agreement.num_detections > 100
    assert [x.ori_shape for x in ours] == [x.shape[:2] for x in images()]
    assert {name for x in ours for name in x.names} <= set(NAMES)
    assert all((x.scores.diff() <= 0).all() for x in ours)


@pytest.mark.slow
def test_a_file_does_not_tell_where_it_was_made(exported: Path) -> None:
    place = str(Path(__file__).parents[2]).encode()
    contents = [exported.read_bytes()]
    if exported.suffix == '.pt2':
        with zipfile.ZipFile(exported) as archive:
            contents = [archive.read(name) for name in archive.namelist()]
    assert not any(place in x for x in contents)


@pytest.mark.slow
@pytest.mark.parametrize('exported', ['onnx'], indirect=True)
def test_onnx_names_the_dimensions_that_may_change(exported: Path) -> None:
    inputs = pytest.importorskip('onnxruntime').InferenceSession(exported).get_inputs()
    shapes = {x.name: x.shape for x in inputs}
    assert shapes['images'] == ['batch', 3, 'height', 'width']
    assert shapes['sizes'] == ['batch', 2]


@pytest.mark.slow
def test_one_image_of_a_batch_may_have_no_detection(exported: Path) -> None:
    model = load_exported(exported)
    # No box has an area in an image of no size.
    sizes = torch.tensor([[64.0, 64.0], [0.0, 0.0]])
    boxes, scores, labels, counts = model.run(torch.randn(2, 3, 64, 64), sizes)
    assert counts[0] > 0 == counts[1]
    assert not boxes[1].any()
    assert not scores[1].any()
    assert (labels[1] == -1).all()


@pytest.mark.slow
def test_no_image_of_a_batch_need_have_a_detection(exported: Path) -> None:
    model = load_exported(exported)
    boxes, _, _, counts = model.run(torch.zeros(1, 3, 33, 257), torch.zeros(1, 2))
    assert counts.tolist() == [0]
    assert not boxes.any()


@pytest.mark.slow
@pytest.mark.parametrize('exported', ['onnx'], indirect=True)
def test_the_example_without_this_package_finds_the_same(
    exported: Path, detector: Detector, tmp_path: Path
) -> None:
    # Of the size that images are resized to: Pillow has nothing to resize.
    photo = tmp_path / 'photo.png'
    cv2.imwrite(str(photo), cv2.resize(images()[0], (160, 120)))
    command = [sys.executable, str(EXAMPLE), str(exported), str(photo)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (found,) = detect(detector, photo, score_thr=0.3)
    assert len(found) > 5
    rows = [
        re.fullmatch(r'(\w+) ([\d.]+) (\[.*\])', x) for x in done.stdout.splitlines()
    ]
    assert [row[1] for row in rows] == found.names
    for row, score, box in zip(rows, found.scores, found.bboxes, strict=True):
        assert float(row[2]) == pytest.approx(float(score), abs=0.006)
        assert json.loads(row[3]) == pytest.approx(box.tolist(), abs=0.06)


@pytest.mark.slow
@pytest.mark.parametrize('exported', ['onnx'], indirect=True)
def test_a_file_that_finds_something_else_is_not_left(
    exported: Path,
    detector: Detector,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def another(model: object, recipe: Recipe, path: Path) -> None:
        shutil.copy(exported, path)

    monkeypatch.setitem(FORMATS, 'onnx', FORMATS['onnx']._replace(write=another))
    out = tmp_path / exported.name
    export(detector, 'onnx', out, images())
    out.unlink()
    shorter = small()
    shorter.model.test_cfg['max_per_img'] = 5
    with pytest.raises(DisagreementError, match=r'image 1: 100 detections .* 5 by'):
        export(shorter, 'onnx', out, images())
    assert not list(tmp_path.iterdir())


def test_voting_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    detector = small()
    detector.model.test_cfg['voting_sigma'] = 0.025
    with pytest.raises(ValueError, match='score voting cannot be exported'):
        export(detector, 'torch', tmp_path / 'x.pt2', images())
    assert not list(tmp_path.iterdir())


def test_the_name_must_end_as_the_format_does(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'x\.onnx: .* ends with \.pt2'):
        export(small(), 'torch', tmp_path / 'x.onnx', images())


def test_a_missing_file_and_one_of_another_kind_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'no exported detector .*x\.onnx'):
        load_exported(tmp_path / 'x.onnx')
    for name in ('x.pth', 'x.pt2', 'x.onnx'):
        if name == 'x.onnx':
            pytest.importorskip('onnxruntime')
        (tmp_path / name).write_text('nothing')
        with pytest.raises(ConfigError, match=name):
            load_exported(tmp_path / name)
