import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import run as harness
from benchmarks.run import is_done, write
from benchmarks.tables import markdown, table

ROOT = Path(__file__).parents[2]


def report(**more) -> dict:
    return dict(
        title='A loss',
        reach='10x',
        columns=['objects', 'times faster'],
        rows=[[5, 12.3456], [20, None]],
        notes=['a note'],
        raw=dict(
            ratios=[['loss, 5 objects', 12.3, 10], ['loss, 20 objects', None, 10]],
            curves=[
                dict(
                    title='time',
                    x='objects',
                    y='s',
                    lines={
                        'ours': [[5, 0.1], [20, 0.2]],
                        'mmdet': [[5, 1], [20, None]],
                    },
                )
            ],
        ),
        machine=dict(CPU='a CPU', torch='2.6', date='then', commit='abc'),
        date='then',
        commit='abc',
        seconds=3,
        command='python -m benchmarks.run cpu --only loss',
        quick=False,
        **more,
    )


def test_numbers_table_and_plots_are_written(tmp_path):
    failed = dict(error='exit code 1\nboom', quick=False, seconds=1, command='c')
    failed |= dict(date='then', commit='abc')
    write(tmp_path, 'cpu', {'step': failed, 'loss': report()})
    assert list(json.loads((tmp_path / 'cpu.json').read_text())) == ['loss', 'step']
    page = (tmp_path / 'cpu.md').read_text()
    assert '| 5 | 12.3 |\n| 20 | - |' in page
    assert '- a note' in page
    assert 'boom' in page
    assert '| CPU | a CPU |' in page
    assert not list(tmp_path.glob('*.partial'))


def test_plots_show_curves_and_ratios(tmp_path):
    pytest.importorskip('matplotlib')
    write(tmp_path, 'gpu', {'loss': report()})
    page = (tmp_path / 'gpu.md').read_text()
    for name in ('gpu_ratios.png', 'gpu_loss.png'):
        assert f']({name})' in page
        assert (tmp_path / name).read_bytes().startswith(b'\x89PNG')


def test_suites_of_different_machines_are_told_apart():
    other = report()
    other['machine'] = dict(other['machine'], torch='2.7')
    page = markdown('cpu', {'loss': report(), 'data': report(), 'step': other}, [])
    assert '## Machine (loss, data)' in page
    assert '## Machine (step)' in page


def test_a_smoke_run_says_so():
    assert 'smoke run' in markdown('cpu', {'loss': report() | {'quick': True}}, [])
    assert 'smoke run' not in markdown('cpu', {'loss': report()}, [])


def test_cells_cannot_break_a_table():
    assert table(['a|b'], [[123.456]]) == '| a\\|b |\n| --- |\n| 123 |'


@pytest.mark.parametrize(
    ('suite', 'current', 'done'),
    [
        (None, 'abc', False),
        (report(), 'abc', True),
        (report(error='x'), 'abc', False),
        (report(), 'def', False),
        (report() | {'commit': 'abc+'}, 'abc+', False),
    ],
)
def test_only_what_this_code_measured_is_done(monkeypatch, suite, current, done):
    monkeypatch.setattr(harness, 'commit', lambda: current)
    assert is_done(suite) is done


def test_a_suite_is_stopped_at_its_limit():
    command = [sys.executable, '-c', 'import time; time.sleep(60)']
    assert harness.run(command, None, 0.5) == 'stopped after the limit of 0.5 s'


def test_a_missing_suite_is_reported_with_its_error():
    args = argparse.Namespace(where='cpu', quick=True, peer=None, limit=None)
    found = harness.measure('absent', args)
    assert "No module named 'benchmarks.absent'" in found['error']
    assert found['command'].endswith('--only absent --quick')


@pytest.mark.slow
def test_a_smoke_run_needs_no_peer(tmp_path):
    command = [sys.executable, '-m', 'benchmarks.run', 'cpu', '--quick']
    command += ['--only', 'evaluation', '--out', str(tmp_path)]
    subprocess.run(command, check=True, cwd=ROOT)
    (suite,) = json.loads((tmp_path / 'cpu.json').read_text()).values()
    assert 'equal to the last digit' in suite['notes'][0]
    assert suite['machine']['torch']
