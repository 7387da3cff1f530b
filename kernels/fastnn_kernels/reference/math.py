"""Elementary and special functions of one number, by Python's `math`: for formulas that run step by step."""

import math
from types import SimpleNamespace

import numpy as np


def _of_float(function):
    """Make a function of a NumPy number of its dtype, computed in float64.

    Infinity where that overflows, NaN beyond its domain.
    """

    def compute(x):
        try:
            return type(x)(function(float(x)))
        except OverflowError:
            return type(x)(np.inf)
        except ValueError:
            return type(x)(np.nan)

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


def _sinh(x):
    return math.copysign(math.inf, x) if abs(x) > 711 else math.sinh(x)


def _atanh(x):
    return math.copysign(math.inf, x) if abs(x) == 1 else math.atanh(x)


def _exp2(x):
    return math.inf if x > 1024 else 2.0**x


exponential = SimpleNamespace(
    exp2=_of_float(_exp2),
    expm1=_of_float(math.expm1),
    sinh=_of_float(_sinh),
    cosh=_of_float(math.cosh),
    log1p=_of_float(lambda x: -math.inf if x == -1 else math.log1p(x)),
    log2=_of_float(lambda x: -math.inf if x == 0 else math.log2(x)),
    log10=_of_float(lambda x: -math.inf if x == 0 else math.log10(x)),
)
trigonometric = SimpleNamespace(sin=_of_float(math.sin), cos=_of_float(math.cos))
library = SimpleNamespace(
    nan=math.nan,
    inf=math.inf,
    pi=math.pi,
    log=_of_float(_log),
    atanh=_of_float(_atanh),
    atan2=lambda y, x: np.arctan2(y, x),
    hypot=lambda x, y: np.hypot(x, y),
    **{name: _of_float(getattr(math, name)) for name in "sqrt tan asin acos atan asinh acosh erfc lgamma".split()},
)


def _digamma(x):
    """Return the slope of lgamma: by recurrence to where one term of a series is enough."""
    if x <= 0 and x == math.floor(x):
        return math.nan if x else math.copysign(math.inf, -x)
    if x < 0:
        return _digamma(1 - x) - math.pi / math.tan(math.pi * (x - math.floor(x)))
    u = x + 10_000
    below = math.fsum(1 / (x + i) for i in range(10_000))
    return math.log(u) - 1 / (2 * u) - 1 / (12 * u * u) - below


def _trigamma(x):
    """Return the slope of digamma."""
    if x < 0:
        return (math.pi / math.sin(math.pi * x)) ** 2 - _trigamma(1 - x)
    u = x + 10_000
    return math.fsum(1 / (x + i) ** 2 for i in range(10_000)) + 1 / u + 1 / (2 * u * u) + 1 / (6 * u**3)


def _erfinv(x):
    """Return the inverse of erf by bisection."""
    low, high = 0.0, 7.0
    for _ in range(70):
        middle = (low + high) / 2
        low, high = (middle, high) if math.erfc(middle) > 1 - abs(x) else (low, middle)
    return math.nan if abs(x) > 1 else math.copysign(math.inf if abs(x) == 1 else low, x)


by_library = SimpleNamespace(digamma=_of_float(_digamma), trigamma=_of_float(_trigamma), erfinv=_of_float(_erfinv))
NAMES = {
    **{"elementary": elementary, "special": special, "exponential": exponential, "trigonometric": trigonometric},
    **{
        "by_library": by_library,
        "math": library,
        "fma": fma,
        "rint": np.rint,
        "power": np.power,
        "with_sign": np.copysign,
    },
}
