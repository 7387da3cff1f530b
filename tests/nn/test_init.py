"""Initial values: their distributions, and PyTorch's defaults."""

import math

import numpy as np
import pytest

from fastnn import Tensor, manual_seed
from fastnn.nn import Linear, Parameter, init

SHAPE = (300, 200)  # 60,000 draws: standard deviations are off by 0.3 % (one sigma), means by 0.4 % of one
FAN_IN, FAN_OUT = 200, 300


@pytest.fixture(autouse=True)
def seed():
    """Draw the same values in every run."""
    manual_seed(1)


@pytest.mark.parametrize(
    ("fill", "std", "bound"),
    [
        (init.normal_, 1.0, None),
        (lambda w: init.normal_(w, 0.0, 0.1), 0.1, None),
        (lambda w: init.uniform_(w, -2.0, 2.0), 2 / math.sqrt(3), 2.0),
        (init.xavier_uniform_, math.sqrt(2 / 500), math.sqrt(6 / 500)),
        (lambda w: init.xavier_uniform_(w, 3.0), 3 * math.sqrt(2 / 500), 3 * math.sqrt(6 / 500)),
        (init.xavier_normal_, math.sqrt(2 / 500), None),
        (init.kaiming_uniform_, math.sqrt(2 / FAN_IN), math.sqrt(6 / FAN_IN)),
        (init.kaiming_normal_, math.sqrt(2 / FAN_IN), None),
        (lambda w: init.kaiming_normal_(w, mode="fan_out", nonlinearity="tanh"), 5 / 3 / math.sqrt(FAN_OUT), None),
        (lambda w: init.kaiming_normal_(w, a=1.0), math.sqrt(1 / FAN_IN), None),
    ],
)
def test_distributions(fill, std, bound):
    weight = Parameter(np.full(SHAPE, np.nan, np.float32))
    assert fill(weight) is weight
    values = weight.numpy()
    assert abs(values.std() / std - 1) < 0.015
    assert abs(values.mean()) < 0.02 * std
    if bound is not None:
        assert 0.999 * bound < np.abs(values).max() <= np.float32(bound)
    else:
        assert np.abs(values).max() > 3.5 * std


@pytest.mark.parametrize("shape", [(8, 5), (5, 8), (6, 2, 3), (4, 4)])
def test_orthogonal(shape):
    weight = init.orthogonal_(Tensor(np.empty(shape)), gain=2.0).numpy().reshape(shape[0], -1)
    small = weight @ weight.T if weight.shape[0] <= weight.shape[1] else weight.T @ weight
    np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-13)


def test_constants():
    weight = Parameter(np.empty(3))
    assert init.zeros_(weight).tolist() == [0, 0, 0]
    assert init.ones_(weight).tolist() == [1, 1, 1]
    assert init.constant_(weight, 2.5).tolist() == [2.5, 2.5, 2.5]


def test_fans_count_the_receptive_field():
    assert init.fans((8, 3, 5, 5)) == (75, 200)
    with pytest.raises(ValueError, match=r"at least 2 dimensions, got shape \(3,\)"):
        init.xavier_normal_(Parameter(np.empty(3)))
    with pytest.raises(ValueError, match="at least 2 dimensions"):
        init.orthogonal_(Parameter(np.empty(3)))


def test_gains():
    assert init.calculate_gain("leaky_relu", 0.5) == math.sqrt(2 / 1.25)
    with pytest.raises(ValueError, match="unknown nonlinearity 'swish'"):
        init.calculate_gain("swish")
    with pytest.raises(ValueError, match="'fan_in' or 'fan_out', got 'fan'"):
        init.kaiming_normal_(Parameter(np.empty((2, 2))), mode="fan")


def test_linear_starts_as_in_pytorch():
    layer = Linear(400, 500)
    for values in (layer.weight.numpy(), layer.bias.numpy()):
        assert 0.98 / 20 < np.abs(values).max() <= 1 / 20
    assert layer.weight.numpy().std() == pytest.approx(1 / 20 / math.sqrt(3), rel=0.02)


def test_the_seed_decides():
    one = Linear(3, 3).state_dict()
    manual_seed(1)
    two = Linear(3, 3).state_dict()
    three = Linear(3, 3).state_dict()
    assert np.array_equal(one["weight"], two["weight"]) and not np.array_equal(two["weight"], three["weight"])


def test_linear_refuses_empty_features():
    with pytest.raises(ValueError, match="features must be positive, got 3 -> 0"):
        Linear(3, 0)
