"""Losses as layers give what the functions give."""

import numpy as np
import pytest

from fastnn import Tensor, functional, nn


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_losses(reduction, rng):
    x, labels = Tensor(rng.normal(size=(5, 3))), np.array([0, 2, 1, 1, 0])
    expected = functional.cross_entropy(x, labels, reduction).numpy()
    np.testing.assert_array_equal(nn.CrossEntropyLoss(reduction)(x, labels).numpy(), expected)
    expected = functional.mse_loss(x, x * 2, reduction).numpy()
    np.testing.assert_array_equal(nn.MSELoss(reduction)(x, x * 2).numpy(), expected)


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss, nn.MSELoss])
def test_unknown_reduction(loss):
    with pytest.raises(ValueError, match=f"{loss.__name__}: reduction must be"):
        loss("max")
