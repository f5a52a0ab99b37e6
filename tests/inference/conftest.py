from pathlib import Path

import cv2
import numpy as np
import pytest

from freeanchor.inference import Detector, load_detector

from .detectors import write_checkpoint


@pytest.fixture(scope='package')
def detector(tmp_path_factory) -> Detector:
    folder = tmp_path_factory.mktemp('detector')
    return load_detector(write_checkpoint(folder / 'weights.pth'), device='cpu')


@pytest.fixture
def folder(tmp_path) -> Path:
    """Three pictures of noise, 100 wide and 60 high, as PNG files."""
    random = np.random.default_rng(0)
    for name in ('b', 'a', 'c'):
        pixels = random.integers(256, size=(60, 100, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / f'{name}.png'), pixels)
    return tmp_path
