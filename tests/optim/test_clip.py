"""Clipping gradients, in flat memory and elsewhere."""

import numpy as np
import pytest

from fastnn import Tensor, optim
from fastnn.nn import Parameter
from fastnn.optim.clip import gradients_of

SHAPES = [(3, 5), (7,), (), (2, 1, 2)]


def make(rng):
    parameters = [Parameter(rng.normal(size=shape)) for shape in SHAPES]
    for parameter in parameters:
        parameter.grad = rng.normal(size=parameter.shape)
    return parameters


@pytest.mark.parametrize("flat", [True, False])
def test_clip_grad_norm(flat, rng):
    parameters = make(rng)
    if flat:
        optimizer = optim.SGD(parameters)
    before = [p.grad.numpy().copy() for p in parameters]
    norm = np.sqrt(sum((g**2).sum() for g in before))
    assert optim.clip_grad_norm_(parameters, 100.0) == pytest.approx(norm, rel=1e-12)
    optim.clip_grad_norm_(iter(parameters), 0.5)
    for parameter, gradient in zip(parameters, before, strict=True):
        np.testing.assert_allclose(parameter.grad, gradient * 0.5 / (norm + 1e-6), rtol=1e-12)
    if flat:
        assert len(gradients_of("", parameters)) == 1 and len(gradients_of("", parameters[1:])) == 3
        optimizer.zero_grad()
        assert optim.clip_grad_norm_(parameters, 1.0) == 0


def test_clip_grad_value(rng):
    parameters = make(rng)
    parameters[1].grad = None
    before = [p.grad.numpy().copy() for p in parameters if p.grad is not None]
    optim.clip_grad_value_(parameters, 0.5)
    after = [p.grad for p in parameters if p.grad is not None]
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(other, one.clip(-0.5, 0.5))
    leaf = Tensor(np.ones(3), requires_grad=True)
    leaf.grad = np.full(3, 7.0)
    optim.clip_grad_value_(leaf, 2)
    assert leaf.grad.tolist() == [2, 2, 2]


def test_bad_arguments(rng):
    parameters = make(rng)
    with pytest.raises(TypeError, match="clip_grad_norm_: expected parameters, got ndarray"):
        optim.clip_grad_norm_([np.ones(3)], 1.0)
    with pytest.raises(ValueError, match="max_norm must not be negative, got -1"):
        optim.clip_grad_norm_(parameters, -1)
    parameters[0].grad[0] = np.inf
    before = parameters[1].grad.numpy().copy()
    with pytest.raises(RuntimeError, match="clip_grad_norm_: the norm of the gradients is inf; they were not changed"):
        optim.clip_grad_norm_(parameters, 1.0, error_if_nonfinite=True)
    np.testing.assert_array_equal(parameters[1].grad, before)
