import importlib.util
import json
import pickle
import sys
from pathlib import Path

import pytest
import torch

from freeanchor.boxes import pairwise_iou
from freeanchor.datasets.shapes import write_shapes
from freeanchor.engine import load_config
from freeanchor.registry import MODELS

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'configs' / 'free_anchor_r18_fpn_shapes.py'


def run_tool(name: str, *arguments: object) -> int:
    path = ROOT / 'tools' / name
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.argv[1:] = [str(x) for x in arguments]
    return module.main()


@pytest.fixture
def options(tmp_path, monkeypatch) -> list[str]:
    """Four pictures and a detector of random weights."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, 'argv', ['tool.py'])
    write_shapes('shapes', num_train=2, num_val=4)
    torch.manual_seed(0)
    model = MODELS.build(load_config(CONFIG, []).model)
    torch.save(model.state_dict(), 'weights.pth')
    return [
        'test_dataloader.dataset.data_root=shapes/',
        'test_dataloader.num_workers=0',
        'test_dataloader.persistent_workers=False',
        'test_evaluator.ann_file=shapes/annotations/val.json',
    ]


def recall(found: list[dict]) -> float:
    """Mean recall over 0.50 to 0.90 of samples as tools/test.py writes them."""
    truth = json.loads(Path('shapes/annotations/val.json').read_text())
    best = []
    for sample in found:
        objects = [
            x['bbox']
            for x in truth['annotations']
            if x['image_id'] == sample['img_id'] and not x['iscrowd']
        ]
        boxes = torch.tensor(objects)
        boxes[:, 2:] += boxes[:, :2]
        best.append(pairwise_iou(boxes, sample['pred_instances']['bboxes']).amax(1))
    thresholds = torch.arange(50, 95, 5)[:, None] / 100
    return (torch.cat(best) > thresholds).double().mean().item()


def test_its_recall_after_nms_is_that_of_the_detectors_own_nms(tmp_path, options):
    """And before NMS, that of all that the detector finds without it."""
    command = [CONFIG, 'weights.pth', '--score-thr', '0.005', '--nms-pre', '200']
    out = tmp_path / 'deep' / 'nr.json'
    arguments = [*command, '--nms-iou', '0.4', '--out', out, '--cfg-options', *options]
    assert run_tool('analysis/nms_recall.py', *arguments) == 0
    numbers = json.loads(out.read_text())
    for name, nms_iou in (('before', 1.0), ('after', 0.4)):
        test_cfg = dict(
            score_thr=0.005, nms_pre=200, nms_iou=nms_iou, max_per_img=10**6
        )
        changes = [f'model.test_cfg.{key}={x}' for key, x in test_cfg.items()]
        found = tmp_path / f'{name}.pkl'
        arguments = [CONFIG, 'weights.pth', '--out', found, '--cfg-options']
        assert run_tool('test.py', *arguments, *options, *changes) == 0
        expected = recall(pickle.loads(found.read_bytes()))
        assert numbers[f'nms_recall/recall_{name}'] == pytest.approx(expected)
    assert 0 < numbers['nms_recall/recall_after'] < numbers['nms_recall/recall_before']


def test_an_evaluator_without_annotations_is_named(options, capsys):
    changes = ['test_evaluator=[{"type": "DumpResults", "out_file_path": "x.pkl"}]']
    arguments = [CONFIG, 'weights.pth', '--cfg-options', *options[:3], *changes]
    assert run_tool('analysis/nms_recall.py', *arguments) == 2
    assert 'test_evaluator has no ann_file' in capsys.readouterr().err
