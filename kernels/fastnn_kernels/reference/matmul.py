"""Matrix products and the linear layer: three loops."""

from math import prod

import numpy as np

from ..ground.backend import plans
from ..ground.outputs import deliver
from ..ground.prepared import Prepared
from .activation import activated, activated_backward


def product(a, b):
    """a(M,K), b(K,N) -> (M,N)."""
    (m, k), n = a.shape, b.shape[1]
    c = np.zeros((m, n), a.dtype)
    for i in range(m):
        for p in range(k):
            c[i] += a[i, p] * b[p]
    return c


@plans("matmul")
def plan_matmul(problem):
    """a b, for stacks item by item."""

    def run(out, a, b):
        b = b.source() if type(b) is Prepared else b
        left, right = a if a.ndim > 1 else a[np.newaxis], b if b.ndim > 1 else b[:, np.newaxis]
        left, right = (np.broadcast_to(x, problem.stack + x.shape[-2:]) for x in (left, right))
        y = np.empty((*problem.stack, left.shape[-2], right.shape[-1]), a.dtype)
        for item in np.ndindex(problem.stack):
            y[item] = product(left[item], right[item])
        return deliver(out, y.reshape(problem.result[0]))

    return run


@plans("linear")
def plan_linear(problem):
    """activation(x w^T + bias)."""
    shape, _ = problem.result

    def run(out, x, weight, bias, activation):
        weight = weight.source() if type(weight) is Prepared else weight
        y = product(x.reshape(prod(shape[:-1]), weight.shape[1]), weight.T)
        y = y if bias is None else y + bias
        return deliver(out, activated(activation, y).reshape(shape))

    return run


@plans("linear_backward")
def plan_linear_backward(problem):
    """dz = dy slope(y); dx = dz w, dw = dz^T x, db = sum(dz)."""

    def run(out, dy, x, weight, y, activation, needs):
        n, k = weight.shape
        dz = activated_backward(activation, dy, y).reshape(prod(dy.shape[:-1]), n)
        dx = product(dz, weight).reshape(x.shape) if needs[0] else None
        dw = deliver(out, product(dz.T, x.reshape(len(dz), k))) if needs[1] else None
        return dx, dw, dz.sum(0) if needs[2] else None

    return run
