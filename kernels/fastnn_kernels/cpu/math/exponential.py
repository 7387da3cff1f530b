"""More of the exponential function and the logarithm: other bases, around 1, and the hyperbolic functions.

In the same style, and measured in the same way, as `elementary`, whose polynomials these use.
"""

import math

from ...ground.jit import exact
from ..vector.simd import bits_of_float, constant, copysign, float_from_bits, fma, maximum, minimum, polynomial
from .elementary import (
    EXP,
    EXP_HIGH,
    EXPM1_LOW,
    INVERSE,
    LARGEST,
    LN2_HIGH,
    LN2_LOW,
    LOG,
    MANTISSA_BITS,
    ROUND_AND_BIAS,
    SMALLEST_NORMAL,
    SQRT_HALF_BITS,
    SUBNORMAL_EXPONENT,
    SUBNORMAL_SCALE,
    exponent,
    log,
    power_of_2,
    reduced,
    scaled,
)

# Beyond these 2^x is infinity, or 0.
EXP2_LOW = constant(-152.0, -1078.0)
EXP2_HIGH = constant(129.0, 1025.0)


@exact
def exp2(x):
    """2^x."""
    v = minimum(maximum(x, EXP2_LOW(x)), EXP2_HIGH(x))
    biased = v + ROUND_AND_BIAS(x)
    d = v - (biased - ROUND_AND_BIAS(x))
    r = fma(d, LN2_HIGH(x), d * LN2_LOW(x))
    return scaled(type(x)(1) + fma(r * r, EXP(r), r), exponent(biased))


NEGLIGIBLE = constant(12582912.0 + 127 + 60, 6755399441055744.0 + 1023 + 120)  # n + ROUND_AND_BIAS of a 2^-n that is


@exact
def _expm1_parts(x):
    """Return e^x - 1 without its power of two, and the exponent of that, for x from EXPM1_LOW."""
    T = type(x)
    biased, r = reduced(x, T(-0.0))
    power = bits_of_float(power_of_2(minimum(biased, NEGLIGIBLE(x))))
    s = float_from_bits(type(power)(INVERSE(x) - power))
    return fma(r * r, EXP(r), r) + (T(1) - s), exponent(biased)


@exact
def expm1(x):
    """e^x - 1."""
    y, n = _expm1_parts(minimum(maximum(x, EXPM1_LOW(x)), EXP_HIGH(x)))
    return copysign(scaled(y, n), x)


HYPERBOLIC_HIGH = constant(90.0, 711.0)  # sinh and cosh are infinite from here on


# sinh(x) = x + x^3 SINH(x^2) for |x| <= 1, error 2^-31.6 and 2^-62.9
SINH = polynomial(
    (0.16666667, 0.0083333123, 0.00019842335, 2.7861752e-06),
    (
        0.16666666666666666, 0.008333333333333567, 0.00019841269841069803, 2.755731930493107e-06,
        2.5052090885387063e-08, 1.6061121867255682e-10, 7.519253655171121e-13, 6.0114187142898315e-15,
    ),
)  # fmt: skip


@exact
def _half_exp(a):
    """Return e^a / 2 for a from 0."""
    T = type(a)
    biased, r = reduced(minimum(a, HYPERBOLIC_HIGH(a)), T(-0.0))
    n = exponent(biased)
    return scaled(T(1) + fma(r * r, EXP(r), r), type(n)(n - 1))


@exact
def sinh(x):
    """(e^x - e^-x) / 2: a series near 0."""
    a, square = abs(x), x * x
    h = _half_exp(a)
    near = fma(x * square, SINH(square), x)
    return near if a < type(x)(1) else copysign(h - type(x)(0.25) / h, x)


@exact
def cosh(x):
    """(e^x + e^-x) / 2."""
    h = _half_exp(abs(x))
    return h + type(x)(0.25) / h


@exact
def log1p(x):
    """log(1 + x): the logarithm of the rounded sum, and what rounding it lost."""
    T = type(x)
    u = T(1) + x
    lost = (x - (u - T(1))) / u
    return copysign(log(u) + (lost if T(0) < u and u <= LARGEST(x) else T(0)), x) if x >= T(-1) else x * T(math.nan)


@exact
def _log_parts(x):
    """Return n, f and q with log(x) = n log(2) + (f - q), and n for special values: infinite or NaN."""
    T = type(x)
    subnormal = x < SMALLEST_NORMAL(x)
    i = bits_of_float(x * SUBNORMAL_SCALE(x) if subnormal else x)
    integer = type(i)
    shift = MANTISSA_BITS(x)
    exponent = integer(integer(i - SQRT_HALF_BITS(x)) >> shift)
    n = T(exponent) - (SUBNORMAL_EXPONENT(x) if subnormal else T(0))
    f = float_from_bits(integer(i - integer(exponent << shift))) - T(1)
    s = f / (T(2) + f)
    z = s * s
    special = n + (x - minimum(x, LARGEST(x)))
    special = T(-math.inf) if x == T(0) else special
    return n, f, s * fma(-z, LOG(z), f), special if x >= T(0) else T(math.nan)


LOG2_E_HIGH = constant(1.4426950216293335, 1.4426950408889634)
LOG2_E_LOW = constant(1.925963033500011e-08, 2.0355273740931033e-17)
LOG10_E_HIGH = constant(0.4342944920063019, 0.4342944819032518)
LOG10_E_LOW = constant(-1.0103049952192578e-08, 1.098319650216765e-17)
LOG10_2_HIGH = constant(0.3010300099849701, 0.3010299956639812)
LOG10_2_LOW = constant(-1.432098883924482e-08, -2.8037281277851704e-18)


@exact
def log2(x):
    """The logarithm to base 2; -inf at 0, NaN below."""
    _, f, q, n = _log_parts(x)
    return n + fma(f, LOG2_E_HIGH(x), fma(f, LOG2_E_LOW(x), -q * LOG2_E_HIGH(x)))


@exact
def log10(x):
    """The logarithm to base 10; -inf at 0, NaN below."""
    n, f, q, special = _log_parts(x)
    rest = fma(n, LOG10_2_LOW(x), fma(f, LOG10_E_LOW(x), -q * LOG10_E_HIGH(x)))
    return fma(special, LOG10_2_HIGH(x), fma(f, LOG10_E_HIGH(x), rest))
