"""Functions of several arrays, and of mathematics, in float64 NumPy; accurate ones as formulas of mpmath."""

import mpmath as mp
import numpy as np


def pow_backward(dy, x, e):
    """Return dy e x^(e - 1), 0 where e is 0."""
    with np.errstate(divide="ignore"):
        return np.where(e == 0, 0, dy * e * x ** np.where(e == 0, 0, e - 1))


def lerp(x, end, weight):
    """Return the point between x and end."""
    return x + weight * (end - x)


def halves(dy, a, b, first):
    """Return dy where the first is chosen, half of it where both are."""
    return np.where(a == b, dy / 2, np.where(first, dy, 0.0))


# name: function of float64 arrays
TABLE = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "pow": np.power,
    "pow_backward": pow_backward,
    "pow_backward_exponent": lambda dy, x, e, y: np.where((x == 0) & (e >= 0), 0, dy * y * np.log(x)),
    "maximum": np.maximum,
    "maximum_backward": lambda dy, a, b: halves(dy, a, b, a > b),
    "minimum": np.minimum,
    "minimum_backward": lambda dy, a, b: halves(dy, a, b, a < b),
    "clamp": np.clip,
    "clamp_backward": lambda dy, x, low, high: np.where((x < low) | (x > high), 0, dy),
    "clamp_backward_min": lambda dy, x, low, high: np.where((x < low) & (low <= high), dy, 0),
    "clamp_backward_max": lambda dy, x, low, high: np.where((x > high) | (low > high), dy, 0),
    "fmax": np.fmax,
    "fmax_backward": lambda dy, a, b: np.where((a >= b) | np.isnan(b), dy, 0),
    "fmax_backward_other": lambda dy, a, b: np.where((a >= b) | np.isnan(b), 0, dy),
    "fmin": np.fmin,
    "fmin_backward": lambda dy, a, b: np.where((a <= b) | np.isnan(b), dy, 0),
    "fmin_backward_other": lambda dy, a, b: np.where((a <= b) | np.isnan(b), 0, dy),
    "copysign": np.copysign,
    "copysign_backward": lambda dy, a, b: dy * np.sign(a) * np.copysign(1, b),
    "fmod": np.fmod,
    "remainder": np.remainder,
    "floor_divide": np.floor_divide,
    "atan2": np.arctan2,
    "atan2_backward": lambda dy, a, b: dy * b / (a * a + b * b),
    "atan2_backward_other": lambda dy, a, b: -dy * a / (a * a + b * b),
    "hypot": np.hypot,
    "logaddexp": np.logaddexp,
    "logaddexp_backward": lambda dy, a, b: dy / (1 + np.exp(b - a)),
    "xlogy": lambda a, b: a * np.log(b),
    "xlogy_backward": lambda dy, a, b: dy * np.log(b) + 0 * a,
    "lerp": lerp,
    "addcmul": lambda x, a, b, value: x + value * a * b,
    "addcdiv": lambda x, a, b, value: x + value * a / b,
}

# name: (function of mpmath, lowest and highest argument to test)
MATHEMATICS = {
    "neg": (lambda x: -x, -10, 10),
    "abs": (abs, -10, 10),
    "square": (lambda x: x * x, -10, 10),
    "sqrt": (mp.sqrt, 1e-3, 1e3),
    "rsqrt": (lambda x: 1 / mp.sqrt(x), 1e-3, 1e3),
    "reciprocal": (lambda x: 1 / x, 1e-3, 1e3),
    "sign": (mp.sign, -10, 10),
    "floor": (mp.floor, -10, 10),
    "ceil": (mp.ceil, -10, 10),
    "trunc": (lambda x: mp.floor(x) if x > 0 else mp.ceil(x), -10, 10),
    "round": (mp.nint, -10, 10),
    "frac": (lambda x: x - (mp.floor(x) if x > 0 else mp.ceil(x)), -10, 10),
    "exp2": (lambda x: mp.mpf(2) ** x, -120, 120),
    "expm1": (mp.expm1, -40, 80),
    "sinh": (mp.sinh, -80, 80),
    "cosh": (mp.cosh, -80, 80),
    "log1p": (mp.log1p, -0.999, 100),
    "log2": (lambda x: mp.log(x, 2), 1e-30, 1e30),
    "log10": (mp.log10, 1e-30, 1e30),
    "asinh": (mp.asinh, -100, 100),
    "acosh": (mp.acosh, 1.001, 100),
    "atanh": (mp.atanh, -0.999, 0.999),
    "sin": (mp.sin, -2e5, 2e5),
    "cos": (mp.cos, -2e5, 2e5),
    "tan": (mp.tan, -10, 10),
    "asin": (mp.asin, -0.999, 0.999),
    "acos": (mp.acos, -0.999, 0.999),
    "atan": (mp.atan, -100, 100),
    "erfc": (mp.erfc, -5, 9),
    "erfinv": (mp.erfinv, -0.999, 0.999),
    "lgamma": (lambda x: mp.log(abs(mp.gamma(x))), 2.5, 100),
    "digamma": (mp.digamma, 2.5, 100),
}
