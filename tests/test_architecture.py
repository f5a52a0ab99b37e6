"""What may import what, read from the syntax trees."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / 'freeanchor'
MAY_IMPORT = {
    'registry': set(),
    'boxes': {'registry'},
    'structures': {'boxes'},
    'losses': {'structures', 'boxes', 'registry'},
    'models': {'structures', 'boxes', 'registry'},
    'datasets': {'registry'},
    'evaluation': {'registry', 'boxes'},
    'engine': {'registry'},
    'visualization': {'registry', 'losses', 'structures'},
    'inference': {'datasets', 'engine', 'registry', 'visualization'},
    'deployment': {'inference', 'models', 'boxes', 'datasets', 'engine'},
}
FILES = sorted(PACKAGE.rglob('*.py'))
TOOLS = sorted((ROOT / 'tools').rglob('*.py'))


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Absolute names of the modules that a file imports, and the lines."""
    package = path.relative_to(ROOT).with_suffix('').parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = package[: -node.level] if node.level else ()
            module = '.'.join([*base, *([node.module] if node.module else [])])
            yield module, node.lineno
            for alias in node.names:
                yield f'{module}.{alias.name}', node.lineno


def room(module: str) -> str | None:
    parts = module.split('.')
    return parts[1] if parts[0] == 'freeanchor' and len(parts) > 1 else None


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize('path', FILES, ids=name)
def test_rooms_import_only_what_they_may(path: Path) -> None:
    own = path.relative_to(PACKAGE).with_suffix('').parts[0]
    allowed = MAY_IMPORT.get(own, set()) | {own}
    for module, line in imports(path):
        other = room(module)
        if other is not None and other != '__version__':
            assert other in allowed, f'{name(path)}:{line} imports {module}'


@pytest.mark.parametrize('path', FILES + TOOLS, ids=name)
def test_compiled_mmcv_is_never_imported(path: Path) -> None:
    for module, line in imports(path):
        compiled = module.startswith(('mmcv.ops', 'mmcv._ext'))
        assert not compiled, f'{name(path)}:{line} imports {module}'


def test_importing_everything_loads_no_compiled_mmcv() -> None:
    modules = ['.'.join(path.relative_to(ROOT).with_suffix('').parts) for path in FILES]
    code = (
        'import importlib, sys\n'
        f'for name in {modules}: importlib.import_module(name)\n'
        "loaded = [m for m in sys.modules if m.startswith(('mmcv.ops', 'mmcv._ext'))]\n"
        'assert not loaded, loaded\n'
    )
    subprocess.run([sys.executable, '-c', code], check=True, cwd=ROOT)


@pytest.mark.parametrize('path', sorted((ROOT / 'configs').rglob('*.py')), ids=name)
def test_configs_are_data(path: Path) -> None:
    assert not list(imports(path)), f'{name(path)} imports something'


def test_every_file_has_a_place_in_the_tests() -> None:
    rooms = {
        path.relative_to(PACKAGE).parts[0] for path in FILES if path.parent != PACKAGE
    }
    missing = [
        r for r in sorted(rooms) if not list((ROOT / 'tests' / r).glob('test_*.py'))
    ]
    assert not missing
