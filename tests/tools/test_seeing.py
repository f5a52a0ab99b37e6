"""The tools that show data, logs, detections and matching."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from freeanchor.datasets.shapes import write_shapes
from freeanchor.engine import load_config
from freeanchor.registry import MODELS

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / 'tools' / 'analysis'
CONFIG = ROOT / 'configs' / 'free_anchor_r18_fpn_shapes.py'


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """Run a tool in this process, in an empty folder: exit code and what it says."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(TOOLS))

    def run(name, *arguments):
        monkeypatch.setattr(sys, 'argv', [name, *map(str, arguments)])
        spec = importlib.util.spec_from_file_location(name, TOOLS / f'{name}.py')
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # its dataclasses look for it
        spec.loader.exec_module(module)
        code = module.main()
        told = capsys.readouterr()
        return code, told.out + told.err

    return run


@pytest.fixture
def shapes(tmp_path):
    write_shapes(tmp_path / 'data' / 'shapes', num_train=5, num_val=3)


def checkpoint(path: Path, seed: int) -> Path:
    torch.manual_seed(seed)
    model = MODELS.build(load_config(CONFIG, []).model)
    torch.save(model.state_dict(), path)
    return path


def truth(path='data/shapes/annotations/val.json') -> dict:
    return json.loads(Path(path).read_text())


# Matching


def test_matching_is_drawn_for_each_object_and_checkpoint(call, shapes, tmp_path):
    paths = [checkpoint(tmp_path / f'epoch_{i}.pth', i) for i in (1, 2)]
    labelled = {x['image_id'] for x in truth()['annotations'] if not x['iscrowd']}
    image = min(labelled)
    code, told = call(
        'show_matching', CONFIG, *paths, '--images', image, '--max-objects', 2,
        '--out', 'seen', '--device', 'cpu',
    )  # fmt: skip
    assert code == 0, told
    pictures = sorted(Path('seen').glob('*.png'))
    assert 1 <= len(pictures) <= 2
    for path in pictures:
        assert path.name in told
    assert 'epoch 1: Mean-max' in told
    assert 'epoch 2: Mean-max' in told
    page = Path('seen/matching.html').read_text()
    assert page.count('<svg class="panel"') == 2 * 5 * len(pictures)


def test_an_image_that_is_not_there_is_named(call, shapes, tmp_path):
    path = checkpoint(tmp_path / 'a.pth', 1)
    code, told = call('show_matching', CONFIG, path, '--images', 'nobody.jpg')
    assert code == 2
    assert '--images nobody.jpg' in told


def test_matching_of_another_loss_is_refused(call, shapes, tmp_path):
    config = ROOT / 'configs' / 'retinanet_r18_fpn_shapes.py'
    code, told = call('show_matching', config, checkpoint(tmp_path / 'a.pth', 1))
    assert code == 2
    assert 'RetinaLoss, which has no bags' in told


# Data


def test_browsing_writes_each_image_and_a_sheet_of_all(call, shapes):
    code, told = call('browse_dataset', CONFIG, '--count', 4, '--out', 'seen')
    assert code == 0, told
    assert len(list(Path('seen').glob('*.jpg'))) == 4 + 1
    assert Path('seen/contact_sheet.jpg').is_file()


def test_before_and_after_stand_side_by_side(call, shapes):
    for options in ((), ('--before',)):
        code, told = call(
            'browse_dataset', CONFIG, '--split', 'val', '--out', *('seen', *options)
        )
        assert code == 0, told
        (path,) = Path('seen').glob('00000_*.jpg')
        with Image.open(path) as picture:
            width, height = picture.size
        ratio = width / height
        if not options:
            alone = ratio
    assert 1.8 * alone < ratio < 2.1 * alone


def test_the_same_seed_shows_the_same(call, shapes):
    shown = []
    for seed in (1, 1, 2):
        call('browse_dataset', CONFIG, '--count', 2, '--seed', seed, '--out', 'seen')
        shown.append(Path('seen/contact_sheet.jpg').read_bytes())
    assert shown[0] == shown[1] != shown[2]


# Logs


def log(folder: str, time: str, lines: list[dict]) -> None:
    path = Path(folder, time, 'vis_data', 'scalars.json')
    path.parent.mkdir(parents=True)
    path.write_text('\n'.join(map(json.dumps, lines)))


def steps(first: int, last: int, loss: float) -> list[dict]:
    training = [
        dict(loss=loss, positive_bag_loss=loss, lr=0.1, epoch=1, iter=i, step=i)
        for i in range(first, last)
    ]
    return [*training, {'coco/bbox_mAP': 0.25, 'val_loss': 2.0, 'step': last}]


def test_a_resumed_run_is_one_curve(call):
    log('run', '20240101_000000', steps(1, 9, 5.0))
    log('run', '20240102_000000', steps(5, 12, 3.0))
    sys.modules.pop('plot_log', None)
    code, told = call('plot_log', 'run', '--out', 'a/curves.png')
    assert code == 0, told
    assert 'best coco/bbox_mAP 25.0, at step 9' in told
    curve = sys.modules['plot_log'].read_run(Path('run'))['loss']
    assert curve == (list(range(1, 12)), 4 * [5.0] + 7 * [3.0])
    assert Path('a/curves.png').stat().st_size > 0


def test_losses_rate_and_ap_are_plotted_in_this_order(call):
    log('a', '1', steps(1, 4, 5.0))
    call('plot_log', 'a')
    module = sys.modules['plot_log']
    keys = module.chosen({'a': module.read_run(Path('a'))}, None)
    assert keys == ['loss', 'positive_bag_loss', 'lr', 'val_loss', 'coco/bbox_mAP']


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['b'], 'b has no'),
        (['a', '--keys', 'los'], '--keys los: the logs have coco/bbox_mAP'),
        (['a', '--names', 'x', 'y'], '--names has 2 names for 1 runs'),
    ],
)
def test_what_cannot_be_plotted_is_told(call, arguments, message):
    log('a', '1', steps(1, 4, 5.0))
    code, told = call('plot_log', *arguments)
    assert code == 2
    assert message in told


# Detections


@pytest.fixture
def results(shapes, tmp_path):
    """All objects of the first image, none of the second, a wrong one of the third."""
    from mmengine import dump

    content = truth()
    samples = []
    for number, image in enumerate(content['images']):
        own = [x for x in content['annotations'] if x['image_id'] == image['id']]
        rows = [[*x['bbox'], x['category_id'] - 1] for x in own if not x['iscrowd']]
        rows = (rows, [], [[0, 0, 2, 2, 0]])[number]
        table = torch.tensor(rows, dtype=torch.float32).reshape(-1, 5)
        table[:, 2:4] += table[:, :2]
        samples.append(
            dict(
                img_id=image['id'],
                img_path=f'data/shapes/val/{image["file_name"]}',
                ori_shape=(image['height'], image['width']),
                pred_instances=dict(
                    bboxes=table[:, :4],
                    scores=torch.full((len(table),), 0.9),
                    labels=table[:, 4].long(),
                ),
            )
        )
    dump(samples, tmp_path / 'results.pkl')
    return samples


def test_the_worst_images_come_first(call, results):
    code, told = call('show_detections', CONFIG, 'results.pkl', '--out', 'seen')
    assert code == 0, told
    files = sorted(x.name for x in Path('seen').glob('*.jpg'))
    assert [x[:3] for x in files] == ['001', '002', '003']
    perfect = Path(results[0]['img_path']).stem
    assert files[-1] == f'003_{perfect}.jpg'
    line = next(x for x in told.splitlines() if files[-1] in x)
    assert 'missed' not in line
    counted = sum(not x['iscrowd'] for x in truth()['annotations'])
    own = len(results[0]['pred_instances']['labels'])
    total = next(x for x in told.splitlines() if x.startswith('All 3 images'))
    assert f'{counted - own} missed' in total
    assert f'{own} found' in total


def test_detections_below_the_threshold_are_not_judged(call, results):
    code, told = call(
        'show_detections', CONFIG, 'results.pkl', '--score-thr', 0.95, '--count', 1
    )
    assert code == 0, told
    assert len(list(Path('detections').glob('*.jpg'))) == 1
    assert ' found' not in told


def test_a_checkpoint_that_is_not_there_is_named(call, shapes):
    code, told = call('show_detections', CONFIG, 'nobody.pth')
    assert code == 2
    assert 'no checkpoint nobody.pth' in told
