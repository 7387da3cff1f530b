"""Weights that are computed: weight and spectral normalization, old and new, and parametrizations of one's own."""

import copy
import pickle

import numpy as np
import pytest

import fastnn
from fastnn import nn
from fastnn.nn import utils
from fastnn.nn.utils import parametrizations, parametrize

LAYERS = {
    "linear": (lambda: nn.Linear(4, 6), (3, 4), 0),
    "conv": (lambda: nn.Conv2d(4, 6, 3), (3, 4, 6, 5), 0),
    "transposed": (lambda: nn.ConvTranspose2d(4, 6, 3), (3, 4, 6, 5), 1),
}
every_layer = pytest.mark.parametrize("name", LAYERS)
WEIGHT_NORMS = {
    "old": (utils.weight_norm, ["weight_g", "weight_v"], lambda m: utils.remove_weight_norm(m)),
    "new": (
        parametrizations.weight_norm,
        ["parametrizations.weight.original0", "parametrizations.weight.original1"],
        lambda m: parametrize.remove_parametrizations(m, "weight"),
    ),
}
SPECTRAL_NORMS = {
    "old": (utils.spectral_norm, ["weight_orig", "weight_u", "weight_v"], lambda m: utils.remove_spectral_norm(m)),
    "new": (
        parametrizations.spectral_norm,
        ["parametrizations.weight.original", "parametrizations.weight.0._u", "parametrizations.weight.0._v"],
        lambda m: parametrize.remove_parametrizations(m, "weight"),
    ),
}


def prepared(name):
    fastnn.manual_seed(3)
    make, shape, axis = LAYERS[name]
    return make().double(), fastnn.randn(*shape, dtype=fastnn.float64), axis


@every_layer
@pytest.mark.parametrize("way", WEIGHT_NORMS)
@pytest.mark.parametrize("dim", [0, 1, None])
def test_weight_norm(name, way, dim):
    add, names, remove = WEIGHT_NORMS[way]
    layer, x, _ = prepared(name)
    weight, y = layer.weight.numpy().copy(), layer(x).detach().numpy()
    assert add(layer, dim=dim) is layer
    assert sorted(layer.state_dict()) == sorted(["bias", *names])
    np.testing.assert_allclose(layer(x).detach().numpy(), y, rtol=1e-12, atol=1e-12)
    g, v = (layer.get_parameter(n) for n in names)
    axes = tuple(i for i in range(v.ndim) if i != dim)
    np.testing.assert_allclose(g.numpy(), np.sqrt((weight**2).sum(axes, keepdims=dim is not None)), rtol=1e-12)
    g.data *= 3
    v.data *= 5  # of which only the direction counts
    np.testing.assert_allclose(layer(x).detach().numpy() - y, 2 * (y - bias_of(layer, y)), rtol=1e-10, atol=1e-10)
    layer(x).sum().backward()
    assert g.grad is not None and abs((v.grad * v.detach()).sum().item()) < 1e-10  # none along the direction
    layer.eval()
    after = layer(x).detach().numpy()
    np.testing.assert_array_equal(copy.deepcopy(layer)(x).detach().numpy(), after)
    remove(layer)
    assert list(sorted(layer.state_dict())) == ["bias", "weight"] and type(layer) is type(LAYERS[name][0]())
    np.testing.assert_allclose(layer(x).detach().numpy(), after, rtol=1e-12, atol=1e-12)


def bias_of(layer, y):
    return layer.bias.numpy().reshape(-1, *[1] * (y.ndim - 2)) if y.ndim > 2 else layer.bias.numpy()


@every_layer
@pytest.mark.parametrize("way", SPECTRAL_NORMS)
def test_spectral_norm(name, way):
    add, names, remove = SPECTRAL_NORMS[way]
    layer, x, axis = prepared(name)
    weight = layer.weight.numpy().copy()
    matrix = np.moveaxis(weight, axis, 0).reshape(weight.shape[axis], -1)
    largest = np.linalg.svd(matrix, compute_uv=False)[0]
    assert add(layer, n_power_iterations=50) is layer
    assert sorted(layer.state_dict()) == sorted(["bias", *names])
    layer(x).sum().backward()
    np.testing.assert_allclose(layer.weight.detach().numpy(), weight / largest, rtol=1e-5, atol=1e-7)
    original = layer.get_parameter(names[0])
    assert abs((original.grad * original.detach()).sum().item()) < 1e-6  # the weight has a length of its own
    u = layer.get_buffer(names[1]).numpy().copy()
    layer.eval()
    after = layer(x).detach().numpy()
    np.testing.assert_array_equal(layer.get_buffer(names[1]).numpy(), u)
    np.testing.assert_array_equal(copy.deepcopy(layer)(x).detach().numpy(), after)
    remove(layer)
    np.testing.assert_allclose(layer(x).detach().numpy(), after, rtol=1e-6, atol=1e-8)


def test_old_ones_can_be_pickled_new_ones_say_why_not():
    layer = utils.weight_norm(nn.Linear(2, 3))
    x = fastnn.randn(1, 2)
    layer(x)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(layer))(x).detach().numpy(), layer(x).detach().numpy())
    with pytest.raises(RuntimeError, match="cannot be pickled: keep its state_dict"):
        pickle.dumps(parametrizations.weight_norm(nn.Linear(2, 3)))


class Symmetric(nn.Module):
    def forward(self, x):
        return x.triu() + x.triu(1).T


class Doubled(nn.Module):
    def forward(self, x):
        return x * 2

    def right_inverse(self, x):
        return x / 2


class TestOwn:
    def test_computed_when_read(self):
        layer = nn.Linear(3, 3)
        parametrize.register_parametrization(layer, "weight", Symmetric())
        parametrize.register_parametrization(layer, "bias", Doubled())
        w = layer.weight.detach().numpy()
        np.testing.assert_array_equal(w, w.T)
        assert parametrize.is_parametrized(layer) and parametrize.is_parametrized(layer, "bias")
        assert isinstance(layer, nn.Linear) and type(layer).__name__ == "ParametrizedLinear"
        names = ["parametrizations.weight.original", "parametrizations.bias.original"]
        assert [name for name, _ in layer.named_parameters()] == names
        layer.bias = fastnn.ones(3)
        assert layer.parametrizations.bias.original.tolist() == [0.5] * 3 and layer.bias.tolist() == [1] * 3
        with pytest.raises(RuntimeError, match="do not say how it can be assigned"):
            layer.weight = fastnn.ones(3, 3)
        twin = copy.deepcopy(layer)
        twin.bias = fastnn.zeros(3)
        assert layer.bias.tolist() == [1] * 3
        parametrize.remove_parametrizations(layer, "weight")
        parametrize.remove_parametrizations(layer, "bias", leave_parametrized=False)
        assert type(layer) is nn.Linear and layer.bias.tolist() == [0.5] * 3 and not parametrize.is_parametrized(layer)
        np.testing.assert_array_equal(layer.weight.numpy(), w)

    def test_one_after_the_other_and_cached(self):
        layer = nn.Linear(2, 2)
        before = layer.weight.numpy().copy()
        parametrize.register_parametrization(layer, "weight", Symmetric())
        parametrize.register_parametrization(layer, "weight", Doubled())
        expected = 2 * (np.triu(before) + np.triu(before, 1).T)
        np.testing.assert_array_equal(layer.weight.detach().numpy(), expected)
        with parametrize.cached():
            assert layer.weight is layer.weight
        assert layer.weight is not layer.weight

    def test_errors(self):
        layer = nn.Linear(2, 3)
        with pytest.raises(ValueError, match="Linear has no parameter or buffer 'w'"):
            parametrize.register_parametrization(layer, "w", Doubled())
        with pytest.raises(TypeError, match="parametrization must be a Module, got function"):
            parametrize.register_parametrization(layer, "weight", lambda x: x)
        with pytest.raises(ValueError, match=r"weight would have shape \(2, 3\), not \(3, 2\)"):
            parametrize.register_parametrization(layer, "weight", Turned())
        assert isinstance(layer.weight, nn.Parameter)
        with pytest.raises(ValueError, match="Linear has no parametrization of 'weight'"):
            parametrize.remove_parametrizations(layer, "weight")
        for remove in (utils.remove_weight_norm, utils.remove_spectral_norm):
            with pytest.raises(ValueError, match="Linear has no normalized 'weight'"):
                remove(layer)
        for add in (utils.weight_norm, utils.spectral_norm, parametrizations.spectral_norm):
            with pytest.raises(ValueError, match="Linear has no parameter 'w'"):
                add(layer, "w")
        with pytest.raises(ValueError, match="n_power_iterations must be at least 1, got 0"):
            utils.spectral_norm(layer, n_power_iterations=0)


class Turned(nn.Module):
    def forward(self, x):
        return x.T
