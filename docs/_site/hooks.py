"""What the documentation site does beside MkDocs: links, formulas, roles.

Pages are written for a reader of the repository too: they link to files outside
``docs``, formulas stand between dollars, docstrings have Sphinx's roles. The site has
to work by itself, without a network: linked files become pages of it, and formulas
MathML, which browsers show without a script.
"""

import html
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
HOME = {'README.md': 'index.md'}
"""Files of the repository that have a counterpart among the pages."""

_PICTURES = ('.png', '.jpg', '.svg')
_LANGUAGES = {'.py': 'python', '.json': 'json', '.sh': 'bash', '.yml': 'yaml'}
_LINK = re.compile(r'(!?)\[([^\]]*)\]\((?!https?://|mailto:|#)([^)#\s]+)(#[^)\s]*)?\)')
_FENCE = re.compile(r'^(```.*?^```)', re.MULTILINE | re.DOTALL)
_FORMULA = re.compile(
    r'<(span|div) class="arithmatex">\s*\\[(\[](.*?)\\[)\]]\s*</\1>', re.DOTALL
)
_ROLE = re.compile(r':(?:func|class|meth|mod|attr|exc|data):<code>~?\.?([^<]*)</code>')


def on_files(files: Files, config: Any) -> Files:
    """Add to the site each file of the repository that a page links to."""
    waiting = [(in_repository(x.src_uri), _text(x)) for x in files if _is_page(x)]
    while waiting:
        place, text = waiting.pop()
        for target in linked(place, text):
            uri = in_site(target)
            if uri in files.src_uris or not (ROOT / target).is_file():
                continue
            files.append(_source(config, target, uri))
            if target.endswith('.md'):
                waiting.append((target, (ROOT / target).read_text()))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Point links that leave ``docs`` at the pages of :func:`on_files`."""
    own = page.file.src_uri
    place = in_repository(own)

    def redirect(match: re.Match) -> str:
        mark, words, target, anchor = match.groups()
        uri = in_site(_joined(place, target))
        if uri not in files.src_uris and own.startswith('source/'):
            return words  # a folder, or a file that is made later
        to = posixpath.relpath(uri, posixpath.dirname(own) or '.')
        return f'{mark}[{words}]({to}{anchor or ""})'

    parts = _FENCE.split(markdown)
    parts[::2] = [_LINK.sub(redirect, x) for x in parts[::2]]
    return ''.join(parts)


def on_page_content(content: str, **_: Any) -> str:
    """Formulas to MathML; the names of roles go, what they name stays."""

    def formula(match: re.Match) -> str:
        display = 'block' if match[1] == 'div' else 'inline'
        return convert(html.unescape(match[2]).strip(), display=display)

    return _ROLE.sub(r'<code>\1</code>', _FORMULA.sub(formula, content))


def linked(place: str, text: str) -> Iterator[str]:
    """Files that a page of the repository links to, from the repository's root."""
    for part in _FENCE.split(text)[::2]:
        for match in _LINK.finditer(part):
            yield _joined(place, match[3])


def in_site(path: str) -> str:
    """Where a file of the repository is in the site."""
    if path in HOME:
        return HOME[path]
    if path.startswith('docs/'):
        return path.removeprefix('docs/')
    is_itself = path.endswith(('.md', *_PICTURES))
    return f'source/{path}' if is_itself else f'source/{path}.md'


def in_repository(uri: str) -> str:
    """The file that a page of the site was made from."""
    if not uri.startswith('source/'):
        return f'docs/{uri}'
    path = uri.removeprefix('source/')
    return path if (ROOT / path).is_file() else path.removesuffix('.md')


def _source(config: Any, path: str, uri: str) -> File:
    if path.endswith(('.md', *_PICTURES)):
        return File.generated(config, uri, abs_src_path=str(ROOT / path))
    language = _LANGUAGES.get(Path(path).suffix, 'text')
    text = (ROOT / path).read_text()
    content = f'# `{path}`\n\n````{language}\n{text}\n````\n'
    return File.generated(config, uri, content=content)


def _joined(place: str, target: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(place), target))


def _is_page(file: File) -> bool:
    return file.is_documentation_page() and not file.inclusion.is_excluded()


def _text(file: File) -> str:
    return Path(file.abs_src_path or '').read_text()
