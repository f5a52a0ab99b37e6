"""The commands of the documents, run as they are written.

A block is run where ``<!-- run -->`` stands before it; where it should fail, with
``<!-- run: fails with CODE -->``. The blocks of a page are run in their order, in a
folder that looks like a checkout. Trainings are made short by options that are added
behind the scenes, and nothing else is changed.

All other commands that call a tool are read by the tool's own parser of arguments.
"""

import importlib.util
import os
import re
import shlex
import stat
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / 'README.md', *(ROOT / 'docs').rglob('*.md')])
_BLOCK = re.compile(
    r'<!-- run(?:: fails with (\d+))? -->\n```(bash|python)\n(.*?)^```',
    re.MULTILINE | re.DOTALL,
)
# A step an epoch on few small pictures, numbered like the epochs of the real run.
SHORT = (
    'model.backbone.init_cfg=None',  # or it would be downloaded
    'train_cfg.max_epochs=12',
    'train_cfg.val_interval=12',
    'train_dataloader.dataset.pipeline.2.scale=(128,128)',
    'train_dataloader.num_workers=0',
    'train_dataloader.persistent_workers=False',
    'train_dataloader.dataset.indices=2',
    'val_dataloader.num_workers=0',
    'val_dataloader.persistent_workers=False',
    'val_dataloader.dataset.indices=2',
    'test_dataloader.num_workers=0',
    'test_dataloader.persistent_workers=False',
    'test_dataloader.dataset.indices=2',
    'default_hooks.checkpoint.interval=12',
)
# Stands for python on the PATH; adds options where a detector is trained or tested.
PYTHON = """#!{python}
import os, sys
arguments = sys.argv[1:]
if any(x.endswith(('tools/train.py', 'tools/test.py')) for x in arguments):
    short = {short!r}
    if '--cfg-options' in arguments:
        place = arguments.index('--cfg-options') + 1
        arguments[place:place] = short
    else:
        arguments += ['--cfg-options', *short]
os.execv({python!r}, [{python!r}, *arguments])
"""


_SHELL = re.compile(r'^```bash\n(.*?)^```|((?:^ {4}.*\n)+)', re.MULTILINE | re.DOTALL)
_CALL = re.compile(r'^\s*(?:\w+=\S+ )*python (tools/\S+\.py)(.*)$', re.MULTILINE)
_OPTIONAL = re.compile(r' \[--[^\]]*\]')  # [--from SOURCE], of a synopsis


class Block(NamedTuple):
    code: int  # that it ends with
    language: str
    text: str


def blocks(text: str) -> list[Block]:
    return [Block(int(code or 0), *rest) for code, *rest in _BLOCK.findall(text)]


def calls(text: str) -> list[tuple[str, str]]:
    """Tools that the shell blocks of a page call, with their arguments."""
    shell = ''.join(a or b for a, b in _SHELL.findall(text)).replace('\\\n', ' ')
    return [(tool, _OPTIONAL.sub('', rest)) for tool, rest in _CALL.findall(shell)]


CALLS = sorted({call for path in PAGES for call in calls(path.read_text())})
WITH_BLOCKS = [path for path in PAGES if blocks(path.read_text())]
# Pages that speak of a data set of the reader's own.
NEEDS_DATA = ('own_data.md', 'predict.md', 'seeing.md', 'export.md')


def name(path: Path) -> str:
    return path.name


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for folder in ('configs', 'tools', 'freeanchor'):
        (tmp_path / folder).symlink_to(ROOT / folder)
    python = tmp_path / 'bin' / 'python'
    python.parent.mkdir()
    python.write_text(PYTHON.format(python=sys.executable, short=list(SHORT)))
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    return tmp_path


def run(block: Block, checkout: Path) -> subprocess.CompletedProcess:
    shell = ['bash', '-euo', 'pipefail', '-c', block.text]
    command = shell if block.language == 'bash' else ['python', '-c', block.text]
    return subprocess.run(
        command,
        cwd=checkout,
        env={
            **os.environ,
            'PATH': f'{checkout / "bin"}:{os.environ["PATH"]}',
            'PYTHONPATH': str(checkout),
            'CUDA_VISIBLE_DEVICES': '',
            'OMP_NUM_THREADS': '1',
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )


def test_a_block_is_found_with_its_language_and_code() -> None:
    text = 'x\n\n<!-- run: fails with 2 -->\n```bash\na\nb\n```\n\n```bash\nc\n```\n'
    assert blocks(text) == [Block(2, 'bash', 'a\nb\n')]


def test_no_mark_is_left_without_its_block() -> None:
    for path in PAGES:
        text = path.read_text()
        assert len(blocks(text)) == text.count('<!-- run'), path


def test_many_pages_have_commands_that_are_run() -> None:
    assert len(WITH_BLOCKS) >= 5


def test_a_call_is_found_in_both_kinds_of_blocks() -> None:
    text = (
        'x\n\n```bash\nA=1 python tools/a.py X \\\n    --y\n```\n\n'
        '    python tools/b.py Z [--w V]\n'
    )
    assert calls(text) == [('tools/a.py', ' X      --y'), ('tools/b.py', ' Z')]


def test_many_calls_are_found() -> None:
    assert len(CALLS) > 40


@pytest.mark.parametrize(('tool', 'arguments'), CALLS)
def test_a_command_is_one_that_its_tool_takes(
    tool: str, arguments: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = ROOT / tool
    monkeypatch.syspath_prepend(path.parent)  # as where it is run
    monkeypatch.setattr(sys, 'argv', [tool, *shlex.split(arguments, comments=True)])
    spec = importlib.util.spec_from_file_location(f'called_{path.stem}', path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.parse_args()


@pytest.mark.slow
@pytest.mark.parametrize('path', WITH_BLOCKS, ids=name)
def test_the_commands_of_a_page_do_what_it_says(path: Path, checkout: Path) -> None:
    if path.name in NEEDS_DATA:
        write_own_data(checkout / 'data' / 'mine')
    for block in blocks(path.read_text()):
        done = run(block, checkout)
        assert done.returncode == block.code, block.text + done.stdout[-3000:]


def write_own_data(root: Path) -> None:
    """16 pictures with three coloured rectangles each, in YOLO's format."""
    rng = np.random.default_rng(0)
    for split, count in (('train', 12), ('val', 4)):
        for folder in ('images', 'labels'):
            (root / folder / split).mkdir(parents=True)
        for i in range(count):
            image, rows = np.full((96, 128, 3), 200, np.uint8), []
            for _ in range(3):
                size = rng.integers(12, 40, 2)
                corner = rng.integers((0, 0), (128, 96) - size)
                label = int(rng.integers(2))
                (x1, y1), (x2, y2) = corner.tolist(), (corner + size).tolist()
                image[y1:y2, x1:x2] = ((255, 0, 0), (0, 0, 255))[label]
                box = (*(corner + size / 2) / (128, 96), *size / (128, 96))
                rows.append(' '.join([str(label), *(f'{x:.5f}' for x in box)]))
            cv2.imwrite(str(root / 'images' / split / f'{split}{i}.png'), image)
            labels = root / 'labels' / split / f'{split}{i}.txt'
            labels.write_text('\n'.join(rows) + '\n')
    keys = 'path: .\ntrain: images/train\nval: images/val\nnames: [cup, tree]\n'
    (root / 'data.yaml').write_text(keys)
