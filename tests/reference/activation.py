"""Elementwise functions as formulas of mpmath, to 50 digits; their slopes are its numerical derivatives."""

import mpmath as mp
import numpy as np

DIGITS = 50


def sigmoid(x):
    """Return 1 / (1 + e^-x)."""
    return 1 / (1 + mp.exp(-x))


def softplus(x, beta=1.0, threshold=20.0):
    """Return log(1 + e^(beta x)) / beta, or x beyond the threshold."""
    return x if beta * x > threshold else mp.log1p(mp.exp(beta * x)) / beta


def selu(x):
    """Return the self-normalising ELU."""
    scale, alpha = mp.mpf("1.0507009873554804934193349852946"), mp.mpf("1.6732632423543772848170429916717")
    return scale * (x if x > 0 else alpha * mp.expm1(x))


def step(x, theta, below):
    """Return 1 from theta on, else `below`."""
    return mp.mpf(1 if x >= theta else below)


# name: (function of x and its parameters, lowest and highest x to test)
TABLE = {
    "identity": (lambda x: x, -10, 10),
    "relu": (lambda x: max(x, 0), -10, 10),
    "relu6": (lambda x: min(max(x, 0), 6), -10, 10),
    "leaky_relu": (lambda x, slope: x if x > 0 else slope * x, -10, 10),
    "hardtanh": (lambda x, low, high: min(max(x, low), high), -3, 3),
    "hardsigmoid": (lambda x: min(max(x + 3, 0), 6) / 6, -5, 5),
    "hardswish": (lambda x: x * min(max(x + 3, 0), 6) / 6, -5, 5),
    "hardshrink": (lambda x, lambd: mp.mpf(0) if -lambd <= x <= lambd else x, -3, 3),
    "softshrink": (lambda x, lambd: mp.mpf(0) if -lambd <= x <= lambd else x - mp.sign(x) * lambd, -3, 3),
    "threshold": (lambda x, threshold, value: x if x > threshold else mp.mpf(value), -3, 3),
    "binary_step": (lambda x, theta: step(x, theta, 0), -3, 3),
    "bipolar_step": (lambda x, theta: step(x, theta, -1), -3, 3),
    "sigmoid": (sigmoid, -80, 80),
    "logsigmoid": (lambda x: -mp.log1p(mp.exp(-x)), -80, 80),
    "tanh": (mp.tanh, -20, 20),
    "tanhshrink": (lambda x: x - mp.tanh(x), -20, 20),
    "softsign": (lambda x: x / (1 + abs(x)), -100, 100),
    "elu": (lambda x, alpha: x if x > 0 else alpha * mp.expm1(x), -40, 10),
    "selu": (selu, -40, 10),
    "celu": (lambda x, alpha: x if x > 0 else alpha * mp.expm1(x / alpha), -40, 10),
    "softplus": (softplus, -80, 30),
    "silu": (lambda x: x * sigmoid(x), -80, 30),
    "mish": (lambda x: x * mp.tanh(mp.log1p(mp.exp(x))), -80, 30),
    "gelu": (lambda x: x * mp.ncdf(x), -12, 12),
    "gelu_tanh": (lambda x: x * sigmoid(2 * mp.sqrt(2 / mp.pi) * (x + mp.mpf("0.044715") * x**3)), -10, 10),
    "exp": (mp.exp, -87, 88),
    "log": (mp.log, 1e-30, 1e30),
    "erf": (mp.erf, -5, 5),
}
PARAMETERS = {"threshold": (0.5, -1.25)}  # of functions whose parameters have no usual values


def evaluate(name, x, parameters=()):
    """Return the function at an array of points, as numbers of mpmath."""
    with mp.workdps(DIGITS):
        return [TABLE[name][0](mp.mpf(float(v)), *parameters) for v in x]


def slope(name, x, parameters=()):
    """Return the derivative at an array of points, away from kinks, rounded to float64."""
    with mp.workdps(DIGITS):
        return np.array([float(mp.diff(lambda v: TABLE[name][0](v, *parameters), mp.mpf(float(v)))) for v in x])


def errors(y, exact):
    """Return the errors of an array against numbers of mpmath, in units in the last place of the exact result."""
    with mp.workdps(DIGITS):
        spacing = [float(np.spacing(np.abs(y.dtype.type(float(e))))) for e in exact]
        return np.array([float(abs(mp.mpf(float(v)) - e) / s) for v, e, s in zip(y, exact, spacing, strict=True)])
