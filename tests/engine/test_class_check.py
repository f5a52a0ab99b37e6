from types import SimpleNamespace

import pytest
from torch import nn

from freeanchor.engine import ClassCheckHook, ConfigError


class Detector(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.bbox_head = nn.Module()
        self.bbox_head.num_classes = num_classes


def runner(num_classes, train=('cat', 'dog'), val=('cat', 'dog')):
    def loader(classes):
        metainfo = dict(classes=classes) if classes else dict()
        return SimpleNamespace(dataset=SimpleNamespace(metainfo=metainfo))

    return SimpleNamespace(
        model=Detector(num_classes),
        train_dataloader=loader(train),
        val_loop=object(),
        val_dataloader=loader(val),
        test_dataloader=loader(train),
    )


def test_both_numbers_and_the_key_are_named():
    with pytest.raises(ConfigError) as caught:
        ClassCheckHook().before_train(runner(80))
    text = str(caught.value)
    assert 'model.bbox_head has num_classes=80' in text
    assert '2 classes (cat, dog)' in text
    assert 'model.bbox_head.num_classes=2' in text


def test_validation_data_is_checked_before_training_too():
    with pytest.raises(ConfigError, match='3 classes'):
        ClassCheckHook().before_train(runner(2, val=('cat', 'dog', 'cow')))


def test_testing_is_checked():
    with pytest.raises(ConfigError, match='num_classes=3'):
        ClassCheckHook().before_test(runner(3))


def test_equal_numbers_pass():
    ClassCheckHook().before_train(runner(2))
    ClassCheckHook().before_test(runner(2))


def test_data_that_names_no_classes_passes():
    ClassCheckHook().before_test(runner(80, train=None))


def test_a_trunk_may_have_classes_of_its_own():
    loop = runner(2)
    loop.model.backbone = nn.Module()
    loop.model.backbone.num_classes = 1000
    ClassCheckHook().before_train(loop)
