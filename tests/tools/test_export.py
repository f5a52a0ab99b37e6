import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from freeanchor.engine import ConfigError

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def tool() -> Iterator[ModuleType]:
    path = ROOT / 'tools' / 'deploy' / 'export.py'
    spec = importlib.util.spec_from_file_location('export_tool', path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in 'abc':
        cv2.imwrite(str(tmp_path / f'{name}.png'), np.zeros((8, 8, 3), np.uint8))
    return tmp_path


def test_formats_of_the_command_line_are_those_there_are(tool: ModuleType) -> None:
    from freeanchor.deployment import FORMATS

    assert tuple(FORMATS) == tool._FORMATS


def test_the_file_is_written_beside_the_checkpoint(tool: ModuleType) -> None:
    beside = tool.default_out('runs/a/epoch_12.pth', '.onnx')
    assert beside == Path('runs/a/epoch_12.onnx')
    here = tool.default_out('https://example.org/weights/a.pth', '.pt2')
    assert here == Path('a.pt2')


def test_the_named_images_are_looked_at(tool: ModuleType, folder: Path) -> None:
    images = tool.images_to_check([str(folder)], 2, Config())
    assert [Path(x).name for x in images] == ['a.png', 'b.png']


def test_without_a_name_the_test_data_are_looked_at(
    tool: ModuleType, tmp_path: Path
) -> None:
    dataset = dict(type='ShapesDataset', data_root=str(tmp_path), split='val')
    cfg = Config(dict(test_dataloader=dict(dataset=dataset)))
    images = tool.images_to_check(None, 3, cfg)
    assert len(images) == 3
    assert all(Path(x).is_file() for x in images)


def test_test_data_that_are_not_here_are_asked_for(
    tool: ModuleType, tmp_path: Path
) -> None:
    dataset = dict(type='CocoDataset', data_root=str(tmp_path), ann_file='none.json')
    cfg = Config(dict(test_dataloader=dict(dataset=dataset)))
    for config in (cfg, Config()):
        with pytest.raises(ConfigError, match=r'name images .* with --images'):
            tool.images_to_check(None, 3, config)


def test_checking_on_no_image_is_refused(tool: ModuleType, folder: Path) -> None:
    with pytest.raises(ConfigError, match='--num-images 0'):
        tool.images_to_check([str(folder)], 0, Config())
