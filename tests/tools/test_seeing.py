"""The tools that show data, logs, detections and matching."""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from freeanchor.datasets.shapes import write_shapes
from freeanchor.engine import load_config
from freeanchor.registry import DATASETS, MODELS

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


def test_checkpoints_of_one_name_are_told_by_their_folders(call, shapes, tmp_path):
    paths = []
    for place in ('free_anchor/train', 'retinanet/train', 'retinanet/again'):
        (tmp_path / place).mkdir(parents=True)
        paths.append(checkpoint(tmp_path / place / 'epoch_2.pth', len(paths)))
    code, told = call(
        'show_matching', CONFIG, *paths, '--max-objects', 1, '--device', 'cpu'
    )
    assert code == 0, told
    for name in (
        'free_anchor train epoch 2',
        'retinanet train epoch 2',
        'again epoch 2',
    ):
        assert f'{name}: Mean-max' in told


def test_a_checkpoint_named_twice_is_refused(call, shapes, tmp_path):
    path = checkpoint(tmp_path / 'a.pth', 1)
    code, told = call('show_matching', CONFIG, path, './a.pth')
    assert code == 2
    assert 'a.pth is named twice' in told


COCO = ROOT / 'configs' / 'free_anchor_r50_fpn_1x.py'


def coco_validation(without: str = '') -> Any:
    """The shapes as the COCO config reads them, perhaps without a step."""
    cfg = load_config(
        COCO,
        [
            'val_dataloader.dataset.data_root=data/shapes/',
            'val_dataloader.dataset.ann_file=annotations/val.json',
            'val_dataloader.dataset.data_prefix.img_path=val',
        ],
    )
    settings = cfg.val_dataloader.dataset
    settings.pipeline = [x for x in settings.pipeline if x['type'] != without]
    return DATASETS.build(settings)


def test_coco_configs_show_the_matching_of_their_validation_set(call, shapes):
    call('show_matching', CONFIG, 'nobody.pth')  # which fails, and loads the tool
    samples = list(sys.modules['show_matching'].samples(coco_validation(), []))
    assert len(samples) == 2
    for sample in samples:
        assert len(sample['data_samples'].gt_instances) > 0


@pytest.mark.usefixtures('call', 'shapes')
def test_objects_change_nothing_of_what_is_validated():
    both = coco_validation(), coco_validation(without='LoadAnnotations')
    for with_objects, plain in zip(*both):
        assert torch.equal(with_objects['inputs'], plain['inputs'])
        metas = [x['data_samples'].metainfo for x in (with_objects, plain)]
        assert metas[0] == metas[1]


# Data


@pytest.mark.parametrize('split', ['train', 'val'])
def test_a_broken_image_is_named_and_no_other_stands_for_it(call, shapes, split):
    path = min(Path('data/shapes', split).iterdir())
    path.write_bytes(b'no image')
    code, told = call(
        'browse_dataset', CONFIG, '--before', '--out', 'seen', '--split', split
    )
    assert code == 3
    assert f'Left out: {path}' in told
    assert '1 broken image' in told
    shown = list(Path('seen').glob('0*.jpg'))
    assert len(shown) == len(list(path.parent.iterdir())) - 1
    assert not any(x.name.endswith(f'_{path.stem}.jpg') for x in shown)
    assert Path('seen/contact_sheet.jpg').is_file()


def test_browsing_no_image_is_refused(call, shapes):
    with pytest.raises(SystemExit) as end:
        call('browse_dataset', CONFIG, '--count', 0)
    assert end.value.code == 2


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
        (['a', 'c', '--names', 'x', 'x'], '--names x is the name of two runs'),
        (['a', 'a'], 'a is named twice'),
        (['a', '--out', 'x.txt'], '--out x.txt: .txt is none of'),
    ],
)
def test_what_cannot_be_plotted_is_told(call, arguments, message):
    log('a', '1', steps(1, 4, 5.0))
    code, told = call('plot_log', *arguments)
    assert code == 2
    assert message in told


def test_an_output_without_an_ending_is_png_and_says_so(call):
    log('a', '1', steps(1, 4, 5.0))
    code, told = call('plot_log', 'a', '--out', 'curves')
    assert code == 0, told
    assert 'Written to curves.png' in told
    assert Path('curves.png').is_file()


def test_time_of_training_and_of_validation_are_two_curves(call):
    lines = steps(1, 4, 5.0)
    for line in lines:
        line['time'] = 9.0 if 'val_loss' in line else 1.0
    log('a', '1', lines)
    code, told = call('plot_log', 'a', '--keys', 'time', 'val_time')
    assert code == 0, told
    curves = sys.modules['plot_log'].read_run(Path('a'))
    assert curves['time'] == ([1, 2, 3], [1.0, 1.0, 1.0])
    assert curves['val_time'] == ([4], [9.0])


def test_names_are_no_mathematics_and_stand_in_the_legend(call):
    log('a', '1', [{**x, '$^$_mAP': 0.5} for x in steps(1, 4, 5.0)])
    log('b', '1', steps(1, 4, 3.0))
    code, told = call(
        'plot_log', 'a', 'b', '--names', '_first', '$^$', '--out', 'curves.svg',
        '--keys', 'loss', '$^$_mAP',
    )  # fmt: skip
    assert code == 0, told
    picture = Path('curves.svg').read_text()  # names stand in it as comments
    assert '_first -->' in picture
    assert picture.count('$^$') >= 2


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


def test_an_object_with_a_wrong_detection_is_not_missed(call, results, tmp_path):
    """The report says the same of the same detections."""
    from mmengine import dump

    (first, *_) = results
    first['pred_instances']['labels'] = (first['pred_instances']['labels'] + 1) % 6
    dump(results, tmp_path / 'wrong.pkl')
    code, told = call('show_detections', CONFIG, 'wrong.pkl', '--out', 'seen')
    assert code == 0, told
    config = Path('work/run.py')
    config.parent.mkdir()
    load_config(CONFIG, []).dump(config)
    code, said = call(
        'report', 'work', '--results', 'wrong.pkl', '--score-thr', 0.3, '--images', 9
    )
    assert code == 0, said
    numbers = json.loads(Path('work/report.json').read_text())['numbers']
    counts = numbers['errors']['above_threshold']
    total = next(x for x in told.splitlines() if x.startswith('All 3 images'))
    verdicts = {
        what: int(count)
        for count, what in (x.split(' ', 1) for x in total.split(': ')[1].split(', '))
    }
    assert counts['class'] > 0
    for what in ('missed', 'class', 'localisation', 'background', 'ignored'):
        assert verdicts.get(what, 0) == counts[what], what
    assert verdicts['found wrongly'] > 0
    order = [x.stem.split('_', 1)[1] for x in sorted(Path('seen').glob('*.jpg'))]
    assert order == [Path(x['name']).stem for x in numbers['worst_images']]


def test_crowd_regions_are_not_detections(call, results):
    content = truth()
    for x in content['annotations']:
        x['iscrowd'] = 1
    Path('data/shapes/annotations/val.json').write_text(json.dumps(content))
    code, told = call('show_detections', CONFIG, 'results.pkl')
    assert code == 0, told
    total = next(x for x in told.splitlines() if x.startswith('All 3 images'))
    own = len(results[0]['pred_instances']['labels'])
    assert f'{len(content["annotations"])} crowd' in total
    assert f'{own} ignored' in total


def test_pictures_of_a_former_run_go_and_other_files_stay(call, results):
    Path('seen').mkdir()
    Path('seen/001_holiday.jpg').write_bytes(b'mine')
    call('show_detections', CONFIG, 'results.pkl', '--out', 'seen')
    first = {x.name for x in Path('seen').glob('*.jpg')}
    call('show_detections', CONFIG, 'results.pkl', '--out', 'seen', '--count', 1)
    second = {x.name for x in Path('seen').glob('*.jpg')}
    assert len(first) == 3 + 1
    assert len(second) == 1 + 1
    assert Path('seen/001_holiday.jpg').read_bytes() == b'mine'


def test_an_evaluator_without_annotations_is_named(call, results):
    code, told = call(
        'show_detections', CONFIG, 'results.pkl', '--cfg-options',
        'test_evaluator.ann_file=',
    )  # fmt: skip
    assert code == 2
    assert 'test_evaluator has no ann_file' in told
    assert 'NMS' not in told
