import importlib.util
import pickle
import sys
from pathlib import Path

import pytest
import torch

from freeanchor.datasets.shapes import write_shapes
from freeanchor.engine import load_config
from freeanchor.registry import MODELS

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'configs' / 'free_anchor_r18_fpn_shapes.py'


def run_tool(*arguments: object) -> int:
    spec = importlib.util.spec_from_file_location('test', ROOT / 'tools' / 'test.py')
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.argv[1:] = [str(x) for x in arguments]
    return module.main()


def test_a_fused_detector_scores_as_it_did(tmp_path, monkeypatch):
    """The checkpoint is read before norms are folded, and the same is found."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, 'argv', ['test.py'])
    write_shapes('shapes', num_train=2, num_val=4)
    torch.manual_seed(0)
    model = MODELS.build(load_config(CONFIG, []).model)
    torch.save(model.state_dict(), 'weights.pth')
    options = [
        'test_dataloader.dataset.data_root=shapes/',
        'test_dataloader.num_workers=0',
        'test_dataloader.persistent_workers=False',
        'test_evaluator.ann_file=shapes/annotations/val.json',
        'model.test_cfg.max_per_img=10',
    ]
    found = []
    for flags in ([], ['--fuse']):
        out = tmp_path / f'{len(flags)}.pkl'
        arguments = [CONFIG, 'weights.pth', *flags, '--out', out]
        assert run_tool(*arguments, '--cfg-options', *options) == 0
        found.append(pickle.loads(out.read_bytes()))
    for plain, fused in zip(*found, strict=True):
        assert len(plain['pred_instances']['scores']) == 10
        scores = fused['pred_instances']['scores'].tolist()
        assert plain['pred_instances']['scores'].tolist() == pytest.approx(
            scores, abs=1e-4
        )
