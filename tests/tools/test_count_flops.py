import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from freeanchor.engine import load_config

ROOT = Path(__file__).parents[2]
TOOL = ROOT / 'tools' / 'analysis' / 'count_flops.py'
RETINANET = str(ROOT / 'configs' / 'retinanet_r50_fpn_1x.py')


def load():
    spec = importlib.util.spec_from_file_location('count_flops', TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def numbers() -> dict:
    return load().count(load_config(RETINANET, []), (800, 1280))


def test_retinanet_has_the_known_size_and_cost(numbers):
    """MMDetection's table: 37.74 M, and 239.32 G multiply-adds with normalisations."""
    total = numbers['parts']['total']
    assert round(total['trained'] / 1e6, 2) == 37.74
    assert total['flops'] / 2 == pytest.approx(239.32e9, rel=0.005)


def test_the_head_costs_what_its_convolutions_cost(numbers):
    per_position = 9 * 256 * (8 * 256 + 9 * 80 + 9 * 4)  # multiply-adds
    sizes = [(100, 160), (50, 80), (25, 40), (13, 20), (7, 10)]
    positions = sum(h * w for h, w in sizes)
    head = numbers['parts']['bbox_head']
    assert head['flops'] == 2 * per_position * positions
    assert head['activations'] == (8 * 256 + 9 * 84) * positions
    assert head['parameters'] == per_position + 8 * 256 + 9 * 84
    assert [tuple(x['size']) for x in numbers['levels']] == sizes
    assert sum(x['flops'] for x in numbers['levels']) == head['flops']
    assert [x['anchors'] for x in numbers['levels']] == [9 * h * w for h, w in sizes]


def test_parts_add_up_to_the_total(numbers):
    *parts, total = numbers['parts'].values()
    for key in total:
        assert total[key] == sum(part[key] for part in parts)


def test_the_image_is_padded_as_in_training():
    found = load().count(load_config(RETINANET, []), (400, 501))
    assert found['shape'] == [416, 512]


def test_the_command_prints_a_table_and_writes_json(tmp_path):
    out = tmp_path / 'deep' / 'flops.json'
    command = [sys.executable, str(TOOL), RETINANET, '--per-level', '--out', str(out)]
    options = [
        '--shape',
        '128',
        '160',
        '--cfg-options',
        'model.bbox_head.num_classes=3',
    ]
    done = subprocess.run(
        [*command, *options], check=True, capture_output=True, text=True, cwd=tmp_path
    )
    assert '128 x 160 pixels; 1 multiply-add = 2 FLOPs' in done.stdout
    assert '16 x 20' in done.stdout
    numbers = json.loads(out.read_text())
    millions = numbers['parts']['total']['parameters'] / 1e6
    assert f'{millions:.2f} M' in done.stdout


@pytest.mark.parametrize(
    ('trunk', 'millions'), [('resnet50d', 23), ('regnety_1.6gf', 10)]
)
def test_trunks_of_other_libraries_are_counted_without_a_download(
    trunk, millions, monkeypatch
):
    pytest.importorskip('timm')
    monkeypatch.setenv('HF_HUB_OFFLINE', '1')
    path = str(ROOT / 'configs' / f'free_anchor_{trunk}_fpn_1x.py')
    numbers = load().count(load_config(path, []), (128, 128))
    parameters = numbers['parts']['backbone']['parameters']
    assert parameters == pytest.approx(millions * 1e6, rel=0.1)
