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
from ._simd import bits_of_float, constant, copysign, float_from_bits, fma, polynomial

MANTISSA_BITS = constant(23, 52)
LOG2_E = constant(1.4426950408889634, 1.4426950408889634)
LN2_HIGH = constant(0.693147182464599609375, 0.6931471805599453094)
LN2_LOW = constant(-1.904654299957768e-09, 2.319046813846299558e-17)

# Adding 1.5 * 2^mantissa_bits to a small float rounds it to an integer, which stands in the lowest bits of the sum.
# Here the sum also gets the exponent's bias: its low bits, moved up to the exponent's place, are the float 2^n.
ROUND_AND_BIAS = constant(1.5 * 2.0**23 + 127, 1.5 * 2.0**52 + 1023)
ROUND_AND_TWO_BIAS = constant(1.5 * 2.0**23 + 2 * 127, 1.5 * 2.0**52 + 2 * 1023)
# Beyond these exp is 0 or infinity.
EXP_LOW = constant(-104.0, -745.2)
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
def _split(x, low, round_and_bias):
    """Return (n + round_and_bias, e^r - 1) with x + low = n ln(2) + r, n an integer, |r| <= ln(2)/2 (and a bit)."""
    biased = fma(x, LOG2_E(x), round_and_bias)
    n = biased - round_and_bias
    r = fma(n, -LN2_LOW(x), fma(n, -LN2_HIGH(x), x)) + low
    return biased, fma(r * r, EXP(r), r)


@exact
def _exp_of_sum(x, low):
    """e^(x + low), low being the part of the argument that did not fit into x."""
    v = EXP_LOW(x) if x < EXP_LOW(x) else x
    v = EXP_HIGH(x) if v > EXP_HIGH(x) else v
    biased, rest = _split(v, low, ROUND_AND_TWO_BIAS(x))
    # times 2^n in two steps, so that 2^128 is no obstacle and subnormal results come out right
    i = bits_of_float(biased)
    integer = type(i)
    half = integer(i >> 1)
    shift = MANTISSA_BITS(x)
    y = (type(x)(1) + rest) * float_from_bits(integer(half << shift))
    return y * float_from_bits(integer(integer(i - half) << shift))


@exact
def exp(x):
    """e^x."""
    return _exp_of_sum(x, type(x)(-0.0))


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


@exact
def _quotient(top, a, b):
    """Return top / (a + b), b a small integer, as if the sum had not been rounded: corrected once."""
    bottom = a + b
    lost = a - (bottom - b)
    reciprocal = type(a)(1) / bottom
    y = top * reciprocal
    return fma(fma(-y, lost, fma(-y, bottom, top)), reciprocal, y)


TANH_ONE = constant(10.0, 20.0)  # tanh is 1 from here on


@exact
def tanh(x):
    """Hyperbolic tangent: E / (E + 2) with E = e^2|x| - 1."""
    T = type(x)
    a = abs(x)
    a = TANH_ONE(x) if a > TANH_ONE(x) else a
    biased, rest = _split(a + a, T(-0.0), ROUND_AND_BIAS(x))
    power = float_from_bits(type(bits_of_float(x))(bits_of_float(biased) << MANTISSA_BITS(x)))
    e = fma(power, rest, power - T(1))
    return copysign(_quotient(e, e, T(2)), x)  # e / (e + 2) alone would be a third faster, and off by up to 2.5 ulp


@exact
def sigmoid(x):
    """1 / (1 + e^-x), from e^-|x| so that neither end overflows or loses its digits."""
    return _sigmoid_of_sum(x, type(x)(-0.0))


@exact
def _sigmoid_of_sum(x, low):
    """Logistic function of x + low, low being the part of the argument that did not fit into x."""
    T = type(x)
    e = _exp_of_sum(-abs(x), -low if x >= T(0) else low)
    return _quotient(T(1) if x >= T(0) else e, e, T(1))


# The normal distribution's upper tail is Q(a) = e^(-a^2/2) TAIL_TOP(a) / TAIL_BOTTOM(a) for 0 <= a <= TAIL_END, from
# where on it is 0; relative error 2^-27.0 and 2^-55.0 (rational fit, linearised in the denominator and reweighted).
TAIL_TOP = polynomial(
    (0.5, 0.43929985, 0.18396409, 0.040874127, 0.0041504493),
    (
        0.5, 0.8272819497554836, 0.6785916304707612, 0.35654974422306773, 0.13165126973201538, 0.03553165454239458,
        0.007089195798401278, 0.0010337325824337617, 0.00010583347009226399, 6.917780271268154e-06,
        2.219186300633281e-07,
    ),
)  # fmt: skip
TAIL_BOTTOM = polynomial(
    (1.0, 1.6764846, 1.205565, 0.47138992, 0.10246231, 0.010403523),
    (
        1.0, 2.452448460313833, 2.8139540235906817, 1.9980472487890455, 0.9777935001144076, 0.3472457586802212,
        0.09162115293212367, 0.018034151256912604, 0.0026085236233712177, 0.00026584143604511403,
        1.7340303625675956e-05, 5.562675127839834e-07,
    ),
)  # fmt: skip
TAIL_END = constant(15.0, 39.0)
INVERSE_SQRT_TAU = constant(0.3989422804014327, 0.3989422804014327)


@exact
def _normal(x):
    """Return of the standard normal distribution at a = |x|: a up to TAIL_END, the bell e^(-a^2/2), Q(a) / bell."""
    T = type(x)
    a = abs(x)
    a = TAIL_END(x) if a > TAIL_END(x) else a
    square = a * a
    bell = _exp_of_sum(T(-0.5) * square, T(-0.5) * fma(a, a, -square))
    return a, bell, TAIL_TOP(a) / TAIL_BOTTOM(a)


@exact
def gelu(x):
    """Return x P(X < x) for a standard normal X: x - x Q(x) or x Q(-x)."""
    a, bell, ratio = _normal(x)
    zero = type(x)(0)
    return (x if x > zero else x * zero) - bell * (a * ratio)  # x * 0 makes -inf NaN, as in PyTorch


@exact
def gelu_slope(x):
    """Return the derivative of gelu."""
    T = type(x)
    _, bell, ratio = _normal(x)
    tail = bell * ratio
    return fma(x * INVERSE_SQRT_TAU(x), bell, T(1) - tail if x > T(0) else tail)


# gelu's approximation x / (1 + e^-u), u = 2 sqrt(2 / pi) (x + 0.044715 x^3), which is 0 or x beyond GELU_TANH_END
GELU_TANH_LINEAR = constant(1.5957691216057308, 1.5957691216057308)
GELU_TANH_CUBIC = constant(0.07135481627260025, 0.07135481627260025)
GELU_TANH_END = constant(12.0, 24.0)


@exact
def _gelu_tanh_argument(x):
    """Return u as (x factor, the rest), and factor."""
    v = -GELU_TANH_END(x) if x < -GELU_TANH_END(x) else x
    v = GELU_TANH_END(x) if v > GELU_TANH_END(x) else v
    square = v * v
    factor = fma(GELU_TANH_CUBIC(x), square, GELU_TANH_LINEAR(x))
    u = v * factor
    return u, fma(v, factor, -u), square


@exact
def gelu_tanh(x):
    """Return the approximation of gelu that is made with tanh."""
    u, low, _ = _gelu_tanh_argument(x)
    return x * _sigmoid_of_sum(u, low)


@exact
def gelu_tanh_slope(x):
    """Return the derivative of gelu_tanh: s + x s (1 - s) u'."""
    T = type(x)
    u, low, square = _gelu_tanh_argument(x)
    s = _sigmoid_of_sum(u, low)
    slope = fma(T(3) * GELU_TANH_CUBIC(x), square, GELU_TANH_LINEAR(x))
    return fma(x * slope, s * (T(1) - s), s)
