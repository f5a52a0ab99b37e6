"""T15, T16, T17: no file but a Python config runs code, by whatever entry.

Each attack would make a file, the marker, if any of its code ran.
"""

import http.server
import importlib.util
import json
import pickle
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.attacks import FORMATS, Call, write_attack
from tests.faults.runs import ROOT, finish, start, toy_config

USER_ERROR, DATA_ERROR = 2, 3
OTHER_FORMATS = [x for x in FORMATS if x != 'zip']
CODE = 'open({!r}, "w").close()'


@pytest.fixture(scope='module')
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_config(tmp_path_factory.mktemp('toy'))


@pytest.fixture
def marker(tmp_path: Path) -> Iterator[Path]:
    marker = tmp_path / 'marker'
    yield marker
    assert not marker.exists()


def train(config: Path, work: Path, *args: str, **env: str) -> tuple[int, str]:
    """Exit code of tools/train.py, and the last line it printed."""
    config.with_name('output.txt').unlink(missing_ok=True)
    run = start(config, '--work-dir', str(work), '--check', 'off', *args, **env)
    code, text = finish(run)
    return code, text.strip().splitlines()[-1]


def tool(name: str, *args: object) -> int:
    """Exit code of another tool, in this process."""
    spec = importlib.util.spec_from_file_location('tool', ROOT / 'tools' / name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    before, sys.argv = sys.argv, [name, *map(str, args)]
    try:
        return module.main()
    finally:
        sys.argv = before


ENTRIES = {
    'resume': ['--resume', '{}'],
    'load_from': ['--cfg-options', 'load_from={}'],
    'init_cfg': [
        '--cfg-options',
        "model.neck.init_cfg={{'type': 'Pretrained', 'checkpoint': '{}'}}",
    ],
}


@pytest.mark.parametrize(
    ('entry', 'attack'),
    [('resume', 'os.system'), ('load_from', 'eval'), ('init_cfg', 'getattr chain')],
)
def test_training_runs_no_code_of_a_checkpoint(config, tmp_path, marker, entry, attack):
    """T15, also where the environment asks torch to unpickle everything."""
    path = write_attack(tmp_path / 'evil.pth', marker, attack)
    args = [x.format(path) for x in ENTRIES[entry]]
    env = dict(TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD='1')
    code, line = train(config, tmp_path / 'work', *args, **env)
    assert code == USER_ERROR
    assert line.startswith('error: ')
    assert str(path) in line
    assert '--trust-checkpoint' in line


@pytest.mark.parametrize(
    ('name', 'format'),
    [
        ('test.py', 'zip'),
        *(pytest.param('test.py', x, marks=pytest.mark.slow) for x in OTHER_FORMATS),
        *(('checkpoints/publish.py', x) for x in FORMATS),
    ],
)
def test_the_tools_run_no_code_of_a_checkpoint(
    config, tmp_path, marker, name, format, capsys, monkeypatch
):
    """T15, by every format."""
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    path = write_attack(tmp_path / 'evil.pth', marker, 'os.system', format)
    if name == 'test.py':
        work = ['--work-dir', tmp_path / 'work']
        code = tool(name, config, path, *work)
    else:
        code = tool(name, path, tmp_path / 'out.pth')
    assert code == USER_ERROR
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith('error: ')
    assert str(path) in line


@pytest.fixture
def evil_server(tmp_path: Path) -> Iterator[str]:
    content = write_attack(
        tmp_path / 'served.pth', tmp_path / 'marker', 'os.system'
    ).read_bytes()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header('Content-Length', str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f'http://127.0.0.1:{server.server_port}'
        server.shutdown()
        thread.join()


def test_nothing_is_loaded_over_plain_http(config, tmp_path, marker, evil_server):
    """T15, T17."""
    args = ['--cfg-options', f'load_from={evil_server}/net-0676ba61.pth']
    hub = tmp_path / 'hub_home'
    code, line = train(config, tmp_path / 'work', *args, TORCH_HOME=str(hub))
    assert code == USER_ERROR
    assert 'over https only' in line
    assert not list(hub.rglob('*.pth'))


def test_a_file_under_a_published_name_is_checked_before_it_is_read(
    config, tmp_path, marker
):
    """T17: the SHA-256 in the name, of a file put where downloads lie."""
    folder = tmp_path / 'hub' / 'checkpoints'
    folder.mkdir(parents=True)
    write_attack(folder / 'resnet50-0676ba61.pth', marker, 'os.system')
    args = ['--cfg-options', 'load_from=torchvision://resnet50']
    code, line = train(config, tmp_path / 'work', *args, TORCH_HOME=str(tmp_path))
    assert code == USER_ERROR
    assert 'not the file that its name says' in line


def test_text_in_a_checkpoint_is_never_run(config, tmp_path, marker):
    """T16: MMEngine's resume runs ``meta.config`` as Python.

    Ours comes to the text, says what is wrong with it and goes on with the run.
    """
    path, code = tmp_path / 'a.pth', CODE.format(str(marker))
    options = ['--cfg-options', 'train_cfg.max_epochs=1', 'val_cfg=None']
    options += ['val_dataloader=None', 'val_evaluator=None']
    assert train(config, tmp_path / 'first', *options)[0] == 0
    state = torch.load(tmp_path / 'first' / 'epoch_1.pth', weights_only=True)
    state['meta'].update(config=code, cfg=code)
    torch.save(state, path)
    ended, _ = train(config, tmp_path / 'work', '--resume', str(path), *options)
    text = config.with_name('output.txt').read_text()
    assert ended == 0
    assert f'Resumed from {path}' in text
    assert 'is no plain value; the text is data and is never executed' in text


def _evil_config(folder: Path, marker: Path, kind: str) -> Path:
    code = CODE.format(str(marker))
    hook = dict(type='os.system', command=f'touch {marker}')
    (folder / 'code.py').write_text(code)
    contents = {
        'base.json': json.dumps(dict(_base_='code.py')),
        'import.json': json.dumps(dict(custom_imports=dict(imports=['code']))),
        'hook.json': json.dumps(dict(custom_hooks=[hook])),
        'hook.yaml': json.dumps(dict(custom_hooks=[hook])),
        'hook.py': f'custom_hooks = [{hook!r}]\n',
        'scope.json': json.dumps(dict(default_scope='code')),
        'collate.json': json.dumps(dict(train_dataloader=dict(collate_fn=hook))),
        'runner.json': json.dumps(dict(runner_type='os.system')),
        'tag.yaml': f'resume: !!python/object/apply:os.system ["touch {marker}"]\n',
        'base_of_python.py': "_base_ = 'tag.yaml'\n",
    }
    for name in ('tag.yaml', kind):
        (folder / name).write_text(contents[name])
    return folder / kind


@pytest.mark.parametrize(
    'kind',
    [
        *('base.json', 'import.json', 'hook.json', 'hook.yaml', 'hook.py'),
        *('scope.json', 'collate.json', 'runner.json', 'tag.yaml'),
        'base_of_python.py',
    ],
)
def test_no_config_of_data_runs_code(tmp_path, marker, kind, capsys, monkeypatch):
    """T16: the error is one line that names the file or the key."""
    monkeypatch.syspath_prepend(str(tmp_path))
    path = _evil_config(tmp_path, marker, kind)
    assert tool('print_config.py', path) == USER_ERROR
    line = capsys.readouterr().err.strip()
    assert '\n' not in line
    assert line.startswith('error: ')


def test_an_option_calls_nothing(config, tmp_path, marker):
    """T16."""
    hook = f"custom_hooks=[{{'type': 'os.system', 'command': 'touch {marker}'}}]"
    code, line = train(config, tmp_path / 'work', '--cfg-options', hook)
    assert code == USER_ERROR
    assert "no hook 'os.system' is registered" in line


@pytest.mark.parametrize(
    'kind', ['CocoDataset', pytest.param('BaseDataset', marks=pytest.mark.slow)]
)
def test_annotations_are_not_unpickled(config, tmp_path, marker, kind):
    """T16."""
    path = tmp_path / 'train.pkl'
    content = dict(metainfo={}, data_list=[], x=Call(open, str(marker), 'w'))
    path.write_bytes(pickle.dumps(content))
    dataset = dict(_delete_=True, type=kind, ann_file=str(path), pipeline=[])
    option = f'train_dataloader.dataset={dataset!r}'
    code, line = train(config, tmp_path / 'work', '--cfg-options', option)
    assert code in (USER_ERROR, DATA_ERROR)
    assert str(path) in line


def test_only_the_file_named_beside_trust_checkpoint_is_unpickled(
    config, tmp_path, capsys
):
    """T15: the only way round, off by default, with a reason on the screen."""
    ran = tmp_path / 'ran'
    path = write_attack(tmp_path / 'mine.pth', ran, 'os.system')
    work = ['--work-dir', tmp_path / 'work']
    other = write_attack(tmp_path / 'other.pth', tmp_path / 'never', 'os.system')
    assert tool('test.py', config, path, *work) == USER_ERROR
    assert not ran.exists()
    tool('test.py', config, path, '--trust-checkpoint', *work)
    assert ran.exists()
    assert f'{path} is unpickled in full' in capsys.readouterr().out
    assert tool('test.py', config, other, *work) == USER_ERROR
    assert not (tmp_path / 'never').exists()


def test_trust_without_a_file_is_an_error(config, tmp_path):
    code, line = train(config, tmp_path / 'work', '--trust-checkpoint')
    assert code == USER_ERROR
    assert '--trust-checkpoint: no checkpoint is named' in line
