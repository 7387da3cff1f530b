"""What a layer in front computes itself of an activation behind it."""

import numpy as np
import pytest

from fastnn import Tensor, nn


@pytest.mark.parametrize(
    "activation, name",
    [
        (nn.ReLU(), "relu"),
        (nn.Sigmoid(), "sigmoid"),
        (nn.Tanh(), "tanh"),
        (nn.GELU(), "gelu"),
        (nn.GELU("tanh"), None),
        (nn.LeakyReLU(), "leaky_relu"),
        (nn.LeakyReLU(0.2), None),
    ],
    ids=repr,
)
def test_fused_in_a_sequence(activation, name):
    assert activation.fused_name == name
    linear = nn.Linear(5, 3)
    x = Tensor(np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32))
    together, apart = nn.Sequential(linear, activation)(x), activation(linear(x))
    np.testing.assert_allclose(together.numpy(), apart.numpy(), rtol=1e-5, atol=1e-6)


def test_a_slope_that_changes():
    linear, activation = nn.Linear(5, 3), nn.LeakyReLU()
    model, x = nn.Sequential(linear, activation), np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    model(x)
    activation.negative_slope = 0.5
    np.testing.assert_allclose(np.asarray(model(x)), np.asarray(activation(linear(x))), rtol=1e-5, atol=1e-6)


def test_unknown_approximation():
    with pytest.raises(ValueError, match="GELU: approximate must be"):
        nn.GELU("erf")
