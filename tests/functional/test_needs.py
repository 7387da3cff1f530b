"""What only the backward pass would use is not computed where no gradient will be wanted."""

import numpy as np
import pytest

import fastnn
from fastnn import Tensor
from fastnn import functional as F
from fastnn_kernels.ground.recording import recording

RNG = np.random.default_rng(2)
X, W, IMAGE, FILTERS = (
    RNG.standard_normal(s).astype(np.float32) for s in ((8, 10), (6, 10), (1, 3, 8, 8), (4, 3, 3, 3))
)
LABELS = np.arange(8) % 10
CALLS = {
    "linear": lambda x: F.linear(x(X), W, activation="gelu"),
    "conv2d": lambda x: F.conv2d(x(IMAGE), FILTERS, activation="gelu"),
    "conv1d": lambda x: F.conv1d(x(IMAGE[0]), FILTERS[:, :1, 0].repeat(8, 1), activation="gelu"),
    "cross_entropy": lambda x: F.cross_entropy(x(X), LABELS),
    "mse_loss": lambda x: F.mse_loss(x(X), X[::-1]),
    "max_pool2d": lambda x: F.max_pool2d(x(IMAGE), 3),
}


def work(call, wrap):
    """Return the kernels and the bytes of all that a call allocates."""
    with recording() as record:
        y = call(wrap)
    return [kernel.__name__ for kernel, _ in record.launches], sum(a.nbytes for a in record.allocated), y


@pytest.mark.parametrize("name", CALLS)
def test_less_is_done_without_a_gradient(name):
    call = CALLS[name]
    kernels, bytes_, y = work(call, lambda x: x)
    for wrap in (Tensor, lambda x: Tensor(x, requires_grad=False)):
        again, same, z = work(call, wrap)
        assert (again, same) == (kernels, bytes_)
        np.testing.assert_array_equal(z.numpy(), y)
    with fastnn.no_grad():
        assert work(call, lambda x: Tensor(x, requires_grad=True))[:2] == (kernels, bytes_)
    more, wanted, z = work(call, lambda x: Tensor(x, requires_grad=True))
    assert (more, wanted) > (kernels, bytes_) or wanted > bytes_
    np.testing.assert_allclose(z.detach().numpy(), y, rtol=1e-6, atol=1e-6)


def test_a_function_is_told():
    from fastnn.tape import Array, differentiable

    seen = []

    @differentiable
    def probe(a: Array, b: Array, *, needs=()):
        seen.append(needs)
        return np.ones(1, np.float32), lambda dy, needs: (None, None)

    x, free = Tensor(X, requires_grad=True), Tensor(X)
    probe(x, free), probe(free, x), probe(X, X), probe(b=x, a=X)
    with fastnn.no_grad():
        probe(x, x)
    assert seen == [(True, False), (False, True), (False, False), (False, True), (False, False)]
