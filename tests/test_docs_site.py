"""The documentation site: it builds, and works without a network."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('mkdocs', reason="the site needs pip install 'freeanchor[docs]'")
pytest.importorskip('material', reason="the site needs pip install 'freeanchor[docs]'")
pytest.importorskip('mkdocstrings', reason="the site needs 'freeanchor[docs]'")
pytest.importorskip('latex2mathml', reason="the site needs 'freeanchor[docs]'")

ROOT = Path(__file__).parents[1]
PUBLIC = ('structures', 'losses', 'models', 'boxes', 'datasets', 'evaluation', 'engine')
# What a browser would fetch by itself, not what a reader may click.
_FETCHED = re.compile(r'<(?:script|img|iframe)[^>]+src="(?://|https?://)[^"]+"')
_STYLED = re.compile(r'<link[^>]+rel="(?:stylesheet|preconnect)"[^>]+href="https?://')

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def site(tmp_path_factory) -> Path:
    """The site, built as CI builds it: any warning is an error."""
    folder = tmp_path_factory.mktemp('site')
    command = [sys.executable, '-m', 'mkdocs', 'build', '--strict', '-d', str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def page(site: Path, name: str) -> str:
    return (site / name / 'index.html').read_text()


def test_every_page_is_built(site: Path) -> None:
    for path in (ROOT / 'docs').rglob('*.md'):
        place = path.relative_to(ROOT / 'docs').with_suffix('')
        place = place.parent if place.name == 'index' else place
        assert (site / place / 'index.html').is_file(), f'{path} is not in the site'


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    for path in site.rglob('*.html'):
        text = path.read_text()
        assert not _FETCHED.search(text), path
        assert not _STYLED.search(text), path


def test_formulas_need_no_script(site: Path) -> None:
    text = page(site, 'matching')
    assert text.count('<math') > 30
    assert 'arithmatex' not in text
    assert '\\frac' not in text


def test_files_of_the_repository_that_are_linked_to_are_in_the_site(site: Path) -> None:
    text = page(site, 'model_zoo')
    targets = re.findall(r'href="(\.\./source/configs/[^"]+)"', text)
    assert len(targets) > 20
    for target in targets:
        source = (site / 'model_zoo' / target / 'index.html').read_text()
        assert '_base_' in source


@pytest.mark.parametrize('room', PUBLIC)
def test_the_api_has_what_a_room_exports(site: Path, room: str) -> None:
    text = page(site, f'api/{room}')
    found = re.findall(rf'id="(freeanchor\.{room}\.[\w.]+)"', text)
    assert len(found) >= 4
    assert ':func:' not in text
    assert ':class:' not in text
