"""A loss computes a gradient in its forward pass only where one will be wanted."""

import numpy as np
import pytest

import fastnn_kernels as kernels
from fastnn import Tensor, functional, no_grad

X, T = np.random.default_rng(3).normal(size=(2, 6, 5)).astype(np.float32)
LABELS = np.array([0, 1, 2, 3, 4, 0])
CASES = [("mse_loss", T), ("cross_entropy", LABELS), ("nll_loss", LABELS), ("multi_margin_loss", LABELS)]


@pytest.mark.parametrize(("name", "target"), CASES)
def test_gradients_are_computed_only_if_wanted(name, target, monkeypatch):
    calls, loss = [], getattr(kernels, name)
    for way in ("backward", "with_gradient"):
        original = getattr(loss, way)
        monkeypatch.setattr(loss, way, lambda *a, way=way, f=original, **o: (calls.append(way), f(*a, **o))[1])
    function = getattr(functional, name)
    function(X, target)
    function(Tensor(X), target)
    with no_grad():
        function(Tensor(X, requires_grad=True), target)
    assert not calls
    x = Tensor(X, requires_grad=True)
    function(x, target).backward()
    assert calls == ["with_gradient"]
    np.testing.assert_array_equal(x.grad, getattr(kernels, f"{name}_backward")(1.0, X, target))
    for scale in (3.0, 0.5):
        x.grad = None
        (function(x, target) * scale).backward()
        np.testing.assert_allclose(x.grad, getattr(kernels, f"{name}_backward")(scale, X, target), rtol=1e-6)
    calls.clear()
    function(x, target, reduction="none").sum().backward()
    assert calls == ["with_gradient", "backward"]


def test_only_the_operands_that_need_it_get_a_gradient():
    t = Tensor(T, requires_grad=True)
    functional.mse_loss(X, t).backward()
    np.testing.assert_array_equal(t.grad, kernels.mse_loss_backward(1.0, X, T, needs=(False, True))[1])
    x, t = Tensor(X, requires_grad=True), Tensor(T, requires_grad=True)
    functional.mse_loss(input=x, target=t, reduction="sum").backward()
    np.testing.assert_array_equal(x.grad, -t.grad)
