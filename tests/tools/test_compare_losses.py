import importlib
import json
import math
import signal
import sys
from argparse import Namespace
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import BaseDataElement, InstanceData

from freeanchor.engine import ConfigError, load_config
from freeanchor.engine.exit_codes import STOPPED
from freeanchor.registry import MODELS
from tests.faults.runs import finish, kill, start_command, toy_config, wait_for

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / 'tools' / 'analysis'
COMPARE = ROOT / 'configs' / 'compare'
SETS = dict(shapes=6, bccd=3, raccoon=1)
OBJECTIVES = {
    'retina': 'RetinaLoss',
    'free_anchor': 'FreeAnchorLoss',
    'ltm': 'LTMLoss',
    'atss': 'ATSSLoss',
    'paa': 'PAALoss',
    'tal': 'TALLoss',
    'auto_assign': 'AutoAssignLoss',
}


@pytest.fixture
def module(monkeypatch):
    """Loads a file of ``tools/analysis`` as the tools themselves do."""
    monkeypatch.syspath_prepend(str(TOOLS))

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    yield load
    for path in TOOLS.glob('*.py'):
        sys.modules.pop(path.stem, None)


def arguments(*configs: Path | str, **settings) -> Namespace:
    defaults = dict(out=Path('out'), seeds=[0], vary=[], jobs=1, cfg_options=[])
    return Namespace(configs=[str(x) for x in configs], **{**defaults, **settings})


def outcome(module, name: str, seed: int, failure: str | None = None, **numbers):
    runs = module('compared_runs')
    if failure is not None:
        return runs.Outcome(name, seed, failure=failure)
    full = {x: numbers.get(x, math.nan) for x in runs.NUMBERS}
    return runs.Outcome(name, seed, numbers=full)


def test_each_value_of_each_key_is_a_row_with_one_change(module):
    args = arguments('a/one.py', vary=['model.loss.bag_size=25,50', 'model.x=1'])
    args.cfg_options = ['log_level=INFO']
    rows = module('compare_losses').variants(args)
    assert rows == {
        'one': ('a/one.py', ('log_level=INFO',)),
        'one bag_size=25': ('a/one.py', ('log_level=INFO', 'model.loss.bag_size=25')),
        'one bag_size=50': ('a/one.py', ('log_level=INFO', 'model.loss.bag_size=50')),
        'one x=1': ('a/one.py', ('log_level=INFO', 'model.x=1')),
    }


@pytest.mark.parametrize(
    ('configs', 'vary', 'message'),
    [
        (['a/one.py', 'b/one.py'], [], "called 'one'"),
        (['one.py'], ['model.loss.bag_size'], 'KEY=VALUE,VALUE'),
        (['one.py'], ['=1'], 'KEY=VALUE,VALUE'),
    ],
)
def test_rows_that_cannot_be_told_apart_are_refused(module, configs, vary, message):
    with pytest.raises(ConfigError, match=message):
        module('compare_losses').variants(arguments(*configs, vary=vary))


def test_a_slip_in_the_last_config_is_found_before_the_first_run(module, tmp_path):
    config = COMPARE / 'shapes' / 'free_anchor.py'
    args = arguments(config, vary=['model.loss.bag_sizes=25'], out=tmp_path)
    with pytest.raises(ConfigError, match='bag_size'):
        module('compare_losses').planned(args)


def test_a_folder_of_another_config_is_not_gone_on_with(module, tmp_path):
    tool, runs = module('compare_losses'), module('compared_runs')
    config = COMPARE / 'shapes' / 'free_anchor.py'
    (run,), _ = tool.planned(arguments(config, out=tmp_path))
    runs.write_state(run, runs.read_state(run))
    tool.planned(arguments(config, out=tmp_path))
    changed = arguments(config, out=tmp_path, cfg_options=['train_cfg.max_epochs=1'])
    with pytest.raises(ConfigError, match=r'free_anchor/seed0.* another --out'):
        tool.planned(changed)


def test_rows_have_the_mean_and_the_deviation_of_a_sample(module):
    outcomes = [outcome(module, 'a', i, AP=x) for i, x in enumerate((30.0, 31.0, 35.0))]
    outcomes += [outcome(module, 'b', 0, AP=7.0), outcome(module, 'b', 1, 'no memory')]
    first, second = module('comparison_table').summarise(['a', 'b'], outcomes)
    assert first['mean']['AP'] == 32
    assert first['deviation']['AP'] == pytest.approx(math.sqrt(14 / 2))
    assert math.isnan(first['mean']['AP slender'])
    assert (second['mean']['AP'], second['finished']) == (7, 1)
    assert math.isnan(second['deviation']['AP'])


def test_the_report_tells_numbers_failures_and_what_differs(module):
    tables = module('comparison_table')
    outcomes = [
        outcome(module, 'a', 0, AP=30.0, **{'step time (s)': 0.1234}),
        outcome(module, 'a', 1, AP=31.0, **{'step time (s)': 0.2}),
        outcome(module, 'b', 0, 'train ended with exit code 4: a loss of NaN'),
    ]
    rows = tables.summarise(['a', 'b'], outcomes)
    settings = {
        name: dict(model=dict(loss=dict(type=name), stds=[std, std]), seed=1)
        for name, std in (('a', 1.0), ('b', 0.1))
    }
    text = tables.report(['`the command`'], rows, tables.differences(settings))
    assert '`the command`' in text
    assert '| a | 2/2 | 30.5 ± 0.7 | - |' in text
    assert '0.162 ± 0.054' in text
    assert '| b | 0/1 | - |' in text
    assert '- b, seed 0: train ended with exit code 4: a loss of NaN' in text
    assert '| `model.stds` | [1.0, 1.0] | [0.1, 0.1] |' in text
    assert 'model.loss' not in text
    assert 'seed |' not in text


def test_nothing_that_differs_is_said_too(module):
    tables = module('comparison_table')
    rows = tables.summarise(['a'], [outcome(module, 'a', 0, AP=1.0)])
    assert 'Nothing differs beside the loss.' in tables.report([], rows, {})


def test_numbers_that_are_none_are_null_in_the_file(module):
    text = module('comparison_table').as_json(dict(a=[math.nan, 1.0], b=dict(c='x')))
    assert json.loads(text) == dict(a=[None, 1.0], b=dict(c='x'))
    assert 'NaN' not in text


def test_the_picture_has_something_in_each_row(module, tmp_path):
    pytest.importorskip('matplotlib')
    outcomes = [
        outcome(module, name, seed, **{'AP': 30.0 + seed + 3 * i, 'NMS recall': 80.0})
        for i, name in enumerate('abc')
        for seed in range(3)
    ]
    rows = module('comparison_table').summarise('abc', outcomes)
    assert module('comparison_plot').draw(rows, 'title', tmp_path / 'x.png')
    picture = cv2.imread(str(tmp_path / 'x.png')).astype(int)
    blue, _, red = np.moveaxis(picture, 2, 0)
    heights = np.flatnonzero((blue - red > 120).any(axis=1))
    assert len(heights[:1]) == 1
    gaps = np.flatnonzero(np.diff(heights) > 5)
    assert len(gaps) >= 2, 'three rows of dots, above the legend'


def test_a_picture_of_nothing_is_drawn_too(module, tmp_path):
    pytest.importorskip('matplotlib')
    rows = module('comparison_table').summarise(['a'], [outcome(module, 'a', 0, 'x')])
    assert module('comparison_plot').draw(rows, 'title', tmp_path / 'x.png')
    assert (tmp_path / 'x.png').is_file()


def test_the_last_words_of_a_step_are_its_error(module, tmp_path):
    runs = module('compared_runs')
    run = runs.Run('a', 'a.py', (), 0, tmp_path, '')
    log = tmp_path / 'train.txt'
    for text, expected in [
        ('line\nerror: no such file\n', 'no such file'),
        ('Traceback\n  File\nValueError: odd\nthreads end\n', 'ValueError: odd'),
        ('only this\n', 'only this'),
        ('', 'it said nothing'),
    ]:
        log.write_text(text)
        assert runs.last_words(run, 'train') == expected


@pytest.mark.parametrize('data', SETS)
def test_every_objective_has_a_config_on_every_set(data):
    assert {x.stem for x in (COMPARE / data).glob('*.py')} == set(OBJECTIVES)


@pytest.mark.parametrize('data', SETS)
@pytest.mark.parametrize('name', OBJECTIVES)
def test_the_compared_configs_differ_in_the_objective_alone(module, data, name):
    base = load_config(COMPARE / data / 'retina.py').to_dict()
    cfg = load_config(COMPARE / data / f'{name}.py').to_dict()
    assert cfg['model']['loss']['type'] == OBJECTIVES[name]
    assert cfg['model']['bbox_head']['num_classes'] == SETS[data]
    assert cfg['model']['loss'].get('num_classes', SETS[data]) == SETS[data]
    declared = {
        'model.bbox_head.type',
        'model.bbox_head.num_groups',
        'model.bbox_head.bbox_coder.stds',
        'model.test_cfg.rank_powers',
        'model.test_cfg.score_powers',
    }
    if name == 'auto_assign':
        ratios, scales = 'ratios', 'scales_per_octave'
        declared |= {f'model.bbox_head.anchor_generator.{x}' for x in (ratios, scales)}
        generator = cfg['model']['bbox_head']['anchor_generator']
        scale = cfg['model']['loss']['anchor_scale']
        assert scale == generator['octave_base_scale']
    differ = module('comparison_table').differences(dict(base=base, this=cfg))
    assert set(differ) <= declared


@pytest.mark.parametrize('name', OBJECTIVES)
def test_every_compared_detector_takes_a_step(name):
    torch.manual_seed(0)
    model = MODELS.build(load_config(COMPARE / 'shapes' / f'{name}.py').model)
    model.init_weights()
    objects = InstanceData(
        bboxes=torch.tensor([[10, 10, 60, 40], [70, 30, 90, 90]]).float(),
        labels=torch.tensor([0, 5]),
    )
    sample = BaseDataElement(gt_instances=objects)
    sample.set_metainfo(dict(img_shape=(96, 128)))
    losses = model(torch.randn(2, 3, 96, 128), [sample, sample.clone()], mode='loss')
    sum(x for key, x in losses.items() if 'loss' in key).backward()
    for key, weight in model.named_parameters():
        assert weight.grad is not None, f'{key} has no gradient'
        assert weight.grad.isfinite().all(), key


def write_configs(folder: Path) -> list[str]:
    """A row that trains for an epoch, and one whose data lack boxes."""
    toy_config(folder, train_cfg=dict(max_epochs=1), param_scheduler=[])
    (folder / 'works.py').write_text("_base_ = './toy.py'\n")
    pipeline = [dict(type='LoadImageFromFile')]
    broken = dict(dataset=dict(pipeline=pipeline))
    text = f"_base_ = './toy.py'\ntrain_dataloader = {broken!r}\n"
    (folder / 'broken.py').write_text(text)
    return [sys.executable, str(TOOLS / 'compare_losses.py'), 'works.py', 'broken.py']


@pytest.mark.slow
def test_a_comparison_goes_on_after_a_stop_and_after_failures(tmp_path):
    command = [*write_configs(tmp_path), '--seeds', '3', '--out', 'out']
    stopped = start_command(command, tmp_path)
    works = tmp_path / 'out' / 'runs' / 'works' / 'seed3'
    try:
        wait_for((works / 'train.txt').is_file, timeout=120)
        stopped._process.send_signal(signal.SIGTERM)
        code, text = finish(stopped, timeout=120)
    finally:
        kill(stopped)
    assert code == STOPPED, text
    assert 'the same command goes on' in text

    code, text = finish(start_command(command, tmp_path), timeout=600)
    assert code == 0, text
    assert '[2/2] broken, seed 3: failed, train ended with exit code' in text
    found = json.loads((tmp_path / 'out' / 'comparison.json').read_text())
    row, broken = found['rows']
    (run,) = row['runs']
    assert run['seed'] == 3
    assert run['numbers']['AP'] >= 0
    assert run['numbers']['step time (s)'] > 0
    assert run['numbers']['memory (MiB)'] > 100
    assert broken['runs'][0]['failure'].startswith('train ended with exit code')
    assert 'works | 1/1' in (tmp_path / 'out' / 'comparison.md').read_text()

    before = {x: x.stat().st_mtime_ns for x in works.rglob('*') if x.is_file()}
    code, text = finish(start_command(command, tmp_path), timeout=600)
    assert code == 0, text
    after = {x: x.stat().st_mtime_ns for x in works.rglob('*') if x.is_file()}
    del before[works / 'run.json'], after[works / 'run.json']
    assert after == before, 'what is finished is not run again'
