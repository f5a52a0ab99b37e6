from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmengine.config import Config

from freeanchor.engine import ConfigError
from freeanchor.engine.config_options import apply_options, parse_options, parse_value


@pytest.mark.parametrize(
    ('text', 'value'),
    [
        ('1', 1),
        ('1e-3', 1e-3),
        ('-2', -2),
        ('true', True),
        ('False', False),
        ('None', None),
        ('[1,2]', [1, 2]),
        ('1,2', [1, 2]),
        ('(1,2)', (1, 2)),
        ('[(1,2),(3,4)]', [(1, 2), (3, 4)]),
        ("{'a': 1}", {'a': 1}),
        ('[cat,hot dog]', ['cat', 'hot dog']),
        ("'5'", '5'),
    ],
)
def test_literals_become_values(text, value):
    assert parse_value(text) == value
    assert type(parse_value(text)) is type(value)


@pytest.mark.parametrize(
    'text', ['/my data/x y', '007', 'nan', '__import__("os")', 'a,b', '', 'x=y']
)
def test_all_else_is_text_and_stays_as_it_is(text):
    assert parse_value(text) == text


LITERALS = st.recursive(
    st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(LITERALS)
def test_any_literal_survives_the_command_line(value):
    if not isinstance(value, str):
        assert parse_value(repr(value)) == value


@given(st.text() | st.text(alphabet='[]{}()\'":,1ae_.- '))
def test_any_text_is_a_value_and_nothing_is_raised_or_called(text):
    with suppress(ConfigError):  # a key in it that no config may have
        assert parse_options([f'work_dir={text}']).keys() == {'work_dir'}


def test_only_the_first_equals_sign_counts():
    assert parse_options(['a.b=c=d']) == {'a.b': 'c=d'}


def test_an_option_without_a_value_is_refused():
    with pytest.raises(ConfigError, match='KEY=VALUE'):
        parse_options(['resume'])


@pytest.fixture
def cfg():
    return Config(
        dict(
            work_dir='w',
            model=dict(test_cfg=dict(score_thr=0.05)),
            train_dataloader=dict(dataset=dict(type='X', data_root='data/a/')),
            param_scheduler=[dict(type='LinearLR', end=500)],
        )
    )


def test_options_reach_nested_places_and_lists(cfg):
    options = {
        'model.test_cfg.score_thr': 0.3,
        'param_scheduler.0.end': 5,
        'resume': True,
    }
    apply_options(cfg, options, {})
    assert cfg.model.test_cfg.score_thr == 0.3
    assert cfg.param_scheduler[0].end == 5
    assert cfg.resume is True


@pytest.mark.parametrize(
    ('key', 'meant'),
    [
        ('train_dataloder.batch_size', 'train_dataloader'),
        ('resum', 'resume'),
        ('model.test_cfg.scor_thr', 'score_thr'),
        ('param_scheduler.3.end', 'is a list of 1'),
    ],
)
def test_a_key_that_leads_nowhere_is_refused(cfg, key, meant):
    with pytest.raises(ConfigError, match=meant):
        apply_options(cfg, {key: 1}, {})


def test_a_variable_of_the_file_is_too_late_to_set(cfg):
    with pytest.raises(ConfigError, match=r'set train_dataloader\.dataset\.data_root'):
        apply_options(cfg, {'data_root': '/x/'}, {'data_root': 'data/a/'})


@pytest.mark.parametrize('key', ["model.a'", 'model.a"b', 'model.a\\b', 'model.a\nb'])
def test_a_key_that_would_end_a_text_is_refused(key):
    with pytest.raises(ConfigError, match='is no key of a config'):
        parse_options([f'{key}=1'])
    with pytest.raises(ConfigError, match='is no key of a config'):
        parse_options([f'model={ {key: 1}!r}'])


@pytest.mark.parametrize(
    'text', ['/my data/x y', '007', 'nan', "it's", 'say "hi"', '2020-01-01', ' a ']
)
def test_a_text_reaches_its_place_in_the_config_unchanged(cfg, text):
    options = parse_options([f'work_dir={text}', f'param_scheduler.0.name={text}'])
    apply_options(cfg, options, {})
    assert cfg.work_dir == text
    assert cfg.param_scheduler[0].name == text
