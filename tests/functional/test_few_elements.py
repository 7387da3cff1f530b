"""Tensors without dimensions, and dimensions of length 0, through every operation of shapes and sums and products."""

import numpy as np
import pytest

from fastnn import Tensor
from fastnn import functional as F

ZERO_DIMENSIONS = {  # operation, shape and value of its result for 3, its gradient for ones
    "squeeze": (lambda x: x.squeeze(), (), 3, 1),
    "squeeze 0": (lambda x: x.squeeze(0), (), 3, 1),
    "squeeze -1": (lambda x: x.squeeze((-1,)), (), 3, 1),
    "transpose": (lambda x: x.transpose(0, 0), (), 3, 1),
    "transpose -1": (lambda x: x.transpose(-1, 0), (), 3, 1),
    "permute": (lambda x: x.permute(), (), 3, 1),
    "permute ()": (lambda x: x.permute(()), (), 3, 1),
    "T": (lambda x: x.T, (), 3, 1),
    "flatten": (lambda x: x.flatten(), (1,), 3, 1),
    "flatten 0 0": (lambda x: x.flatten(0, 0), (1,), 3, 1),
    "unsqueeze": (lambda x: x.unsqueeze(0), (1,), 3, 1),
    "unsqueeze -1": (lambda x: x.unsqueeze(-1), (1,), 3, 1),
    "reshape": (lambda x: x.reshape(1, 1), (1, 1), 3, 1),
    "reshape back": (lambda x: x.reshape(1).reshape(()), (), 3, 1),
    "expand": (lambda x: x.expand(2, 3), (2, 3), 3, 6),
    "broadcast_to": (lambda x: x.broadcast_to((4,)), (4,), 3, 4),
    "getitem": (lambda x: x[()], (), 3, 1),
    "getitem None": (lambda x: x[None, ..., None], (1, 1), 3, 1),
    "stack": (lambda x: F.stack([x, x]), (2,), 3, 2),
    "softmax": (lambda x: F.softmax(x, 0), (), 1, 0),
    "softmax -1": (lambda x: F.softmax(x, -1), (), 1, 0),
    "log_softmax": (lambda x: F.log_softmax(x, 0), (), 0, 0),
    "softmin": (lambda x: F.softmin(x, 0), (), 1, 0),
    "gumbel_softmax": (lambda x: F.gumbel_softmax(x, hard=True, dim=0), (), 1, 0),
    "add": (lambda x: x + x, (), 6, 2),
    "div": (lambda x: 6 / x, (), 2, -6 / 9),
    "pow": (lambda x: x**x, (), 27, 27 * (1 + np.log(3))),
    "clamp": (lambda x: x.clamp(0, 5), (), 3, 1),
    "where": (lambda x: F.where(x > 0, x, 0.0), (), 3, 1),
    "maximum": (lambda x: F.maximum(x, 1.0), (), 3, 1),
    "exp": (lambda x: x.exp(), (), np.exp(3), np.exp(3)),
    "sqrt": (lambda x: x.sqrt(), (), np.sqrt(3), 0.5 / np.sqrt(3)),
    "relu": (F.relu, (), 3, 1),
    "sigmoid": (F.sigmoid, (), 1 / (1 + np.exp(-3)), np.exp(-3) / (1 + np.exp(-3)) ** 2),
    "mse_loss": (lambda x: F.mse_loss(x, Tensor(np.array(1.0))), (), 4, 4),
}


@pytest.mark.parametrize("name", ZERO_DIMENSIONS)
def test_without_dimensions(name):
    operation, shape, value, slope = ZERO_DIMENSIONS[name]
    x = Tensor(np.array(3.0), requires_grad=True)
    y = operation(x)
    assert y.shape == shape
    np.testing.assert_allclose(y.numpy(), np.full(shape, value), rtol=1e-14)
    y.backward(np.ones(shape))
    assert x.grad.shape == ()
    np.testing.assert_allclose(x.grad, slope, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: x.transpose(0, 1), "transpose: dim must be from -1 to 0 for 0 dimensions, got 1"),
        (lambda x: x.squeeze(1), "squeeze: dim must be from -1 to 0 for 0 dimensions, got 1"),
        (lambda x: x.flatten(1), "flatten: dimensions 1"),
        (lambda x: x.split(1), "split: expected a tensor of at least 1 dimension"),
        (lambda x: x.chunk(1), "chunk: expected a tensor of at least 1 dimension"),
        (lambda x: F.cat([x, x]), r"cat: tensors must have a dimension to be joined along, got shapes \(\), \(\)"),
        (lambda x: F.softmax(x, 1), "softmax: dim must be"),
    ],
)
def test_dimensions_that_are_not_there(call, message):
    with pytest.raises(ValueError, match=message):
        call(Tensor(3.0))


PRODUCTS = [
    ((5, 5, 0), (0, 5)), ((0, 5), (5, 3)), ((4, 0), (0, 3)), ((0,), (0,)), ((0,), (0, 3)), ((3, 0), (0,)),
    ((3, 4), (4, 0)),
    ((0, 3, 4), (4, 2)), ((2, 3, 0), (2, 0, 4)), ((0, 3, 4), (1, 4, 5)), ((5, 3, 4), (4, 0)), ((5, 0, 4), (4, 3)),
    ((3, 4), (0, 4, 2)), ((4,), (0, 4, 2)), ((0, 3, 4), (4,)), ((2, 0, 3, 4), (4, 2)), ((2, 1, 3, 0), (5, 0, 2)),
]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("left", "right"), PRODUCTS, ids=str)
def test_products_without_elements(left, right, dtype):
    a, b = (Tensor(np.ones(shape, dtype), requires_grad=True) for shape in (left, right))
    y = a @ b
    np.testing.assert_array_equal(y.numpy(), a.numpy() @ b.numpy())
    y.backward(np.ones(y.shape, dtype))
    for x in (a, b):
        assert x.grad.shape == x.shape and x.grad.dtype == dtype and not x.grad.any()


@pytest.mark.parametrize("activation", [None, "relu", "gelu"])
@pytest.mark.parametrize(
    ("shape", "weight"), [((0, 4), (3, 4)), ((2, 0), (3, 0)), ((2, 4), (0, 4)), ((2, 0, 4), (3, 4)), ((0,), (3, 0))]
)
def test_linear_without_elements(shape, weight, activation):
    x, w, b = (Tensor(np.ones(s, np.float32), requires_grad=True) for s in (shape, weight, weight[:1]))
    y = F.linear(x, w, b, activation)
    assert y.shape == (*shape[:-1], weight[0])
    y.sum().backward()
    assert not x.grad.any() and not w.grad.any() and x.grad.shape == shape and w.grad.shape == weight
    assert b.grad.shape == weight[:1]


EMPTY = {
    "flatten": (lambda x: x.flatten(), (0,)),
    "flatten inner": (lambda x: x.unsqueeze(0).flatten(1), (1, 0)),
    "reshape": (lambda x: x.reshape(-1, 3), (0, 3)),
    "reshape other": (lambda x: x.reshape(7, 0), (7, 0)),
    "transpose": (lambda x: x.transpose(0, 1), (3, 0)),
    "permute": (lambda x: x.permute(1, 0), (3, 0)),
    "unsqueeze": (lambda x: x.unsqueeze(1), (0, 1, 3)),
    "squeeze": (lambda x: x.squeeze(0), (0, 3)),
    "expand": (lambda x: x.expand(2, 0, 3), (2, 0, 3)),
    "broadcast": (lambda x: x + Tensor(np.ones((1, 3)), requires_grad=True), (0, 3)),
    "split": (lambda x: x.split(2)[0], (0, 3)),
    "chunk": (lambda x: x.chunk(2)[1], (0, 3)),
    "cat": (lambda x: F.cat([x, x]), (0, 3)),
    "stack": (lambda x: F.stack([x, x]), (2, 0, 3)),
    "getitem": (lambda x: x[:0], (0, 3)),
    "mask": (lambda x: x[x > 0], (0,)),
    "softmax": (lambda x: F.softmax(x, 0), (0, 3)),
    "softmax rows": (lambda x: F.softmax(x, 1), (0, 3)),
    "log_softmax": (lambda x: F.log_softmax(x, 1), (0, 3)),
    "exp": (lambda x: x.exp(), (0, 3)),
    "pow": (lambda x: x**2, (0, 3)),
    "clamp": (lambda x: x.clamp(0, 1), (0, 3)),
    "where": (lambda x: F.where(x > 0, x, 0.0), (0, 3)),
    "relu": (F.relu, (0, 3)),
    "dropout": (F.dropout, (0, 3)),
    "layer_norm": (lambda x: F.layer_norm(x, 3), (0, 3)),
    "normalize": (F.normalize, (0, 3)),
}


@pytest.mark.parametrize("name", EMPTY)
def test_without_elements(name):
    operation, shape = EMPTY[name]
    x = Tensor(np.ones((0, 3)), requires_grad=True)
    y = operation(x)
    assert y.shape == shape and y.dtype == np.float64
    y.backward(np.ones(shape))
    assert x.grad.shape == (0, 3)


def test_chunks_of_nothing_are_as_many_as_asked_for():
    assert [part.shape for part in F.chunk(np.ones((2, 0)), 3, 1)] == [(2, 0)] * 3
    assert len(F.split(np.ones((0, 2)), 3)) == 1
