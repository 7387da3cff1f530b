"""Elementwise operations where the table of gradients does not look: kinks, NaN, infinities, broadcasting, dtypes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes

from fastnn import Tensor
from fastnn import functional as F

INF, NAN = np.inf, np.nan


def gradient(operation, *inputs, weights=1.0):
    """Give the gradients of the weighted sum of `operation` of the inputs."""
    tensors = [Tensor(np.array(x, np.float64), requires_grad=True) for x in inputs]
    (operation(*tensors) * weights).sum().backward()
    return [tensor.grad.tolist() for tensor in tensors]


@given(mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=4, min_side=0), st.sampled_from([F.add, F.mul]))
def test_gradients_have_the_shapes_of_the_inputs(shapes, operation):
    rng = np.random.default_rng(0)
    a, b = (Tensor(rng.normal(size=shape), requires_grad=True) for shape in shapes.input_shapes)
    y = operation(a, b)
    assert y.shape == shapes.result_shape
    y.sum().backward()
    ones = np.ones(shapes.result_shape)
    for x, other in ((a, b), (b, a)):
        slope = ones * (1 if operation is F.add else other.numpy())
        kept = np.zeros(x.shape)
        extra = tuple(range(slope.ndim - kept.ndim))
        kept += slope.sum(axis=extra).sum(
            axis=tuple(i for i, n in enumerate(x.shape) if n == 1 and slope.shape[i + len(extra)] != 1), keepdims=True
        )
        np.testing.assert_allclose(x.grad, kept, rtol=1e-13, atol=1e-13)


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match="could not be broadcast"):
        Tensor(np.ones(2)) + Tensor(np.ones(3))


def test_division_by_zero_is_silent():
    y = Tensor([1.0, 0.0, -1.0]) / Tensor([0.0, 0.0, 0.0])
    np.testing.assert_array_equal(y.numpy(), [INF, NAN, -INF])
    np.testing.assert_array_equal(F.sqrt(np.array([-1.0, 4.0])), [NAN, 2.0])
    np.testing.assert_array_equal(F.log(np.array([-1.0, 0.0, 1.0])), [NAN, -INF, 0.0])
    assert gradient(F.sqrt, [0.0]) == [[INF]]


def test_powers_of_zero():
    assert gradient(lambda x: x**2, [0.0]) == [[0.0]]
    assert gradient(lambda x: x**1, [0.0]) == [[1.0]]
    assert gradient(lambda x: x**0, [0.0, 2.0]) == [[0.0, 0.0]]
    assert gradient(lambda x: x**0.5, [0.0]) == [[INF]]
    assert gradient(F.pow, [0.0, 0.0], [2.0, 0.0]) == [[0.0, 0.0], [0.0, 0.0]]
    assert gradient(lambda x: x**3, [-2.0]) == [[12.0]]


def test_abs_has_no_slope_at_zero():
    assert gradient(F.abs, [-2.0, 0.0, 3.0]) == [[-1.0, 0.0, 1.0]]


def test_clamp():
    x = [-2.0, -1.0, 0.0, 1.0, 2.0]
    assert gradient(lambda x: x.clamp(-1, 1), x) == [[0, 1, 1, 1, 0]]
    assert gradient(lambda x: x.clamp(min=0), x) == [[0, 0, 1, 1, 1]]
    assert gradient(lambda x: x.clip(max=0), x) == [[1, 1, 1, 0, 0]]
    np.testing.assert_array_equal(F.clamp(np.array([NAN, INF, -INF]), -1.0, 1.0), [NAN, 1, -1])
    with pytest.raises(ValueError, match="clamp: at least one of min and max"):
        F.clamp(np.ones(2))


def test_where_takes_tensors_as_condition_and_keeps_nan_out():
    a = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    b = Tensor(np.array([NAN, 5.0]), requires_grad=True)
    y = F.where(Tensor([True, False]), a, b)
    y.sum().backward()
    assert y.tolist() == [1, 5] and a.grad.tolist() == [1, 0] and b.grad.tolist() == [0, 1]


def test_maximum_and_minimum_share_ties_and_pass_nan():
    assert gradient(F.maximum, [1.0, 2.0, 3.0], [1.0, 3.0, 2.0]) == [[0.5, 0, 1], [0.5, 1, 0]]
    assert gradient(F.minimum, [1.0, 2.0, 3.0], [1.0, 3.0, 2.0]) == [[0.5, 1, 0], [0.5, 0, 1]]
    np.testing.assert_array_equal(F.maximum(np.array([NAN, 1.0]), np.array([1.0, NAN])), [NAN, NAN])


def test_mixed_precision_gives_each_input_its_own_gradient():
    a = Tensor(np.ones(2, np.float32), requires_grad=True)
    b = Tensor(np.ones(2, np.float64), requires_grad=True)
    y = a * b + a / b
    assert y.dtype == np.float64
    y.sum().backward()
    assert a.grad.dtype == np.float32 and b.grad.dtype == np.float64


def test_integers_may_take_part_as_constants():
    x = Tensor([1.0, 2.0], requires_grad=True)
    (x * Tensor([2, 3])).sum().backward()
    assert x.grad.tolist() == [2, 3]
