"""exp, log, tanh and their kin for one float32 or float64, written so that LLVM turns loops over them into vectors.

Numba's own math functions are calls of the scalar C library. Here each function is straight-line code without calls
or branches: split the argument into a power of two and a small rest, evaluate a polynomial in the rest, put the two
together. `@exact` keeps every rounding where it is written, which the splitting depends on.

The polynomials are near-minimax: least squares at Chebyshev nodes, reweighted by the error until it levels (Lawson),
in 60 digits, for the relative error of the final result; then rounded to the dtype one coefficient after the other,
each time fitting the rest again. What the comments give is the error left after rounding.

Errors were measured in the compiled vector loop, float32 over all 2^32 arguments against float64, float64 over 8e6
random ones against extended precision. The figures stand with the entry points in `activation`.
"""

import math

from ._jit import exact
from ._simd import HAS_LDEXP, bits_of_float, constant, copysign, float_from_bits, fma, ldexp, polynomial

MANTISSA_BITS = constant(23, 52)
LOG2_E = constant(1.4426950408889634, 1.4426950408889634)
LN2_HIGH = constant(0.693147182464599609375, 0.6931471805599453094)
LN2_LOW = constant(-1.904654299957768e-09, 2.319046813846299558e-17)

# Adding 1.5 * 2^mantissa_bits to a small float rounds it to an integer, which stands in the lowest bits of the sum.
# Here the sum also gets the exponent's bias: its low bits, moved up to the exponent's place, are the float 2^n.
ROUND_AND_BIAS = constant(1.5 * 2.0**23 + 127, 1.5 * 2.0**52 + 1023)
ROUND_AND_BIAS_BITS = constant(0x4B40007F, 0x43380000000003FF)  # that number as an integer
BIAS = constant(127, 1023)
# Beyond these exp is infinity, or 0 even if it is multiplied by a million.
EXP_LOW = constant(-120.0, -762.0)
EXP_HIGH = constant(89.0, 709.8)

# e^r - 1 = r + r^2 EXP(r) for |r| <= ln(2)/2, error relative to e^r - 1 of 2^-26.1 and 2^-61.6
EXP = polynomial(
    (0.5, 0.16666542, 0.041666478, 0.0083667, 0.0013933838),
    (
        0.5, 0.16666666666666677, 0.04166666666666668, 0.008333333333321423, 0.0013888888888877115,
        0.0001984126988663995, 2.480158734193286e-05, 2.7557243698848482e-06, 2.7557257665524034e-07,
        2.510921431227556e-08, 2.092006106211109e-09,
    ),
)  # fmt: skip


@exact
def _split(x, low):
    """Return (n + ROUND_AND_BIAS, r, (e^r - 1 - r) / r^2) with x + low = n ln(2) + r, |r| <= ln(2)/2 (and a bit)."""
    biased = fma(x, LOG2_E(x), ROUND_AND_BIAS(x))
    n = biased - ROUND_AND_BIAS(x)
    r = fma(n, -LN2_LOW(x), fma(n, -LN2_HIGH(x), x)) + low
    return biased, r, EXP(r)


if HAS_LDEXP:

    @exact
    def scaled(y, biased):
        """Return y 2^n for n + ROUND_AND_BIAS."""
        return ldexp(y, type(bits_of_float(y))(bits_of_float(biased) - ROUND_AND_BIAS_BITS(y)))

else:

    @exact
    def scaled(y, biased):
        """Return y 2^n for n + ROUND_AND_BIAS: in two steps, for 2^128, and for subnormal results."""
        i = bits_of_float(biased)
        integer = type(i)
        shift = MANTISSA_BITS(y)
        i = integer(i + BIAS(y))
        half = integer(i >> 1)
        return y * float_from_bits(integer(half << shift)) * float_from_bits(integer(integer(i - half) << shift))


@exact
def power_of_e(x, low):
    """Return e^(x + low) as scaled(1 + p, n): p and n; low is what did not fit into x."""
    n, r, curve = _split(_limited(x), low)
    return fma(r * r, curve, r), n


@exact
def _limited(x):
    v = EXP_LOW(x) if x < EXP_LOW(x) else x
    return EXP_HIGH(x) if v > EXP_HIGH(x) else v


@exact
def times_exp(factor, rest_of_factor, x, low):
    """(factor + its rest) e^(x + low), rounded little more than once, for factors of up to a million."""
    n, r, curve = _split(_limited(x), low)
    return scaled(factor + fma(factor, r, fma(factor, r * r * curve, rest_of_factor)), n)


@exact
def exp(x):
    """e^x."""
    p, n = power_of_e(x, type(x)(-0.0))
    return scaled(type(x)(1) + p, n)


@exact
def small_expm1(x):
    """Return e^x - 1 for |x| <= 80."""
    biased, r, curve = _split(x, type(x)(-0.0))
    power = float_from_bits(type(bits_of_float(x))(bits_of_float(biased) << MANTISSA_BITS(x)))
    return fma(power, fma(r * r, curve, r), power - type(x)(1))


EXPM1_LOW = constant(-20.0, -40.0)  # e^x - 1 is -1 from here down


@exact
def expm1_below_0(x):
    """e^x - 1 for x <= 0."""
    return small_expm1(EXPM1_LOW(x) if x < EXPM1_LOW(x) else x)


# log(m) = 2s + s z LOG(z) with s = (m - 1) / (m + 1), z = s^2, m in sqrt(1/2) .. sqrt(2), error 2^-30.2 and 2^-59.5
LOG = polynomial(
    (0.66666776, 0.39977583, 0.29870805),
    (
        0.6666666666666734, 0.3999999999941665, 0.28571428742031496, 0.22222198603468482, 0.18183562993444793,
        0.15314080267808025, 0.1479568175529074,
    ),
)  # fmt: skip
SQRT_HALF_BITS = constant(0x3F3504F3, 0x3FE6A09E667F3BCD)
SMALLEST_NORMAL = constant(2.0**-126, 2.0**-1022)
SUBNORMAL_SCALE = constant(2.0**24, 2.0**54)
SUBNORMAL_EXPONENT = constant(24.0, 54.0)


@exact
def log(x):
    """Natural logarithm; -inf at 0, NaN below."""
    T = type(x)
    subnormal = x < SMALLEST_NORMAL(x)
    i = bits_of_float(x * SUBNORMAL_SCALE(x) if subnormal else x)
    integer = type(i)
    shift = MANTISSA_BITS(x)
    exponent = integer(integer(i - SQRT_HALF_BITS(x)) >> shift)
    n = T(exponent) - (SUBNORMAL_EXPONENT(x) if subnormal else T(0))
    f = float_from_bits(integer(i - integer(exponent << shift))) - T(1)
    # log1p(f) = f - (half - s (half + z LOG)) keeps f, the leading term, out of all rounding but the last
    s = f / (T(2) + f)
    z = s * s
    half = T(0.5) * f * f
    small = fma(s, fma(z, LOG(z), half), n * LN2_LOW(x))
    y = fma(n, LN2_HIGH(x), f - (half - small))
    y = x if x == T(math.inf) else y
    y = T(-math.inf) if x == T(0) else y
    return y if x >= T(0) else T(math.nan)


# log(1 + f) = 2s + s z LOG1P(z) with s = f / (2 + f), z = s^2 for f in 0 .. 1, error 2^-33.0 and 2^-59.4
LOG1P = polynomial(
    (0.66666675, 0.39998952, 0.2861509, 0.21445458, 0.24238811),
    (
        0.6666666666666631, 0.40000000000155805, 0.28571428548040023, 0.2222222395781062, 0.18181744357172222,
        0.15386550482019676, 0.1330110011897665, 0.12105068723352697, 0.0834460483370571, 0.1701014699622768,
    ),
)  # fmt: skip


@exact
def _log1p_parts(x):
    """Return log(1 + e^x) for x <= 0 as a difference of two."""
    T = type(x)
    f = exp(x)
    s = f / (T(2) + f)
    z = s * s
    half = T(0.5) * f * f
    return f, half - s * fma(z, LOG1P(z), half)


@exact
def log1p_exp(x):
    """log(1 + e^x) for x <= 0."""
    f, less = _log1p_parts(x)
    return f - less


@exact
def softplus(x):
    """log(1 + e^x) = max(x, 0) + log(1 + e^-|x|)."""
    T = type(x)
    f, less = _log1p_parts(-abs(x))
    log1p = f - less
    return ((T(0) if x < T(0) else x) + ((f - log1p) - less)) + log1p


@exact
def sign(x):
    """-1, 0 or 1, NaN for NaN."""
    one = type(x)(1)
    return one if x > type(x)(0) else (-one if x < type(x)(0) else x)


@exact
def quotient(top, rest_of_top, a, b):
    """Return (top + its rest) / (a + b), b a small integer, as if the sum had not been rounded: corrected once."""
    bottom = a + b
    lost = a - (bottom - b)
    reciprocal = type(a)(1) / bottom
    y = top * reciprocal
    return fma(fma(-y, lost, fma(-y, bottom, top)) + rest_of_top, reciprocal, y)


TANH_ONE = constant(10.0, 20.0)  # tanh is 1 from here on


@exact
def tanh(x):
    """Hyperbolic tangent: E / (E + 2) with E = e^2|x| - 1."""
    T = type(x)
    a = abs(x)
    a = TANH_ONE(x) if a > TANH_ONE(x) else a
    e = small_expm1(a + a)
    return copysign(
        quotient(e, T(-0.0), e, T(2)), x
    )  # e / (e + 2) alone would be a third faster, and off by up to 2.5 ulp


@exact
def sigmoid(x):
    """1 / (1 + e^-x), from e^-|x| so that neither end overflows or loses its digits."""
    T = type(x)
    e = exp(-abs(x))
    return quotient(T(1) if x >= T(0) else e, T(-0.0), e, T(1))


@exact
def logistic_part(top, x, low):
    """Top / (1 + e^-(x + low)), low being the part of the argument that did not fit into x."""
    T = type(x)
    positive = x >= T(0)
    p, n = power_of_e(-abs(x), -low if positive else low)
    more = T(0) if positive else p  # below 0 it is top e^x / (1 + e^x)
    full = fma(top, more, top)
    y = quotient(full, fma(top, more, top - full), scaled(T(1) + p, n), T(1))
    return y if positive else scaled(y, n)
