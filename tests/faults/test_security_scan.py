"""T25: what could run code or tear a file stands where it was reviewed."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = [x for room in ('freeanchor', 'tools') for x in (ROOT / room).rglob('*.py')]
# File and call, and why it is sound.
REVIEWED = {
    ('freeanchor/engine/trust.py', 'torch.load'): 'only what --trust-checkpoint names',
    ('freeanchor/engine/durable.py', "open('wb')"): 'the atomic writer itself',
    ('freeanchor/engine/weights.py', "open('wb')"): 'in a folder that is thrown away',
    ('tools/data/download_coco.py', "open('wb')"): 'compared before it is renamed',
}
FORBIDDEN = {
    *('eval', 'exec', 'compile', '__import__'),
    *('pickle.load', 'pickle.loads', 'pickle.Unpickler', 'pickle._Unpickler'),
    *('yaml.load', 'yaml.full_load', 'yaml.unsafe_load', 'yaml.load_all'),
    *('os.system', 'os.popen', 'marshal.loads', 'shelve.open', 'joblib.load'),
    *('numpy.load', 'np.load', 'mmengine.load', 'Config.fromstring'),
    *('torch.jit.load', 'torch.hub.load', 'torch.hub.load_state_dict_from_url'),
}


def name_of(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f'{name_of(node.value)}.{node.attr}'
    return node.id if isinstance(node, ast.Name) else ''


def given(call: ast.Call, name: str) -> object:
    """The literal that a call is given for an argument; None for others."""
    for keyword in call.keywords:
        if keyword.arg == name and isinstance(keyword.value, ast.Constant):
            return keyword.value.value
    return None


def danger(call: ast.Call) -> str | None:
    """What is dangerous in a call, as the list above writes it."""
    name = name_of(call.func)
    if name in FORBIDDEN:
        return name
    if name == 'torch.load' and given(call, 'weights_only') is not True:
        return name
    if given(call, 'shell') is True:
        return f'{name}(shell=True)'
    if given(call, 'allow_pickle') is True:
        return f'{name}(allow_pickle=True)'
    if name.rpartition('.')[2] == 'open':
        texts = [x.value for x in call.args if isinstance(x, ast.Constant)]
        mode = given(call, 'mode') or next((x for x in texts if x in MODES), 'r')
        return f"open('{mode}')" if mode in MODES else None
    return None


MODES = ('wb', 'bw', 'wb+', 'w+b', 'ab', 'xb', 'r+b')


def dangers(source: str) -> list[tuple[int, str]]:
    calls = [x for x in ast.walk(ast.parse(source)) if isinstance(x, ast.Call)]
    return [(x.lineno, found) for x in calls if (found := danger(x)) is not None]


@pytest.mark.parametrize('path', FILES, ids=lambda x: str(x.relative_to(ROOT)))
def test_nothing_dangerous_stands_where_it_was_not_reviewed(path):
    name = path.relative_to(ROOT).as_posix()
    for line, found in dangers(path.read_text(encoding='utf-8')):
        assert (name, found) in REVIEWED, f'{name}:{line}: {found}'


@pytest.mark.parametrize('name', REVIEWED, ids=lambda x: ' '.join(x))
def test_what_was_reviewed_is_still_there(name):
    file, call = name
    found = dangers((ROOT / file).read_text(encoding='utf-8'))
    assert call in [x for _, x in found]


@pytest.mark.parametrize(
    'line',
    [
        'torch.load(f)',
        'torch.load(f, weights_only=False)',
        'torch.load(f, weights_only=x)',
        'pickle.loads(b)',
        'yaml.load(f, Loader=yaml.Loader)',
        'eval("1")',
        'exec(x)',
        'subprocess.run(x, shell=True)',
        'open(f, "wb")',
        'path.open("wb")',
        'np.load(f, allow_pickle=True)',
        'numpy_load(f, allow_pickle=True)',
        'Config.fromstring(x, ".py")',
    ],
)
def test_the_scan_sees_what_it_is_for(line):
    assert dangers(line)


@pytest.mark.parametrize(
    'line', ['torch.load(f, weights_only=True)', 'yaml.safe_load(f)', 'open(f, "rb")']
)
def test_the_scan_lets_the_safe_form_pass(line):
    assert not dangers(line)
