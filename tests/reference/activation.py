"""Elementwise functions and their slopes, in float64."""

import math

import numpy as np

erf = np.vectorize(math.erf, otypes=[np.float64])
erfc = np.vectorize(math.erfc, otypes=[np.float64])


def sigmoid(x):
    """Return 1 / (1 + e^-x)."""
    return np.where(x >= 0, 1, np.exp(-np.abs(x))) / (1 + np.exp(-np.abs(x)))


def gelu(x):
    """Return x P(X <= x) for a standard normal X."""
    return x * erfc(-x / math.sqrt(2)) / 2


def gelu_slope(x):
    """Return P(X <= x) + x times the density at x."""
    return erfc(-x / math.sqrt(2)) / 2 + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def gelu_tanh(x):
    """Return x / 2 (1 + tanh(u)), u = sqrt(2 / pi) (x + 0.044715 x^3)."""
    return x * sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))


def gelu_tanh_slope(x):
    """Return the derivative of gelu_tanh."""
    s = sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
    return s + x * s * (1 - s) * 2 * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)


# name: (function, slope, both of x; domain to test; largest error in ulp that is allowed)
TABLE = {
    "relu": (lambda x: np.maximum(x, 0), lambda x: np.where(x > 0, 1.0, 0.0), (-10, 10), 0.5),
    "leaky_relu": (lambda x: np.where(x > 0, x, 0.01 * x), lambda x: np.where(x > 0, 1.0, 0.01), (-10, 10), 1.5),
    "sigmoid": (sigmoid, lambda x: sigmoid(x) * sigmoid(-x), (-80, 80), 2),
    "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2, (-20, 20), 2),
    "gelu": (gelu, gelu_slope, (-12, 12), 6),
    "gelu_tanh": (gelu_tanh, gelu_tanh_slope, (-4, 12), 16),
    "exp": (np.exp, np.exp, (-87, 88), 1.05),
    "log": (np.log, lambda x: 1 / x, (1e-30, 1e30), 1),
}


def ulp(expected, dtype):
    """Return the spacing of floats of `dtype` at the expected values."""
    expected = np.abs(np.asarray(expected, np.float64))
    return np.spacing(expected.astype(dtype)).astype(np.float64)


def own_error(name, x):
    """Return the error in ulp that the formulas above have themselves: in gelu's left tail that of e^(-x^2)."""
    return 2 + 4 * x * x if name.startswith("gelu") else 1
