"""Functions that call the C library, one element after the other, in float64: digamma and its slope, erfinv."""

import math

import numpy as np

from ...ground.jit import exact
from ..vector.simd import copysign

SHIFT = 10.0  # from here on the asymptotic series of digamma and trigamma are exact


@exact
def digamma(x):
    """Return the slope of log(gamma(x)): for negative x by reflection, then by recurrence to where a series holds.

    The absolute error is that of numbers of size 1: digits are lost near its zeros.
    """
    v = np.float64(x)
    u = 1.0 - v if v < 0.0 else v
    total = 0.0
    while u < SHIFT:
        total -= 1.0 / u
        u += 1.0
    z = 1.0 / (u * u)
    series = 1 / 252 - z * (1 / 240 - z * (1 / 132 - z * (691 / 32760 - z / 12)))
    series = z * (1 / 12 - z * (1 / 120 - z * series))
    y = total + (math.log(u) - 0.5 / u - series)
    y = y - math.pi / math.tan(math.pi * (v - np.floor(v))) if v < 0.0 else y
    y = math.nan if v < 0.0 and v == np.floor(v) else y
    return type(x)(copysign(math.inf, -v) if v == 0.0 else y)


@exact
def trigamma(x):
    """Return the slope of digamma."""
    v = np.float64(x)
    u = 1.0 - v if v < 0.0 else v
    total = 0.0
    while u < SHIFT:
        total += 1.0 / (u * u)
        u += 1.0
    z = 1.0 / (u * u)
    series = 1 / 42 - z * (1 / 30 - z * (5 / 66 - z * (691 / 2730 - z * 7 / 6)))
    y = total + (1.0 / u + 0.5 * z + z / u * (1 / 6 - z * (1 / 30 - z * series)))
    s = math.sin(math.pi * (v - np.floor(v)))
    return type(x)((math.pi / s) ** 2 - y if v < 0.0 else y)


TWO_OVER_SQRT_PI = 2 / math.sqrt(math.pi)


@exact
def erfinv(x):
    """Return the inverse of erf: of an estimate (Winitzki) by three steps of Halley's method. NaN beyond -1 .. 1."""
    v = abs(np.float64(x))
    left = math.log((1.0 - v) * (1.0 + v))
    a = 2.0 / (math.pi * 0.147) + 0.5 * left
    y = math.sqrt(max(math.sqrt(max(a * a - left / 0.147, 0.0)) - a, 0.0))
    for _ in range(3):
        error = math.erf(y) - v if v < 0.5 else (1.0 - v) - math.erfc(y)
        step = error / (TWO_OVER_SQRT_PI * math.exp(-y * y))
        y -= step / (1.0 + y * step)
    y = v / TWO_OVER_SQRT_PI if v < 1e-8 else y
    y = math.inf if v == 1.0 else y
    y = y if v <= 1.0 else math.nan
    return type(x)(copysign(y, np.float64(x)))
