"""x to the power of y: e^(y log|x|), and its sign. In float64 the logarithm is a sum of two, in float32 a float64.

In the same style, and measured in the same way, as `elementary`.
"""

import math

import numpy as np

from ...ground.jit import exact
from ..vector.simd import bits_of_float, constant, copysign, float_from_bits, fma, maximum, minimum, polynomial
from .elementary import (
    LARGEST,
    LN2_HIGH,
    LN2_LOW,
    MANTISSA_BITS,
    ROUND_AND_BIAS,
    SMALLEST_NORMAL,
    SQRT_HALF_BITS,
    SUBNORMAL_EXPONENT,
    SUBNORMAL_SCALE,
    power_of_2,
    times_exp,
)

# log((1 + s) / (1 - s)) = 2s + s z (2/3 + z SERIES(z)), z = s^2, as in `elementary.log`; error 2^-73.3
TWO_THIRDS, TWO_THIRDS_REST = 0.6666666666666666, 3.700743415417188e-17
SERIES = polynomial(
    (0.0,),
    (
        0.39999999999999974, 0.28571428571446916, 0.22222222217122714, 0.18181818918761336, 0.15384553689584124,
        0.13336435988123124, 0.11672475627035847, 0.1200807756117622,
    ),
)  # fmt: skip
LOWEST, HIGHEST = -750.0, 710.0  # of float64 arguments: beyond, e^x is 0 or infinite


@exact
def log_of_two(x):
    """Return log(x) as a sum of two float64, to 2^-64, of a positive finite float64."""
    subnormal = x < SMALLEST_NORMAL(x)
    i = bits_of_float(x * SUBNORMAL_SCALE(x) if subnormal else x)
    exponent = (i - SQRT_HALF_BITS(x)) >> MANTISSA_BITS(x)
    n = np.float64(exponent) - (SUBNORMAL_EXPONENT(x) if subnormal else 0.0)
    f = float_from_bits(i - (exponent << MANTISSA_BITS(x))) - 1.0
    # s = f / (2 + f)
    bottom = 2.0 + f
    s = f / bottom
    s_low = (fma(-s, bottom, f) - s * (f - (bottom - 2.0))) / bottom
    z = s * s
    z_low = fma(s, s, -z) + 2.0 * s * s_low
    # t = z (2/3 + z SERIES)
    more = z * SERIES(z)
    factor = TWO_THIRDS + more
    factor_low = ((TWO_THIRDS - factor) + more) + TWO_THIRDS_REST
    t = z * factor
    t_low = fma(z, factor, -t) + fma(z, factor_low, z_low * factor)
    # 2s + s t
    st = s * t
    st_low = fma(s, t, -st) + fma(s, t_low, s_low * t)
    high = 2.0 * s + st
    low = ((2.0 * s - high) + st) + fma(2.0, s_low, st_low)
    whole = n * LN2_HIGH(x)
    whole_low = fma(n, LN2_LOW(x), fma(n, LN2_HIGH(x), -whole))
    sum_of_both = whole + high
    return sum_of_both, ((whole - sum_of_both) + high) + (whole_low + low)


@exact
def _power_of_positive(a, y):
    """Return a^y of float64, for a from 0 to infinity, apart from 1^infinity and what is to the power of 0."""
    high, low = log_of_two(minimum(a, LARGEST(a)))
    high = -math.inf if a == 0.0 else (high if a <= LARGEST(a) else a)
    product = y * high
    rest = fma(y, low, fma(y, high, -product))
    inside = LOWEST < product and product < HIGHEST
    return times_exp(1.0, 0.0, minimum(maximum(product, LOWEST), HIGHEST), rest if inside else 0.0)


# log2((1 + s) / (1 - s)) = s LOG2(s^2), error 2^-45.1; 2^r = 1 + r EXP2(r) for |r| <= 1/2, error 2^-34.3: for float32
LOG2 = polynomial(
    (0.0,),
    (
        2.885390081777849, 0.9617966941152218, 0.5770779417715116, 0.41220931673398237, 0.3199028903186796,
        0.2829424828670398,
    ),
)  # fmt: skip
EXP2 = polynomial(
    (0.0,),
    (
        0.693147180704663, 0.2402265106668828, 0.05550410365613789, 0.009618038117498912, 0.0013333935336202328,
        0.00015466760204271748, 1.5196095725081566e-05,
    ),
)  # fmt: skip
FAR = 1000.0  # 2^FAR is beyond float32


@exact
def _power_of_single(a, y):
    """Return a^y to 2^-30 of what were float32, for a from 0 to infinity, apart from 1^infinity and powers of 0."""
    i = bits_of_float(a)
    n = (i - SQRT_HALF_BITS(a)) >> MANTISSA_BITS(a)
    f = float_from_bits(i - (n << MANTISSA_BITS(a))) - 1.0
    s = f / (2.0 + f)
    logarithm = fma(s, LOG2(s * s), np.float64(n))
    logarithm = -math.inf if a == 0.0 else (logarithm if a <= LARGEST(a) else a)
    p = minimum(maximum(y * logarithm, -FAR), FAR)
    biased = p + ROUND_AND_BIAS(a)
    r = p - (biased - ROUND_AND_BIAS(a))
    return fma(r, EXP2(r), 1.0) * power_of_2(biased)


SINGLE = constant(1, 0)


@exact
def power(x, y):
    """x^y, as C's pow is defined: 1 for y = 0 and for x = 1, NaN for negative x unless y is an integer."""
    T = type(x)
    a, wide = np.float64(abs(x)), np.float64(y)
    r = T(_power_of_single(a, wide)) if SINGLE(x) else T(_power_of_positive(a, wide))
    half = y * T(0.5)
    whole, even = T(np.trunc(y)) == y, T(np.trunc(half)) == half
    r = r if even or not whole else copysign(r, x)
    r = T(math.nan) if x < T(0) and not whole and a <= LARGEST(x) else r
    return T(1) if y == T(0) or x == T(1) or (x == T(-1) and abs(y) > LARGEST(y)) else r
