"""The report on a run, read as its numbers and seen by a browser."""

import importlib
import json
import pickle
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch

from freeanchor.datasets.shapes import write_shapes
from freeanchor.engine import load_config

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / 'tools' / 'analysis'
CONFIG = ROOT / 'configs' / 'free_anchor_r18_fpn_shapes.py'
CHROMIUM = shutil.which('chromium') or shutil.which('google-chrome')
NAMES = ('rod', 'elbow', 'disc', 'ring', 'brick', 'triangle')
EVIL = '<script>document.title = "run"</script>'

# What a visitor does, written to the page for the test to read.
VISIT = """<pre id="seen"></pre><script>
const choose = (element, value) => {
  element.value = value;
  element.dispatchEvent(new Event('change'));
};
const names = () => shown().map((card) => card.dataset.name).sort();
const seen = {all: names(), title: document.title};
seen.width = [document.documentElement.scrollWidth, window.innerWidth];
choose(kind, 'missed');
seen.missed = names();
seen.dim = document.querySelectorAll('rect.dim[data-kind=missed]').length;
choose(label, 'disc');
seen.both = names();
seen.status = document.getElementById('count').textContent;
document.getElementById('reset').click();
seen.reset = names();
shown()[0].querySelector('button').click();
seen.opened = viewer.open && document.getElementById('viewer-name').textContent;
seen.findings = document.querySelectorAll('#viewer-findings li').length;
viewer.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight'}));
seen.next = document.getElementById('viewer-name').textContent;
document.getElementById('seen').textContent = JSON.stringify(seen);
</script>"""


@pytest.fixture(scope='module')
def run(tmp_path_factory) -> Path:
    """The folder of a run, its data, and detections of its test."""
    folder = tmp_path_factory.mktemp('report')
    write_shapes(folder / 'shapes', num_train=2, num_val=12)
    options = [
        *(
            f'{x}_dataloader.dataset.data_root={folder}/shapes/'
            for x in ('train', 'test')
        ),
        f'test_evaluator.ann_file={folder}/shapes/annotations/val.json',
    ]
    work = folder / 'work'
    log = work / '20260101_000000' / 'vis_data'
    log.mkdir(parents=True)
    load_config(CONFIG, options).dump(work / 'run.py')
    lines = [
        dict(loss=2 / x, positive_bag_loss=1 / x, lr=0.1 / x, step=x, epoch=1)
        for x in range(1, 6)
    ]
    lines += [{'coco/bbox_mAP': x / 10, 'step': x} for x in (1, 3, 2)]
    (log / 'scalars.json').write_text('\n'.join(map(json.dumps, lines)))
    (folder / 'found.pkl').write_bytes(pickle.dumps(detections(folder / 'shapes')))
    return folder


def detections(data: Path) -> list[dict]:
    """Half of the objects, some out of place, and something in the corner."""
    random = np.random.RandomState(0)
    content = json.loads((data / 'annotations' / 'val.json').read_text())
    label_of = {x['id']: NAMES.index(x['name']) for x in content['categories']}
    samples = []
    for image in content['images']:
        rows = [[0.0, 0.0, 5.0, 5.0, 0.6, 2]]
        for x in content['annotations']:
            if x['image_id'] == image['id'] and random.rand() < 0.5:
                left, top, width, height = np.array(x['bbox']) + random.normal(0, 3, 4)
                box = [left, top, left + max(1, width), top + max(1, height)]
                rows.append([*box, random.rand(), label_of[x['category_id']]])
        table = torch.tensor(rows)
        found = dict(bboxes=table[:, :4], scores=table[:, 4], labels=table[:, 5].long())
        samples.append(
            dict(
                img_id=image['id'],
                img_path=str(data / 'val' / image['file_name']),
                ori_shape=(image['height'], image['width']),
                pred_instances=found,
            )
        )
    return samples


def report(run: Path, *arguments: str) -> int:
    """The exit code of the tool, called in the folder of the data."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(run)
        patch.syspath_prepend(str(TOOLS))
        patch.setattr(sys, 'argv', ['report.py', 'work', *arguments])
        return importlib.import_module('report').main()


@pytest.fixture(scope='module')
def page(run) -> Path:
    assert report(run, '--results', 'found.pkl', '--score-thr', '0.3') == 0
    return run / 'work' / 'report.html'


def numbers(page: Path) -> dict:
    return json.loads(page.with_suffix('.json').read_text())


def test_the_numbers_are_those_of_the_metric(run, page):
    from freeanchor.evaluation import CocoMetric

    metric = CocoMetric(f'{run}/shapes/annotations/val.json', classwise=True)
    content = json.loads((run / 'shapes/annotations/val.json').read_text())
    id_of = {x['name']: x['id'] for x in content['categories']}
    metric.dataset_meta = dict(classes=NAMES, cat_ids=[id_of[x] for x in NAMES])
    samples = pickle.loads((run / 'found.pkl').read_bytes())
    metric.process({}, samples)
    expected = metric.evaluate(len(samples))
    found = numbers(page)['numbers']
    assert found['overall']['bbox_mAP'] == expected['coco/bbox_mAP']
    assert found['errors']['AP50'] == pytest.approx(expected['coco/bbox_mAP_50'])
    by_class = {x['name']: x['AP'] for x in found['classes']}
    assert by_class == {x: expected[f'coco/{x}_precision'] for x in NAMES}


def test_groups_share_out_all_objects(page):
    found = numbers(page)
    objects = found['data']['test']['objects']
    for group in ('size', 'slenderness', 'crowding', 'classes'):
        assert sum(x['objects'] for x in found['numbers'][group]) == objects
    of_objects = [sum(row) for row in found['numbers']['confusion'][:-1]]
    assert sum(of_objects) == objects


def test_the_worst_images_come_first_and_every_kind_of_error_is_shown(page):
    found = numbers(page)['numbers']
    badness = [x['badness'] for x in found['worst_images']]
    assert badness == sorted(badness, reverse=True)
    shown = {y['kind'] for x in found['worst_images'] for y in x['findings']}
    counts = found['errors']['above_threshold']
    assert shown == {k for k, n in counts.items() if n} - {'correct', 'ignored'}


class Page(HTMLParser):
    """Elements, and every address that they name."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.headings: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        values = dict(attrs)
        names = ('src', 'href', 'xlink:href', 'action')
        self.addresses += [values[x] for x in names if x in values]
        self.ids += [values['id']] if 'id' in values else []
        self.headings += [tag] if tag in ('h1', 'h2') else []


def test_the_page_needs_no_other_file(page):
    text = page.read_text()
    found = Page(text)
    assert [x for x in found.addresses if not x.startswith(('data:', '#'))] == []
    assert '@import' not in text
    assert re.findall(r'url\((?!#)', text) == []
    assert found.headings[0] == 'h1'


def test_identifiers_are_unique_and_links_lead_somewhere(page):
    found = Page(page.read_text())
    assert sorted(set(found.ids)) == sorted(found.ids)
    inner = {x[1:] for x in found.addresses if x.startswith('#')}
    assert inner <= set(found.ids)


def test_without_detections_the_page_shows_the_training_and_says_what_to_do(run):
    assert report(run, '--out', 'plain.html') == 0
    text = (run / 'plain.html').read_text()
    assert '--checkpoint best' in text
    assert 'id="errors"' not in text
    assert json.loads((run / 'plain.json').read_text())['numbers'] is None
    assert 'best validation, after epoch 3' in text  # AP 0.3, not the last


@pytest.mark.parametrize(
    ('arguments', 'says'),
    [
        (['--checkpoint', 'best'], 'has no such checkpoint'),
        (['--results', 'none.pkl'], 'no file none.pkl'),
        (['--config', 'none.py'], 'none.py'),
    ],
)
def test_what_is_missing_is_said_in_one_line(run, arguments, says, capsys):
    assert report(run, *arguments) == 2
    said = capsys.readouterr().err.splitlines()
    assert [says in x for x in said if x.startswith('error: ')] == [True]


def test_a_resumed_run_replaces_what_it_did_again(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    module = importlib.import_module('reporting.run_folder')
    for start, steps in (('1', range(1, 5)), ('2', range(3, 7))):
        folder = tmp_path / start / 'vis_data'
        folder.mkdir(parents=True)
        lines = [json.dumps(dict(loss=int(start), step=x)) for x in steps]
        (folder / 'scalars.json').write_text('\n'.join(lines))
    curve = module.read_curves(tmp_path)['training']
    assert [x['step'] for x in curve] == [1, 2, 3, 4, 5, 6]
    assert [x['loss'] for x in curve] == [1, 1, 2, 2, 2, 2]


def test_names_are_text_and_never_code(page, monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    module = importlib.import_module('reporting.page')
    found = numbers(page)
    found['numbers']['classes'][0]['name'] = EVIL
    found['config'] = found['summary']['title'] = EVIL
    text = module.render(found, [], [])
    assert EVIL not in text
    assert text.count('&lt;script&gt;') >= 3


def browse(path: Path, width: int) -> tuple[str, str]:
    """The page after its scripts have run, and what it logged."""
    done = subprocess.run(
        [CHROMIUM, '--headless', '--no-sandbox', '--disable-gpu', '--dump-dom']
        + ['--allow-file-access-from-files', '--enable-logging=stderr']
        + [
            '--virtual-time-budget=3000',
            f'--window-size={width},900',
            f'file://{path}',
        ],
        capture_output=True,
        text=True,
        timeout=100,
    )
    logged = [x for x in done.stderr.splitlines() if 'CONSOLE' in x]
    return done.stdout, '\n'.join(logged)


@pytest.fixture(scope='module')
def visit(page) -> dict:
    """What a visitor sees who filters, opens an image and goes to the next."""
    if CHROMIUM is None:
        pytest.skip('there is no Chromium to look at the page with')
    path = page.with_name('visit.html')
    path.write_text(page.read_text().replace('</body>', f'{VISIT}</body>'))
    text, logged = browse(path, 1280)
    assert logged == ''
    found = re.search(r'<pre id="seen">(.*?)</pre>', text, re.DOTALL)
    assert found is not None
    return json.loads(found[1].replace('&quot;', '"').replace('&amp;', '&'))


def names_with(page: Path, **wanted: str) -> list[str]:
    images = numbers(page)['numbers']['worst_images']
    return sorted(
        x['name']
        for x in images
        if any(all(y[k] == v for k, v in wanted.items()) for y in x['findings'])
    )


@pytest.mark.slow
def test_filters_show_the_images_with_such_errors_alone(visit, page):
    assert visit['all'] == visit['reset'] == names_with(page)
    assert visit['missed'] == names_with(page, kind='missed')
    assert visit['dim'] == 0
    assert visit['both'] == names_with(page, kind='missed', label='disc')
    assert len(visit['both']) < len(visit['missed'])
    assert visit['status'].startswith(f'{len(visit["both"])} of {len(visit["all"])} ')


@pytest.mark.slow
def test_an_image_opens_and_the_arrow_key_goes_on(visit, page):
    order = [x['name'] for x in numbers(page)['numbers']['worst_images']]
    assert visit['opened'] == order[0]
    assert visit['next'] == order[1]
    assert visit['findings'] >= 1


@pytest.mark.slow
def test_a_phone_shows_the_page_without_scrolling_sideways(page):
    if CHROMIUM is None:
        pytest.skip('there is no Chromium to look at the page with')
    outer = page.with_name('phone.html')
    outer.write_text(
        f'<iframe id="f" style="width:390px;height:800px" src="{page.name}"></iframe>'
        '<pre id="seen"></pre><script>f.onload = () => { '
        'const page = f.contentDocument.documentElement; seen.textContent = '
        'page.scrollWidth - page.clientWidth; }</script>'
    )
    text, logged = browse(outer, 800)
    assert logged == ''
    assert '<pre id="seen">0</pre>' in text
