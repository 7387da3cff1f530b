"""All operations of the table: right gradients, the right ones, of the right type; and no tape for plain arrays."""

import inspect

import numpy as np
import pytest

from fastnn import Tensor, functional, no_grad
from tests.functional.row import STEP, TOLERANCE
from tests.functional.table import TABLE, WITHOUT_GRADIENT

rows = pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)


def is_real(x):
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def results(y):
    """All results of an operation as a tuple."""
    return y if isinstance(y, tuple) else (y,)


def weighted(y, weights):
    """One number out of all results, in which every element counts."""
    return sum(float((np.asarray(part) * weight).sum()) for part, weight in zip(results(y), weights, strict=True))


def differentiate(row, inputs, wanted, weights):
    """Give the gradients of `weighted` for the `wanted` inputs, by the tape."""
    tensors = [Tensor(x, requires_grad=i in wanted) if is_real(x) else x for i, x in enumerate(inputs)]
    parts = results(row.operation(*tensors, **row.options))
    total = sum(((part * weight).sum() for part, weight in zip(parts, weights, strict=True)), start=0.0)
    total.backward()
    return parts, {i: tensors[i].grad for i in range(len(tensors)) if is_real(inputs[i])}


def draw_weights(row, inputs, dtype=np.float64):
    rng = np.random.default_rng(11)
    return [rng.normal(size=np.shape(y)).astype(dtype) for y in results(row.operation(*inputs, **row.options))]


@rows
def test_gradient_is_that_of_finite_differences(row):
    inputs = row.inputs()
    weights = draw_weights(row, inputs)
    real = [i for i, x in enumerate(inputs) if is_real(x)]
    _, gradients = differentiate(row, inputs, real, weights)
    rng = np.random.default_rng(13)
    for i in real:  # one input at a time, so that a missing gradient cannot hide behind another
        for _ in range(3):
            direction = rng.normal(size=inputs[i].shape)
            ends = []
            for sign in (1, -1):
                moved = [x + sign * STEP * direction if j == i else x for j, x in enumerate(inputs)]
                ends.append(weighted(row.operation(*moved, **row.options), weights))
            expected = (ends[0] - ends[1]) / (2 * STEP)
            products = gradients[i] * direction
            scale = max(1.0, float(np.abs(products).sum()))
            assert abs(products.sum() - expected) <= TOLERANCE * scale, f"input {i}"


@rows
def test_each_input_alone_gets_the_same_gradient(row):
    inputs = row.inputs()
    weights = draw_weights(row, inputs)
    real = [i for i, x in enumerate(inputs) if is_real(x)]
    _, together = differentiate(row, inputs, real, weights)
    for i in real:
        _, alone = differentiate(row, inputs, [i], weights)
        assert [j for j, gradient in alone.items() if gradient is not None] == [i]
        np.testing.assert_allclose(alone[i], together[i], rtol=1e-14, atol=1e-14)


@rows
def test_arrays_in_arrays_out(row):
    inputs = row.inputs()
    plain = results(row.operation(*inputs, **row.options))
    assert not any(isinstance(y, Tensor) for y in plain)
    with no_grad():
        quiet = results(row.operation(*[Tensor(x) if is_real(x) else x for x in inputs], **row.options))
    for array, tensor in zip(plain, quiet, strict=True):
        assert isinstance(tensor, Tensor) and not tensor.requires_grad
        np.testing.assert_allclose(tensor.numpy(), array, rtol=4 * np.finfo(np.float64).eps)  # fused: other rounding


@rows
def test_float32_stays_float32(row):
    inputs = [x.astype(np.float32) if is_real(x) else x for x in row.inputs()]
    real = [i for i, x in enumerate(inputs) if is_real(x)]
    weights = draw_weights(row, inputs, np.float32)
    before = [np.array(x) for x in inputs]
    parts, gradients = differentiate(row, inputs, real, weights)
    assert all(part.dtype == np.float32 for part in parts)
    for i, gradient in gradients.items():
        assert gradient.dtype == np.float32 and gradient.shape == inputs[i].shape
    for x, copy in zip(inputs, before, strict=True):
        np.testing.assert_array_equal(x, copy)  # nothing was changed on the way


def test_every_operation_has_a_row():
    used = {inspect.unwrap(row.operation) for row in TABLE.values()}
    in_lambdas = {name for f in used for name in getattr(f, "__code__", None) and f.__code__.co_names or ()}
    missing = [
        name
        for name in functional.__all__
        if inspect.unwrap(getattr(functional, name)) not in used and name not in in_lambdas | WITHOUT_GRADIENT
    ]
    assert not missing, f"no row in tests/functional/table.py for {missing}"
