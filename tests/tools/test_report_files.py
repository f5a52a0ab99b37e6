"""What a report reads and writes, and what it leaves alone."""

import importlib
import json
import sys
from pathlib import Path

import pytest

from freeanchor.engine import load_config

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / 'tools' / 'analysis'
CONFIG = ROOT / 'configs' / 'free_anchor_r18_fpn_shapes.py'


@pytest.fixture(autouse=True)
def run(tmp_path, monkeypatch) -> Path:
    """The folder of a run whose data is elsewhere; the current one is empty."""
    monkeypatch.syspath_prepend(str(TOOLS))
    (tmp_path / 'elsewhere').mkdir()
    monkeypatch.chdir(tmp_path / 'elsewhere')
    log = tmp_path / 'work' / '20260101_000000' / 'vis_data'
    log.mkdir(parents=True)
    load_config(CONFIG, []).dump(tmp_path / 'work' / 'run.py')
    lines = [dict(loss=2 / x, lr=0.1, step=x, epoch=1) for x in range(1, 6)]
    lines.append({'coco/bbox_mAP': 0.25, 'step': 1})
    (log / 'scalars.json').write_text('\n'.join(map(json.dumps, lines)))
    return tmp_path / 'work'


@pytest.fixture
def report(run, monkeypatch):
    """Call the tool; gives its exit code."""

    def call(*arguments) -> int:
        monkeypatch.setattr(sys, 'argv', ['report.py', str(run), *map(str, arguments)])
        return importlib.import_module('report').main()

    return call


def test_curves_need_no_data_and_none_is_drawn(report, run, capsys):
    assert report() == 0
    assert list(Path().iterdir()) == []
    assert 'Left out: the training set' in capsys.readouterr().out
    page = (run / 'report.html').read_text()
    assert 'id="learning"' in page
    assert 'id="data"' not in page


@pytest.mark.parametrize('source', ['--results', '--checkpoint'])
def test_a_test_without_its_annotations_is_refused(report, source, capsys):
    assert report(source, 'found') == 2
    assert 'data/shapes/annotations/val.json' in capsys.readouterr().err
    assert list(Path().iterdir()) == []


def test_generated_shapes_that_are_there_are_described(report, run, tmp_path):
    from freeanchor.datasets.shapes import write_shapes

    write_shapes('data/shapes', num_train=3, num_val=2)
    assert report() == 0
    data = json.loads((run / 'report.json').read_text())['data']
    assert (data['training']['images'], data['test']['images']) == (3, 2)


@pytest.mark.parametrize('name', ['F.json', 'F', 'F.htm'])
def test_a_page_is_html(report, name, capsys):
    assert report('--out', name) == 2
    assert f'--out {name}: a report is an .html file' in capsys.readouterr().err
    assert list(Path().iterdir()) == []


def test_numbers_of_something_else_are_never_overwritten(report, capsys):
    Path('comparison.json').write_text('{"runs": []}')
    assert report('--out', 'comparison.html') == 2
    assert 'comparison.json is no report' in capsys.readouterr().err
    assert Path('comparison.json').read_text() == '{"runs": []}'
    assert not Path('comparison.html').exists()


def test_a_report_replaces_a_report(report):
    for _ in range(2):
        assert report('--out', 'a.html') == 0
    assert sorted(x.name for x in Path().iterdir()) == ['a.html', 'a.json']


def scalars(run: Path) -> Path:
    (path,) = run.glob('*/vis_data/scalars.json')
    return path


@pytest.mark.parametrize('half', ['{"loss": 0.1, "st', '{"loss": 0.1, "lr": 0.1', '{'])
def test_half_a_line_at_the_end_of_a_log_is_left_out(run, half):
    folder = importlib.import_module('reporting.run_folder')
    whole = folder.read_curves(run)
    path = scalars(run)
    path.write_text(f'{path.read_text()}\n{half}')
    assert folder.read_curves(run) == whole


def test_a_damaged_line_within_a_log_is_named(report, run, capsys):
    path = scalars(run)
    path.write_text('{"loss"\n' + path.read_text())
    assert report() == 2
    assert f'{path}, line 1' in capsys.readouterr().err


@pytest.mark.parametrize('name', ['$^$ bill', '_hidden'])
def test_every_name_stands_in_the_legend(name):
    charts = importlib.import_module('reporting.charts')
    lines = {name: ([1, 2], [3, 4]), 'other': ([1, 2], [3, 5])}
    for chart in (
        charts.line_chart('Lines', lines, 'x', 'y'),
        charts.histogram('Bars', {k: v[1] for k, v in lines.items()}, [0, 2, 5], 'x'),
    ):
        assert f'{name}</text>' in chart.svg
        assert 'other</text>' in chart.svg
