"""Matrix products in plain float64 NumPy: what fastnn's must compute."""

import numpy as np

ACTIVATIONS = {
    None: lambda z: z,
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": np.tanh,
}
SLOPES = {
    None: np.ones_like,
    "relu": lambda y: (y > 0).astype(np.float64),
    "leaky_relu": lambda y: np.where(y > 0, 1, 0.01),
    "sigmoid": lambda y: y * (1 - y),
    "tanh": lambda y: 1 - y * y,
}


def tolerance(dtype, reduction: int, scale: float = 1.0) -> float:
    """Return the absolute error allowed for sums of `reduction` products of numbers about `scale` large in all.

    The rounding of each of `reduction` steps adds up like a random walk: 4 eps sqrt(reduction), for sums that
    themselves grow like sqrt(reduction).
    """
    return 4 * np.finfo(dtype).eps * max(1, reduction) * scale


def matmul(a, b):
    """Return np.matmul of a(..., M, K) or (K) and b(..., K, N) or (K), in float64."""
    return np.matmul(np.asarray(a, np.float64), np.asarray(b, np.float64))


def linear(x, weight, bias=None, activation=None):
    """x(..., K), weight(N, K), bias(N) -> (..., N)."""
    z = np.asarray(x, np.float64) @ np.asarray(weight, np.float64).T
    return ACTIVATIONS[activation](z if bias is None else z + np.asarray(bias, np.float64))


def linear_backward(dy, x, weight, y, activation):
    """dy(..., N), y(..., N), x(..., K), weight(N, K) -> dx(..., K), dweight(N, K), dbias(N)."""
    dz = np.asarray(dy, np.float64) * SLOPES[activation](np.asarray(y, np.float64))
    rows, inputs = dz.reshape(-1, dz.shape[-1]), np.asarray(x, np.float64).reshape(-1, x.shape[-1])
    return dz @ np.asarray(weight, np.float64), rows.T @ inputs, rows.sum(0)
