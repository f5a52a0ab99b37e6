"""What the documents point at is there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob('*.md'), *(ROOT / 'docs').rglob('*.md')])
_LINK = re.compile(r'\]\((?!https?://|#)([^)#]+)')
_ANCHOR = re.compile(r'\]\((?!https?://)([^)#]*\.md|)#([^)]+)\)')
_FENCE = re.compile(r'^```.*?^```', re.MULTILINE | re.DOTALL)
_TEST = re.compile(r'`(tests/[\w/]+\.py)?(?:::(\w+))?`')


def name(path: Path) -> str:
    return path.name


def anchors(path: Path) -> set[str]:
    """What GitHub calls the headings of a page."""
    headings = re.findall(r'^#+ (.+)$', _FENCE.sub('', path.read_text()), re.MULTILINE)
    words = (re.sub(r'[^\w\- ]', '', x.strip().lower()) for x in headings)
    return {x.replace(' ', '-') for x in words}


def named_tests(text: str) -> list[tuple[str, str]]:
    """Files and functions of tests; a function alone is of the file before it."""
    found, file = [], ''
    for match in _TEST.finditer(text):
        file = match[1] or file
        if match[1] or match[2]:
            found.append((file, match[2] or ''))
    return found


@pytest.mark.parametrize('path', DOCUMENTS, ids=name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in _LINK.findall(path.read_text()):
        assert (path.parent / target).exists(), f'{path.name} links to {target}'


@pytest.mark.parametrize('path', DOCUMENTS, ids=name)
def test_links_lead_to_headings_that_are_there(path: Path) -> None:
    for target, anchor in _ANCHOR.findall(path.read_text()):
        other = (path.parent / target) if target else path
        assert anchor in anchors(other), f'{path.name} links to {target}#{anchor}'


@pytest.mark.parametrize('path', DOCUMENTS, ids=name)
def test_the_tests_that_are_named_exist(path: Path) -> None:
    for file, function in named_tests(path.read_text()):
        assert (ROOT / file).is_file(), f'{path.name} names {file}'
        tree = ast.parse((ROOT / file).read_text())
        functions = {x.name for x in ast.walk(tree) if isinstance(x, ast.FunctionDef)}
        assert not function or function in functions, f'{file} has no {function}'


def test_every_promise_names_a_test() -> None:
    text = (ROOT / 'docs' / 'reliability.md').read_text()
    rows = [x for x in text.splitlines() if x.startswith('| ') and 'kept by' not in x]
    promises = [x for x in rows if not re.match(r'\| (---|[\d+n ]+\||exit)', x)]
    assert len(promises) > 30
    for row in promises:
        assert named_tests(row), row
