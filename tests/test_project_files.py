"""What stands around the code agrees with it: versions, licence, CI, issue forms."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import freeanchor

ROOT = Path(__file__).parents[1]
GITHUB = ROOT / '.github'
FORMS = sorted((GITHUB / 'ISSUE_TEMPLATE').glob('*_*.yml'))
PYPROJECT = (ROOT / 'pyproject.toml').read_text()


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def at_least() -> dict[str, str]:
    """The lower bounds of pyproject.toml, by package."""
    return dict(re.findall(r'"([\w.-]+)>=([\d.]+)', PYPROJECT))


def test_the_oldest_versions_of_ci_are_those_that_are_promised() -> None:
    lines = (GITHUB / 'oldest.txt').read_text().splitlines()
    pinned = dict(re.findall(r'^([\w.-]+)==(\S+)', x)[0] for x in lines if '==' in x)
    assert {'torch', 'torchvision', 'numpy', 'mmengine'} <= set(pinned)
    for package, version in pinned.items():
        numbers = [list(map(int, x.split('.'))) for x in (version, at_least()[package])]
        width = max(map(len, numbers))
        exact, lowest = (x + [0] * (width - len(x)) for x in numbers)
        assert exact == lowest, package


def python_of(job: dict[str, Any]) -> str:
    versions = [x.get('with', {}).get('python-version') for x in job['steps']]
    return next(x for x in versions if x)


def commands_of(job: dict[str, Any]) -> str:
    return '\n'.join(x.get('run', '') for x in job['steps'])


def test_ci_has_the_oldest_python_that_is_promised_and_a_newer_one() -> None:
    jobs = read(GITHUB / 'workflows' / 'test.yml')['jobs']
    (promised,) = re.findall(r'requires-python = ">=([\d.]+)"', PYPROJECT)
    assert python_of(jobs['oldest']) == promised
    oldest, newest = (
        int(python_of(jobs[x]).split('.')[1]) for x in ('oldest', 'newest')
    )
    assert newest > oldest


def test_ci_runs_what_everybody_runs() -> None:
    jobs = read(GITHUB / 'workflows' / 'test.yml')['jobs']
    ours = (ROOT / '.ci' / 'run').read_text().splitlines()[-1]
    assert ours == "bash tools/check.sh -m 'not heavy'"
    assert 'bash .ci/run' in commands_of(jobs['newest'])
    # The heaviest too: minutes count less there than here.
    assert "pytest -n auto -m 'slow or not slow'" in commands_of(jobs['oldest'])
    assert '--constraint .github/oldest.txt' in commands_of(jobs['oldest'])
    assert 'mkdocs build --strict' in commands_of(jobs['docs'])


def test_the_citation_has_the_version_and_licence_of_the_package() -> None:
    citation = read(ROOT / 'CITATION.cff')
    assert citation['version'] == freeanchor.__version__
    assert f'license = {{text = "{citation["license"]}"}}' in PYPROJECT
    assert 'Apache License' in (ROOT / 'LICENSE').read_text()[:200]
    paper = citation['preferred-citation']
    assert paper['title'] in ' '.join((ROOT / 'README.md').read_text().split())


def test_the_changes_of_this_version_are_told() -> None:
    assert f'\n## {freeanchor.__version__}' in (ROOT / 'CHANGELOG.md').read_text()


@pytest.mark.parametrize('path', FORMS, ids=lambda x: x.name)
def test_an_issue_form_has_what_github_asks_for(path: Path) -> None:
    form = read(path)
    assert {'name', 'description', 'body'} <= set(form)
    fields = [x for x in form['body'] if x['type'] != 'markdown']
    assert len({x['id'] for x in fields}) == len(fields) > 1
    assert all(x['attributes']['label'] for x in fields)


def test_a_bug_report_asks_for_what_the_package_prints() -> None:
    text = (GITHUB / 'ISSUE_TEMPLATE' / 'bug_report.yml').read_text()
    assert 'python -m freeanchor.env' in text


def test_the_commit_hooks_run_what_the_check_runs() -> None:
    (repo,) = read(ROOT / '.pre-commit-config.yaml')['repos']
    check = (ROOT / 'tools' / 'check.sh').read_text()
    for hook in repo['hooks']:
        tool = hook['entry'].split()[2]
        assert f'-m {tool}' in check
