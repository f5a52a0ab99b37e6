import pytest
import torch

from freeanchor.engine import ConfigError, load_config
from freeanchor.inference import load_detector
from freeanchor.registry import MODELS

from .detectors import (
    CATEGORY_IDS,
    CLASSES,
    CONFIG,
    random_checkpoint,
    write_checkpoint,
)


def test_a_checkpoint_alone_is_enough(tmp_path):
    checkpoint = random_checkpoint()
    torch.save(checkpoint, tmp_path / 'weights.pth')
    detector = load_detector(tmp_path / 'weights.pth', device='cpu')
    assert detector.class_names == CLASSES
    assert detector.category_ids == CATEGORY_IDS
    assert not detector.model.training
    own = detector.model.state_dict()
    assert own.keys() == checkpoint['state_dict'].keys()
    for name, tensor in checkpoint['state_dict'].items():
        torch.testing.assert_close(own[name], tensor, rtol=0, atol=0)


def test_the_config_that_is_given_counts_instead_of_the_one_within(tmp_path):
    path = write_checkpoint(tmp_path / 'weights.pth')
    detector = load_detector(path, CONFIG, 'cpu')
    assert detector.model.test_cfg['score_thr'] == 0.05


def test_a_config_may_be_one_that_was_read_already(tmp_path):
    path = write_checkpoint(tmp_path / 'weights.pth')
    cfg = load_config(CONFIG, ['model.test_cfg.score_thr=0.25'])
    detector = load_detector(path, cfg, 'cpu')
    assert detector.model.test_cfg['score_thr'] == 0.25
    assert detector.cfg is cfg


def test_weights_without_a_config_ask_for_it(tmp_path):
    path = tmp_path / 'weights.pth'
    torch.save(random_checkpoint()['state_dict'], path)
    with pytest.raises(ConfigError, match=r'carries no config: give .*--config'):
        load_detector(path)
    detector = load_detector(path, CONFIG, 'cpu')
    assert detector.category_ids == (1, 2, 3, 4, 5, 6)


def test_classes_that_nobody_names_are_numbers(tmp_path):
    path = write_checkpoint(tmp_path / 'weights.pth')
    checkpoint = torch.load(path, weights_only=True)
    del checkpoint['meta']['dataset_meta']
    torch.save(checkpoint, path)
    assert load_detector(path, device='cpu').class_names == tuple('012345')


@pytest.mark.parametrize(
    'text',
    [
        '__import__("os").system("touch ran")',
        'model = open("ran", "w")',
        'model = dict(type="os.system", command="touch ran")',
        'custom_imports = dict(imports=["ran"])\nmodel = dict(type="X")',
    ],
)
def test_a_config_within_is_data_and_never_run(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_checkpoint(tmp_path / 'weights.pth', meta=dict(cfg=text))
    with pytest.raises(ConfigError, match=r'--config'):
        load_detector('weights.pth')
    assert not (tmp_path / 'ran').exists()


def test_code_that_a_checkpoint_asks_for_is_not_imported(tmp_path):
    checkpoint = random_checkpoint()
    checkpoint['meta']['cfg'] += "custom_imports = dict(imports=['antigravity'])\n"
    torch.save(checkpoint, tmp_path / 'weights.pth')
    with pytest.raises(ConfigError, match=r'antigravity.*does not get to run'):
        load_detector(tmp_path / 'weights.pth')


def test_a_checkpoint_with_weights_missing_is_refused(tmp_path):
    weights = random_checkpoint()['state_dict']
    del weights['bbox_head.retina_cls.bias']
    path = write_checkpoint(tmp_path / 'weights.pth', state_dict=weights)
    with pytest.raises(ConfigError, match=r'has no bbox_head\.retina_cls\.bias'):
        load_detector(path)


def test_the_weights_of_a_trunk_are_not_downloaded(tmp_path, monkeypatch):
    timm = pytest.importorskip('timm')
    cfg = load_config(CONFIG)
    cfg.model.backbone = dict(
        type='TimmBackbone', model_name='resnet18', out_indices=(2, 3, 4)
    )
    text = cfg.pretty_text
    cfg.model.backbone.pretrained = False
    weights = MODELS.build(cfg.model).state_dict()
    write_checkpoint(tmp_path / 'w.pth', meta=dict(cfg=text), state_dict=weights)

    asked = []
    create = timm.create_model

    def noted(*args, pretrained, **kwargs):
        asked.append(pretrained)
        return create(*args, pretrained=False, **kwargs)

    monkeypatch.setattr(timm, 'create_model', noted)
    load_detector(tmp_path / 'w.pth', device='cpu')
    assert asked == [False]


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(FileNotFoundError, match=r'nowhere\.pth'):
        load_detector('nowhere.pth')
