"""A full disk takes lines of the log, and not the run."""

import logging

import pytest
from mmengine.logging import MMLogger

from freeanchor.engine import LocalVisBackend


@pytest.fixture
def warnings() -> list[str]:
    logger = MMLogger.get_instance('log_file')
    texts: list[str] = []
    handler = logging.Handler()
    handler.addFilter(lambda record: 'scalars.json' in record.getMessage())
    handler.emit = lambda record: texts.append(record.getMessage())  # type: ignore
    logger.addHandler(handler)
    return texts


def test_lines_that_cannot_be_written_are_counted(tmp_path, warnings):
    """T6."""
    backend = LocalVisBackend(save_dir=str(tmp_path))
    backend.add_scalars(dict(loss=1.0), step=1)
    path = tmp_path / 'scalars.json'
    path.rename(tmp_path / 'kept')
    path.mkdir()  # nobody can write into it
    for step in (2, 3):
        backend.add_scalars(dict(loss=1.0), step=step)
    assert len(warnings) == 1
    assert 'training goes on' in warnings[0]
    path.rmdir()
    (tmp_path / 'kept').rename(path)
    backend.add_scalars(dict(loss=1.0), step=4)
    assert 'it lacks 2 lines' in warnings[1]
    assert len(path.read_text().splitlines()) == 2
