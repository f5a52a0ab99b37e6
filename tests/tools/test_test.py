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
OPTIONS = [
    'test_dataloader.dataset.data_root=shapes/',
    'test_dataloader.num_workers=0',
    'test_dataloader.persistent_workers=False',
    'test_evaluator.ann_file=shapes/annotations/val.json',
    'model.test_cfg.max_per_img=10',
    'model.test_cfg.score_thr=0.0',
]


def run_tool(*arguments: object) -> int:
    spec = importlib.util.spec_from_file_location('test', ROOT / 'tools' / 'test.py')
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.argv[1:] = [str(x) for x in arguments]
    return module.main()


@pytest.fixture(scope='module')
def shapes(tmp_path_factory):
    """A folder with four pictures and a detector that has learned nothing."""
    folder = tmp_path_factory.mktemp('shapes')
    write_shapes(str(folder / 'shapes'), num_train=2, num_val=4)
    torch.manual_seed(0)
    model = MODELS.build(load_config(CONFIG, []).model)
    torch.save(model.state_dict(), folder / 'weights.pth')
    return folder


@pytest.fixture
def detections(shapes, monkeypatch):
    """What the tool, given more arguments, finds on the pictures."""
    monkeypatch.chdir(shapes)
    monkeypatch.setattr(sys, 'argv', ['test.py'])

    def run(*flags: str, options: tuple[str, ...] = ()) -> list[dict]:
        out = shapes / 'found.pkl'
        arguments = [CONFIG, 'weights.pth', *flags, '--out', out]
        assert run_tool(*arguments, '--cfg-options', *OPTIONS, *options) == 0
        return pickle.loads(out.read_bytes())

    return run


def test_a_fused_detector_scores_as_it_did(detections):
    """The checkpoint is read before norms are folded, and the same is found."""
    for plain, fused in zip(detections(), detections('--fuse'), strict=True):
        assert len(plain['pred_instances']['scores']) == 10
        scores = fused['pred_instances']['scores'].tolist()
        assert plain['pred_instances']['scores'].tolist() == pytest.approx(
            scores, abs=1e-4
        )


def boxes(found: list[dict]) -> torch.Tensor:
    """``(4, 10, 4)``, each image's in a fixed order: scores are near equal."""
    rows = [x['pred_instances']['bboxes'] for x in found]
    return torch.stack([x[x.sum(1).argsort()] for x in rows])


def test_one_size_finds_what_plain_testing_finds(detections):
    plain = boxes(detections())
    official = detections(
        '--tta', 'official', options=('tta_model.scales=[(96, 128)]',)
    )
    clean = detections(
        '--tta', 'clean', options=('tta_pipeline.1.scales=[(128, 128)]',)
    )
    assert torch.allclose(boxes(official), plain, atol=1e-2)
    assert torch.allclose(boxes(clean), plain, atol=1e-2)


def test_more_sizes_and_mirrored_images_find_others(detections):
    plain = boxes(detections())
    scales = 'tta_model.scales=[(96, 128), (144, 192)]'
    official = boxes(detections('--tta', 'official', options=(scales,)))
    sizes = 'tta_pipeline.1.scales=[(128, 128), (192, 192)]'
    clean = boxes(detections('--tta', 'clean', options=(sizes,)))
    flips = 'tta_pipeline.1.flip_directions=[horizontal]'
    mirrored = boxes(detections('--tta', 'clean', options=(sizes, flips)))
    assert plain.shape == official.shape == clean.shape == mirrored.shape
    found = [plain, official, clean, mirrored]
    assert not any(
        torch.equal(x, y) for i, x in enumerate(found) for y in found[i + 1 :]
    )


def test_what_the_config_has_no_views_for_is_refused(shapes, monkeypatch, capsys):
    monkeypatch.chdir(shapes)
    monkeypatch.setattr(sys, 'argv', ['test.py'])
    assert run_tool(CONFIG, 'weights.pth', '--tta', 'config') == 2
    assert 'the config has no tta_model' in capsys.readouterr().err


def test_a_slip_in_what_is_changed_of_a_protocol_is_found(shapes, monkeypatch, capsys):
    monkeypatch.chdir(shapes)
    monkeypatch.setattr(sys, 'argv', ['test.py'])
    slip = 'tta_model.scale=[(96, 128)]'
    arguments = [CONFIG, 'weights.pth', '--tta', 'official', '--cfg-options', slip]
    assert run_tool(*arguments) == 2
    assert "tta_model.scale: RescaleTTAModel takes no argument 'scale'" in (
        capsys.readouterr().err
    )


def test_weights_that_are_not_all_there_are_refused(shapes, detections, capsys):
    weights = torch.load(shapes / 'weights.pth')
    some = {k: v for k, v in weights.items() if 'retina_cls' not in k}
    torch.save(some, shapes / 'some.pth')
    assert run_tool(CONFIG, 'some.pth', '--cfg-options', *OPTIONS) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert 'has no bbox_head.retina_cls.weight, bbox_head.retina_cls.bias' in error
    assert 'tools/checkpoints/convert.py' in error
