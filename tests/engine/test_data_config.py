"""A JSON or YAML config is data, whatever is written in it."""

import json

import pytest

from freeanchor.engine import ConfigError, load_config
from freeanchor.engine.data_config import read_data_config


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def test_a_config_may_be_json_or_yaml(write):
    write('base.yaml', 'train_cfg: {by_epoch: true, max_epochs: 3}\nresume: false\n')
    path = write('a.json', dict(_base_='base.yaml', train_cfg=dict(max_epochs=5)))
    cfg = load_config(path, ['resume=true'])
    assert cfg.train_cfg == dict(by_epoch=True, max_epochs=5)
    assert cfg.resume is True


def test_a_dict_of_the_base_can_be_replaced(write):
    write('base.json', dict(train_cfg=dict(by_epoch=True, max_epochs=3), val_cfg={}))
    path = write(
        'a.json',
        dict(_base_=['base.json'], train_cfg=dict(_delete_=True, by_epoch=False)),
    )
    assert read_data_config(path) == dict(train_cfg=dict(by_epoch=False), val_cfg={})


@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        (dict(_base_='code.py'), "base 'code.py' is no .json"),
        (dict(_base_=['ok.json', '../x/code.py']), 'Python base would run code'),
        (dict(_base_=[['code.py']]), 'Python base would run code'),
        (dict(_base_='b.json'), 'bases lead back to itself'),
        (dict(custom_imports=dict(imports=['code'])), 'custom_imports would run code'),
        (dict(train_cfg=dict(_delete_=True, by_epoch=True)), '_delete_ is true where'),
        (dict(train_cfg=dict(_delete_='x')), '_delete_ is true where'),
        (dict(_delete_=True), '_delete_ replaces'),
        ({"model': 1, 'x": 1}, 'is no key of a config'),
        (dict(model={"a': __import__('os').system('true'), 'b": 1}), 'is no key'),
        ([1], 'holds a list'),
        ('{"a": ', 'JSONDecodeError'),
        ('[' * 100_000, 'RecursionError'),
        ('{"resum": true}', "did you mean 'resume'"),
        ('{"resum": "read_base"}', "did you mean 'resume'"),
    ],
)
def test_json_that_asks_for_more_than_data_is_refused(write, content, reason):
    write('code.py', 'raise AssertionError\n')
    write('ok.json', '{}')
    write('b.json', dict(_base_='a.json'))
    path = write('a.json', content)
    with pytest.raises(ConfigError, match=reason) as caught:
        load_config(path)
    assert str(path.parent) in str(caught.value) or 'did you' in str(caught.value)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        ('x: !!python/object/apply:os.system ["touch marker"]', 'python/object/apply'),
        ('x: !!python/name:os.system ""', 'python/name'),
        ('x: !!python/object/new:os.system ["true"]', 'python/object/new'),
        ('x: !!python/module:antigravity ""', 'python/module'),
        ('resume: &a [*a]', 'holds itself'),
        ('resume: 2020-01-01', 'a date is no plain value'),
        ('1: 2', '1 is no key'),
        ('resume: [', 'ParserError'),
    ],
)
def test_yaml_that_asks_for_more_than_data_is_refused(write, content, reason):
    path = write('a.yaml', content)
    with pytest.raises(ConfigError, match=reason) as caught:
        load_config(path)
    assert str(path) in str(caught.value)
    assert '\n' not in str(caught.value)


def test_yaml_that_repeats_itself_without_end_is_refused(write):
    lines = ['a0: &a0 [1]']
    lines += [f'a{i}: &a{i} [{", ".join([f"*a{i - 1}"] * 9)}]' for i in range(1, 40)]
    with pytest.raises(ConfigError, match='more than 200000 values'):
        load_config(write('a.yaml', '\n'.join(lines)))


def test_a_file_of_another_kind_is_refused(write):
    with pytest.raises(ConfigError, match=r'is a \.py, \.json or \.yaml file'):
        load_config(write('a.pkl', 'x'))


def test_a_python_config_has_python_bases(write):
    write('evil.yaml', 'x: !!python/object/apply:os.system ["true"]')
    write('middle.py', "_base_ = 'evil.yaml'\n")
    with pytest.raises(ConfigError, match=r'evil\.yaml is no \.py file'):
        load_config(write('a.py', "_base_ = ['middle.py']\n"))


@pytest.mark.parametrize('kind', ['json', 'py', 'options'])
def test_no_kind_of_config_calls_what_is_not_registered(write, tmp_path, kind):
    marker = tmp_path / 'marker'
    hooks = [dict(type='os.system', command=f'touch {marker}')]
    options = []
    if kind == 'json':
        path = write('a.json', dict(custom_hooks=hooks))
    elif kind == 'py':
        path = write('a.py', f'custom_hooks = {hooks!r}\n')
    else:
        path, options = write('a.py', 'resume = False\n'), [f'custom_hooks={hooks!r}']
    with pytest.raises(ConfigError, match=r"custom_hooks\.0\.type: .*'os\.system'"):
        load_config(path, options)
    assert not marker.exists()
