"""The config converter's command line."""

import subprocess
import sys

import pytest

from freeanchor.engine import ConfigError, load_config
from tools.convert_config import convert_file, read_source

SOURCES = 'tests/engine/mmdet_configs'


def run(*args):
    return subprocess.run(
        [sys.executable, 'tools/convert_config.py', *map(str, args)],
        capture_output=True,
        text=True,
    )


def test_it_writes_a_config_and_tells_what_it_left_out(tmp_path):
    out = tmp_path / 'mine.py'
    done = run(f'{SOURCES}/three/retinanet.py', out)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert 'left out or other: tta_model: give tools/test.py --tta clean' in lines
    assert lines[-1] == f'written: {out}'
    assert load_config(out).model.backbone.groups == 64


def test_what_cannot_be_converted_is_named_and_nothing_is_written(tmp_path):
    source = tmp_path / 'theirs.py'
    source.write_text("model = dict(type='FCOS', bbox_head=dict(type='FCOSHead'))\n")
    done = run(source, tmp_path / 'mine.py')
    assert done.returncode == 2
    assert "model.type='FCOS'" in done.stderr
    assert "'FCOSHead'" in done.stderr
    assert done.stderr.count('\n') == 1
    assert not (tmp_path / 'mine.py').exists()


def test_a_file_that_exists_is_kept(tmp_path):
    out = tmp_path / 'mine.py'
    out.write_text('x = 1')
    with pytest.raises(ConfigError, match=r'a new \.py file'):
        convert_file(f'{SOURCES}/three/retinanet.py', str(out))
    assert out.read_text() == 'x = 1'


@pytest.mark.parametrize(
    ('name', 'text', 'reason'),
    [
        ('none.py', None, 'FileNotFoundError'),
        ('broken.py', 'model = dict(', 'SyntaxError'),
        ('empty.py', 'x = 1', 'has no model'),
    ],
)
def test_a_source_that_cannot_be_read_is_named(name, text, reason, tmp_path):
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=rf'{name}.*{reason}'):
        read_source(str(path))


def test_a_base_of_mmdetection_needs_mmdetection():
    try:
        import mmdet  # noqa: F401
    except ImportError:
        with pytest.raises(ConfigError, match='mmdet'):
            read_source('mmdet::retinanet/retinanet_r50_fpn_1x_coco.py')
    else:
        found = read_source('mmdet::retinanet/retinanet_r50_fpn_1x_coco.py')
        assert found['model']['type'] == 'RetinaNet'
