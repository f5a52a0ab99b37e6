"""All generators go on where they were."""

import random

import numpy as np
import torch

from freeanchor.engine.plain import to_plain
from freeanchor.engine.random_state import random_state, set_random_state


def draw() -> tuple:
    # A normal number of NumPy and of Python keeps a second one for the next time.
    return (
        random.random(),
        random.gauss(0, 1),
        np.random.randn(),
        torch.randn(3).tolist(),
    )


def test_generators_go_on_where_they_were(tmp_path):
    draw()
    torch.save(to_plain(random_state()), tmp_path / 'state.pth')
    wanted = draw(), draw()
    set_random_state(torch.load(tmp_path / 'state.pth', weights_only=True))
    assert (draw(), draw()) == wanted
