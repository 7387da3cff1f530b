"""Sine and cosine, computed in float64, of arguments up to FAR; beyond, by the C library.

The argument is reduced by multiples of pi/2, which is a sum of three float64. The first difference is exact: both of
its terms are multiples of the last place of pi/2, and it is less than 1. The rounding error of the second is kept.
The polynomials were made as those of `elementary`.
"""

import math

import numpy as np

from ...ground.jit import exact
from ..vector.simd import bits_of_float, fma

FAR = 1e5

TWO_OVER_PI = 0.6366197723675814
HALF_PI, HALF_PI_LOW, HALF_PI_LOWEST = 1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33
ROUND = 1.5 * 2.0**52


@exact
def _sine_and_cosine(x):
    """Return sin(r), cos(r) and n as an integer, with x = n pi/2 + r and |r| <= pi/4."""
    rounded = fma(x, TWO_OVER_PI, ROUND)
    n = rounded - ROUND
    first = fma(n, -HALF_PI, x)
    product = n * HALF_PI_LOW
    r = first - product
    low = ((first - r) - product) - fma(n, HALF_PI_LOW, -product) - n * HALF_PI_LOWEST
    z = r * r
    s = fma(z, 1.589311648502267e-10, -2.505069554598527e-08)
    s = fma(z, fma(z, fma(z, s, 2.755731329911039e-06), -0.00019841269828699842), 0.00833333333332107)
    s = fma(z, s, -0.16666666666666627)
    c = fma(z, -1.1356000193573184e-11, 2.0875651890026943e-09)
    c = fma(z, fma(z, fma(z, c, -2.7557313818871087e-07), 2.4801587287599935e-05), -0.0013888888888871037)
    c = fma(z, c, 0.04166666666666658)
    sine = r + fma(r * z, s, fma(z, -0.5 * low, low))
    half = 0.5 * z
    whole = 1.0 - half
    cosine = whole + (((1.0 - whole) - half) + fma(z * z, c, -r * low))
    return sine, cosine, bits_of_float(rounded)


@exact
def sin(x):
    """The sine, for |x| up to FAR."""
    sine, cosine, n = _sine_and_cosine(np.float64(x))
    y = cosine if n & 1 else sine
    y = -y if n & 2 else y
    return type(x)(y) if x != type(x)(0) else x


@exact
def cos(x):
    """The cosine, for |x| up to FAR."""
    sine, cosine, n = _sine_and_cosine(np.float64(x))
    y = sine if n & 1 else cosine
    return type(x)(-y if (n + 1) & 2 else y)


@exact
def far_sin(x):
    """The sine of any number."""
    return type(x)(math.sin(np.float64(x)))


@exact
def far_cos(x):
    """The cosine of any number."""
    return type(x)(math.cos(np.float64(x)))
