from typing import Any

import torch
from mmengine.hooks import EMAHook
from mmengine.optim import LinearLR

from freeanchor.engine.signatures import accepted_arguments


class Base:
    def __init__(self, width: int, depth: int = 1) -> None: ...


class HandsOn(Base):
    def __init__(self, colour: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)


class LooksInside(Base):
    def __init__(self, colour: str, **kwargs: Any) -> None:
        kwargs.pop('anything', None)
        super().__init__(**kwargs)


class KeepsThem:
    def __init__(self, colour: str, **kwargs: Any) -> None:
        self.kwargs = kwargs


class Inherits(Base):
    pass


def test_a_class_takes_what_its_constructor_names():
    assert accepted_arguments(Base) == ({'width', 'depth'}, False)


def test_a_class_without_a_constructor_takes_what_its_base_does():
    assert accepted_arguments(Inherits) == ({'width', 'depth'}, False)


def test_keywords_handed_on_to_the_base_are_the_bases():
    assert accepted_arguments(HandsOn) == ({'colour', 'width', 'depth'}, False)


def test_keywords_that_go_elsewhere_may_have_any_name():
    assert accepted_arguments(KeepsThem) == ({'colour'}, True)
    assert accepted_arguments(LooksInside) == ({'colour'}, True)


def test_a_function_is_read_too():
    def flip(image, prob=0.5): ...

    assert accepted_arguments(flip) == ({'image', 'prob'}, False)


def test_mixins_are_followed_in_order():
    names, others = accepted_arguments(LinearLR)
    assert {'start_factor', 'begin', 'end', 'by_epoch', 'optimizer'} <= names
    assert not others


def test_real_classes_are_read_as_they_are():
    assert 'momentum' in accepted_arguments(torch.optim.SGD).names
    assert accepted_arguments(EMAHook).others
