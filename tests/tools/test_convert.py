"""The converter's command line: what it writes and what it tells."""

import json
import subprocess
import sys

import pytest
import torch

from freeanchor.engine import read_checkpoint
from freeanchor.engine.conversion import convert
from tests.engine.foreign_models import Detectron2, Official
from tests.engine.test_conversion_mmdet import small, write_3x

TOOL = 'tools/checkpoints/convert.py'


def run(*args):
    return subprocess.run(
        [sys.executable, TOOL, *map(str, args)], capture_output=True, text=True
    )


@pytest.fixture(scope='module')
def detectron2(tmp_path_factory):
    path = tmp_path_factory.mktemp('d2') / 'model_final.pth'
    torch.manual_seed(0)
    state = {**Detectron2(80).state_dict(), 'extra.thing': torch.ones(1)}
    torch.save(dict(model=state), path)
    return path


def test_it_writes_our_names_and_tells_what_it_did(detectron2, tmp_path):
    done = run(detectron2, tmp_path / 'net.pth')
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert 'source: detectron2' in lines
    assert 'not understood, left out: extra.thing' in lines
    assert 'for: configs/retinanet_r50_fpn_detectron2.py' in lines
    (path,) = tmp_path.glob('net-????????.pth')
    assert lines[-1] == f'written: {path}'
    checkpoint = read_checkpoint(path)
    assert checkpoint['meta']['box_stds'] == [1.0, 1.0, 1.0, 1.0]
    again = convert(checkpoint)
    assert again.source.name == 'freeanchor'
    assert again.settings.stds == (1.0, 1.0, 1.0, 1.0)


def test_for_a_config_the_boxes_are_rescaled(detectron2, tmp_path):
    pytest.importorskip('safetensors')
    config = 'configs/free_anchor_r50_fpn_1x.py'
    done = run(detectron2, tmp_path / 'net', '--config', config)
    assert done.returncode == 0, done.stderr
    assert f'fits {config}' in done.stdout
    (path,) = tmp_path.glob('net-*.safetensors')
    read = read_checkpoint(path)
    assert json.loads(read['meta']['box_stds']) == [0.1, 0.1, 0.2, 0.2]
    plain = convert(read_checkpoint(detectron2)).weights['bbox_head.retina_reg.bias']
    scaled = read['state_dict']['bbox_head.retina_reg.bias'].reshape(9, 4)
    torch.testing.assert_close(
        scaled, plain.reshape(9, 4) * torch.tensor([10.0, 10, 5, 5])
    )


def test_classes_are_kept_and_named(tmp_path):
    path = write_3x(tmp_path / 'in.pth', small().state_dict())
    done = run(path, tmp_path / 'net.pth', '--from', 'mmdet3')
    assert done.returncode == 0, done.stderr
    assert 'trunk r18, 3 classes, box stds (0.1, 0.1, 0.2, 0.2)' in done.stdout
    (written,) = tmp_path.glob('net-*.pth')
    meta = read_checkpoint(written)['meta']
    assert meta['dataset_meta'] == dict(classes=('a', 'b', 'c'))


@pytest.mark.parametrize(
    ('args', 'reason'),
    [
        (['--from', 'torchvision'], 'no checkpoint of torchvision: it looks like'),
        (['--config', 'configs/free_anchor_r50_fpn_1x.py'], 'does not fit configs/'),
    ],
)
def test_what_does_not_fit_is_refused_in_a_line(args, reason, tmp_path):
    path = tmp_path / 'in.pth'
    torch.save(Official(3).state_dict(), path)
    done = run(path, tmp_path / 'net.pth', *args)
    assert done.returncode == 2
    assert reason in done.stderr
    assert done.stderr.count('\n') == 1
    assert not list(tmp_path.glob('net*'))
