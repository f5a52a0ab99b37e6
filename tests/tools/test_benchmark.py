import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from freeanchor.datasets.shapes import write_shapes

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / 'tools' / 'analysis'
CONFIG = ROOT / 'configs' / 'free_anchor_r18_fpn_shapes.py'
BRIEF = ('--iterations', '2', '--warmup', '1', '--num-workers', '0')
PARTS = ['data', 'preprocess', 'trunk', 'neck', 'head']


def load(name: str):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f'{name}.py')
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def shapes(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp('data') / 'shapes'
    write_shapes(root, num_train=8, num_val=4)
    return root


@pytest.fixture
def bench(monkeypatch, tmp_path, capsys, shapes):
    """Run the tool on the quick start's config, in a folder of its own."""
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, code: int = 0) -> tuple[dict, str]:
        out = tmp_path / 'found' / 'speed.json'
        data = [
            f'{x}_dataloader.dataset.data_root={shapes}/' for x in ('train', 'test')
        ]
        command = ['benchmark.py', str(CONFIG), *arguments, '--out', str(out)]
        monkeypatch.setattr(sys, 'argv', [*command, '--cfg-options', *data])
        assert load('benchmark').main() == code
        printed = capsys.readouterr()
        if code:
            assert not out.exists()
            return {}, printed.err
        return json.loads(out.read_text()), printed.out

    return run


def test_inference_is_timed_whole_and_in_stages(bench):
    numbers, printed = bench(*BRIEF)
    assert list(numbers['stages_ms']) == [*PARTS, 'postprocess']
    assert 'postprocess' in printed
    latency = numbers['latency_ms']
    assert 0 < latency['p50'] <= latency['p90'] <= latency['p99']
    whole = numbers['images_per_second_without_data']
    assert whole > numbers['images_per_second'] > 0
    assert numbers['memory_mb'] > 0


def test_a_deployed_detector_is_timed_too(bench):
    numbers, _ = bench(*BRIEF, '--deploy', '--dtype', 'bfloat16', '--batch-size', '2')
    assert numbers['batch_size'] == 2
    assert list(numbers['stages_ms']) == [*PARTS, 'postprocess']


def test_two_runs_in_one_second_are_two(bench, monkeypatch):
    monkeypatch.setattr('time.strftime', lambda *_: '20260101_000000')
    for _ in range(2):
        bench(*BRIEF, '--task', 'dataloader')


def test_training_is_timed_to_the_optimizer(bench):
    numbers, printed = bench(*BRIEF, '--task', 'train', '--batch-size', '2')
    assert list(numbers['stages_ms']) == [*PARTS, 'loss', 'backward', 'optimizer']
    assert all(x > 0 for x in numbers['stages_ms'].values())
    assert 'train of' in printed


def test_the_data_loader_is_timed_alone(bench):
    numbers, printed = bench(*BRIEF, '--task', 'dataloader', '--split', 'test')
    assert list(numbers['stages_ms']) == ['data']
    assert numbers['images_per_second'] > 0
    assert 'stage' not in printed


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--iterations', '0'], '--iterations is 1 or more'),
        (['--record'], '--record and --dtype need --deploy'),
        (['--amp'], '--amp is for --task train, not inference'),
        (['missing.pth'], 'there is no checkpoint missing.pth'),
    ],
)
def test_options_that_cannot_work_are_said_in_one_line(bench, arguments, message):
    _, error = bench(*arguments, code=2)
    assert message in error.strip().splitlines()[-1]


def test_a_stage_is_the_time_since_the_mark_before(monkeypatch):
    stages = load('stages')
    ticks = iter([0.0, 1.0, 3.0, 6.0])
    monkeypatch.setattr(stages.time, 'perf_counter', lambda: next(ticks))
    clock = stages.Clock(torch.device('cpu'))
    detector = nn.Module()
    for name in stages.PARTS:
        detector.add_module(name, nn.Identity())
    clock.watch(detector, last='postprocess')
    clock.in_stages = True
    clock.start()
    clock.finish('data')
    detector.backbone(torch.zeros(1))
    clock.finish('step')
    assert clock.seconds == {'data': 1.0, 'trunk': 2.0, 'postprocess': 3.0}


def test_percentiles_and_rates_are_those_of_whole_steps():
    stages = load('stages')
    whole = [dict(data=0.1, step=0.1 * i) for i in range(1, 6)]
    staged = [dict(data=0.1, trunk=9.0), dict(data=0.3, trunk=7.0)]
    numbers = stages.summary(whole + staged, batch_size=2)
    assert numbers['latency_ms'] == pytest.approx(dict(p50=300, p90=460, p99=496))
    assert numbers['images_per_second'] == pytest.approx(5 * 2 / 2.0)
    assert numbers['images_per_second_without_data'] == pytest.approx(5 * 2 / 1.5)
    assert numbers['stages_ms'] == pytest.approx(dict(data=200, trunk=8000))
