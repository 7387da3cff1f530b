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


class TestMore:
    @pytest.mark.parametrize(("mean", "std", "a", "b"), [
        (0, 1, -2, 2), (0, 0.02, -2, 2), (0, 1, 3, 4), (5, 1, -2, 2), (0, 1, 20, 21), (0, 1, -21, -20),
    ])  # fmt: skip
    def test_truncated(self, mean, std, a, b):
        stats = pytest.importorskip("scipy.stats")
        values = init.trunc_normal_(Tensor(np.empty(20000)), mean, std, a, b).numpy()
        assert a <= values.min() and values.max() <= b
        exact = stats.truncnorm((a - mean) / std, (b - mean) / std, mean, std)
        assert abs(values.mean() - exact.mean()) < 5 * exact.std() / math.sqrt(20000)
        assert abs(values.std() / exact.std() - 1) < 0.05

    def test_identities(self):
        assert init.eye_(Tensor(np.empty((2, 3)))).tolist() == [[1, 0, 0], [0, 1, 0]]
        conv = Parameter(np.empty((6, 2, 3), np.float32))
        init.dirac_(conv, groups=2)
        expected = np.zeros((6, 2, 3))
        for filter, channel in ((0, 0), (1, 1), (3, 0), (4, 1)):
            expected[filter, channel, 1] = 1
        np.testing.assert_array_equal(conv.numpy(), expected)

    def test_sparse(self):
        values = init.sparse_(Tensor(np.empty((10, 400))), 0.25, std=2.0).numpy()
        assert ((values == 0).sum(0) == 3).all() and abs(values[values != 0].std() - 2) < 0.1

    def test_generators(self):
        import fastnn

        fills = (init.uniform_, init.normal_, init.trunc_normal_, init.xavier_uniform_, init.xavier_normal_,
                 init.kaiming_uniform_, init.kaiming_normal_, init.orthogonal_, lambda w, generator:
                 init.sparse_(w, 0.5, generator=generator))  # fmt: skip
        for fill in fills:
            draws = [fill(Tensor(np.empty((3, 4))), generator=fastnn.Generator().manual_seed(7)) for _ in range(2)]
            np.testing.assert_array_equal(draws[0].numpy(), draws[1].numpy())

    def test_older_names(self):
        for name in ("uniform", "normal", "constant", "eye", "xavier_uniform", "kaiming_normal", "orthogonal"):
            with pytest.warns(FutureWarning, match=f"init.{name} is deprecated"):
                getattr(init, name)(Tensor(np.empty((2, 2))), *([1.0] if name == "constant" else []))

    def test_gains(self):
        assert init.calculate_gain("conv2d") == 1 and init.calculate_gain("leaky_relu") == math.sqrt(2 / 1.0001)
        assert init._calculate_fan_in_and_fan_out(Tensor(np.empty((4, 3, 2)))) == (6, 8)

    def test_errors(self):
        w = Tensor(np.empty((2, 3, 4)))
        for call, message in (
            (lambda: init.eye_(w), r"eye_: expected 2 dimensions, got shape \(2, 3, 4\)"),
            (lambda: init.dirac_(Tensor(np.empty((2, 2)))), r"dirac_: expected 3 to 5 dimensions"),
            (lambda: init.dirac_(w, 3), "dirac_: 2 filters do not divide into groups=3"),
            (lambda: init.sparse_(w, 0.1), "sparse_: expected 2 dimensions"),
            (lambda: init.sparse_(Tensor(np.empty((2, 2))), 2), "sparsity must be from 0 to 1, got 2"),
            (lambda: init.trunc_normal_(w, a=1, b=1), "trunc_normal_: needs a < b"),
        ):
            with pytest.raises(ValueError, match=message):
                call()
