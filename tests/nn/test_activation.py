"""What a layer in front computes itself of an activation behind it."""

import numpy as np
import pytest

from fastnn import Tensor, nn, no_grad
from fastnn import functional as F


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


def test_parameters_by_place_and_name():
    assert repr(nn.Hardtanh(-2.0, max_val=0.5)) == "Hardtanh(min_val=-2.0, max_val=0.5)"
    assert repr(nn.ReLU(True)) == "ReLU(inplace=True)"
    with pytest.raises(TypeError, match=r"ELU: got an unexpected keyword argument 'beta'; it takes \(alpha=1.0, inpl"):
        nn.ELU(beta=1)
    with pytest.raises(TypeError, match="Threshold: missing a required argument: 'value'"):
        nn.Threshold(0.5)


def test_in_place():
    x = np.array([-1.0, 2.0], np.float32)
    given = Tensor(x)
    assert nn.ReLU(inplace=True)(given) is given
    np.testing.assert_array_equal(given.numpy(), [0, 2])
    leaf = Tensor([-1.0, 2.0], requires_grad=True)
    with pytest.raises(RuntimeError, match="relu: a leaf tensor that requires a gradient cannot be changed in place"):
        F.relu(leaf, inplace=True)
    made = leaf * 1
    y = F.silu(made, inplace=True)  # what `made` holds is needed: a new tensor
    assert y is not made and made.tolist() == [-1, 2]
    y.sum().backward()
    np.testing.assert_allclose(leaf.grad, [0.07232948, 1.0907843], rtol=1e-6)
    with no_grad():
        assert F.relu(leaf, inplace=True) is leaf and leaf.tolist() == [0, 2]


def test_steps_have_no_gradient():
    x = Tensor([-1.0, 0.0, 2.0], requires_grad=True)
    y = nn.BipolarStep(theta=0.5)(x)
    assert y.tolist() == [-1, -1, 1]
    y.sum().backward()
    assert x.grad.tolist() == [0, 0, 0]
