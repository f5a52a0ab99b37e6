import os

import pytest
import torch


def pytest_configure() -> None:
    # Workers of pytest-xdist share the cores; more threads than cores are slow.
    if 'PYTEST_XDIST_WORKER' in os.environ:
        torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
