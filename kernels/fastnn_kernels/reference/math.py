"""Elementary and special functions of one number, by Python's `math`: for formulas that run step by step."""

import math
from types import SimpleNamespace

import numpy as np


def _of_float(function):
    """Make a function of a NumPy number of its dtype, computed in float64; infinity where that overflows."""

    def compute(x):
        try:
            return type(x)(function(float(x)))
        except OverflowError:
            return type(x)(np.inf)

    return compute


def _logistic(x):
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def _softplus(x):
    return max(x, 0) + math.log1p(math.exp(-abs(x))) if x == x else x


def _log(x):
    return math.nan if x != x or x < 0 else -math.inf if x == 0 else math.log(x)


def _density(x):
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def _below(x):
    """Return the probability that a normal variable is below x."""
    return math.erfc(-x / math.sqrt(2)) / 2


def _gelu_tanh_argument(x):
    return 2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3), 2 * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x)


def _gelu_tanh_slope(x):
    u, slope = _gelu_tanh_argument(x)
    s = _logistic(u)
    return s + x * slope * (1 - s) * s


def _mish_slope(x):
    t, s = math.tanh(_softplus(x)), _logistic(x)
    share = (1 - t * t) * s
    return t + (x * share if share else 0)


elementary = SimpleNamespace(
    exp=_of_float(math.exp),
    log=_of_float(_log),
    tanh=_of_float(math.tanh),
    sigmoid=_of_float(_logistic),
    logistic=_of_float(_logistic),
    softplus=_of_float(_softplus),
    log1p_exp=_of_float(lambda x: math.log1p(math.exp(x))),
    expm1_below_0=_of_float(lambda x: math.expm1(min(x, 0)) if x == x else x),
    sign=_of_float(lambda x: math.nan if x != x else (x > 0) - (x < 0)),
)
special = SimpleNamespace(
    erf=_of_float(math.erf),
    erf_slope=_of_float(lambda x: 2 / math.sqrt(math.pi) * math.exp(-x * x)),
    gelu=_of_float(lambda x: x * _below(x)),
    gelu_slope=_of_float(lambda x: _below(x) + x * _density(x)),
    gelu_tanh=_of_float(lambda x: x * _logistic(_gelu_tanh_argument(x)[0])),
    gelu_tanh_slope=_of_float(_gelu_tanh_slope),
    mish=_of_float(lambda x: x * math.tanh(_softplus(x))),
    mish_slope=_of_float(_mish_slope),
    silu=_of_float(lambda x: x * _logistic(x)),
    tanhshrink=_of_float(lambda x: x - math.tanh(x)),
)


def fma(a, b, c):
    """Return a b + c, rounded twice."""
    return a * b + c


NAMES = {"elementary": elementary, "special": special, "fma": fma}
