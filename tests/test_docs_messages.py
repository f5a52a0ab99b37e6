"""The messages that docs/troubleshooting.md quotes are those of the code."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / 'docs' / 'troubleshooting.md').read_text()
QUOTED = re.findall(r'^### `(.*)`$', PAGE, re.MULTILINE)
VARIES = '...'


def text_of(node: ast.expr) -> str:
    """A text of the source with ``...`` for what is only known when it runs."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return ''.join(text_of(x) for x in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return text_of(node.left) + text_of(node.right)
    return VARIES


def texts() -> Iterator[str]:
    for folder in ('freeanchor', 'tools'):
        for path in sorted((ROOT / folder).rglob('*.py')):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp):
                    yield text_of(node)


def says(text: str, quoted: str) -> bool:
    """Whether ``quoted`` is a part of ``text``, whatever stands for its dots."""
    pattern = '.*'.join(re.escape(x) for x in quoted.split(VARIES))
    return re.search(pattern, text) is not None


@pytest.fixture(scope='module')
def sources() -> list[str]:
    return [x for x in texts() if len(x) > 10]


def test_the_page_quotes_many_messages() -> None:
    assert len(QUOTED) > 40
    assert len(set(QUOTED)) == len(QUOTED)


@pytest.mark.parametrize('quoted', QUOTED)
def test_a_quoted_message_is_in_the_code(quoted: str, sources: list[str]) -> None:
    assert any(says(x, quoted) for x in sources), f'nothing says {quoted!r}'


def test_a_message_that_was_reworded_is_noticed() -> None:
    assert says('no file ... here: look there', '... file ... here: look')
    assert not says('no file ... here: look there', 'no file ... there: look')
