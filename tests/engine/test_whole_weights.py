import pytest
import torch
from torch import nn

from freeanchor.engine import ConfigError
from freeanchor.engine.whole_weights import load_whole


def test_all_weights_are_loaded_and_a_wrappers_prefix_is_cut_off() -> None:
    source, model = nn.Linear(3, 2), nn.Linear(3, 2)
    weights = {f'module.{name}': x for name, x in source.state_dict().items()}
    load_whole(model, weights)
    assert torch.equal(model.weight, source.weight)
    assert torch.equal(model.bias, source.bias)


def test_a_counter_of_batch_normalisation_may_be_missing() -> None:
    model = nn.BatchNorm2d(4)
    weights = {**nn.BatchNorm2d(4).state_dict(), 'running_mean': torch.ones(4)}
    del weights['num_batches_tracked']
    load_whole(model, weights)
    assert torch.equal(model.running_mean, torch.ones(4))


@pytest.mark.parametrize(
    ('weights', 'message'),
    [
        ({'weight': torch.zeros(2, 3)}, 'it has no bias'),
        (
            {'weight': torch.zeros(2, 4), 'bias': torch.zeros(2)},
            r'weight \(2, 4\) instead of \(2, 3\)',
        ),
    ],
)
def test_what_is_missing_or_of_another_shape_is_named(
    weights: dict[str, torch.Tensor], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        load_whole(nn.Linear(3, 2), weights)
