"""exp, log, tanh and their kin for one float32 or float64, written so that LLVM turns loops over them into vectors.

Numba's own math functions are calls of the scalar C library. Here each function is straight-line code without calls
or branches: split the argument into a power of two and a small rest, evaluate a polynomial in the rest, put the two
together. `@exact` keeps every rounding where it is written, which the splitting depends on.

The polynomials are near-minimax: least squares at Chebyshev nodes, reweighted by the error until it levels (Lawson),
in 60 digits, for the relative error of the final result; then rounded to the dtype one coefficient after the other,
each time fitting the rest again. What the comments give is the error left after rounding.

Errors were measured in the compiled vector loop, float32 over all 2^32 arguments against float64, float64 over 1e5
random ones against 50 digits. The figures stand with the entries of `cpu.activation`; they may reach 2 ulp, and what
that leaves room for is not corrected: on AVX-512 comparisons and divisions cost as much as multiplications, so clamps
are minima and maxima, and quotients are taken once, of top and bottom multiplied by a power of two.
"""

import math

from ...ground.jit import exact
from ..vector.simd import (
    HAS_LDEXP,
    bits_of_float,
    constant,
    copysign,
    float_from_bits,
    fma,
    ldexp,
    maximum,
    minimum,
    polynomial,
)

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
def reduced(x, low):
    """Return n + ROUND_AND_BIAS and r with x + low = n ln(2) + r, |r| <= ln(2)/2 (and a bit)."""
    biased = fma(x, LOG2_E(x), ROUND_AND_BIAS(x))
    n = biased - ROUND_AND_BIAS(x)
    return biased, fma(n, -LN2_LOW(x), fma(n, -LN2_HIGH(x), x)) + low


@exact
def power_of_2(biased):
    """Return 2^n for n + ROUND_AND_BIAS, n from -126 (-1022) to 127 (1023); 0 for the n below."""
    return float_from_bits(type(bits_of_float(biased))(bits_of_float(biased) << MANTISSA_BITS(biased)))


# n + ROUND_AND_BIAS, as an integer, for an n whose power of two is nothing beside 1
NEGLIGIBLE = constant(0x4B40007F - 100, 0x43380000000003FF - 900)


@exact
def small_power_of_2(biased):
    """Return 2^n for n + ROUND_AND_BIAS, and something negligible for the n for which that is."""
    i = bits_of_float(biased)
    i = i if i > NEGLIGIBLE(biased) else NEGLIGIBLE(biased)
    return float_from_bits(type(bits_of_float(biased))(i << MANTISSA_BITS(biased)))


@exact
def exponent(biased):
    """Return n as an integer."""
    return type(bits_of_float(biased))(bits_of_float(biased) - ROUND_AND_BIAS_BITS(biased))


if HAS_LDEXP:

    @exact
    def scaled(y, n):
        """Return y 2^n for an integer n."""
        return ldexp(y, n)

else:

    @exact
    def scaled(y, n):
        """Return y 2^n for an integer n: in two steps, for 2^128, and for subnormal results."""
        integer = type(n)
        half = integer(n >> 1)
        first, second = integer(half + BIAS(y)), integer(integer(n - half) + BIAS(y))
        shift = MANTISSA_BITS(y)
        return y * float_from_bits(integer(first << shift)) * float_from_bits(integer(second << shift))


@exact
def _limited(x):
    return minimum(maximum(x, EXP_LOW(x)), EXP_HIGH(x))


@exact
def exp(x):
    """e^x."""
    biased, r = reduced(_limited(x), type(x)(-0.0))
    return scaled(type(x)(1) + fma(r * r, EXP(r), r), exponent(biased))


@exact
def times_exp(factor, rest_of_factor, x, low):
    """(factor + its rest) e^(x + low), rounded little more than once, for x from EXP_LOW to EXP_HIGH."""
    biased, r = reduced(x, low)
    return scaled(factor + fma(factor, r, fma(factor, r * r * EXP(r), rest_of_factor)), exponent(biased))


@exact
def small_expm1(x):
    """Return e^x - 1 for |x| <= 80."""
    biased, r = reduced(x, type(x)(-0.0))
    power = power_of_2(biased)
    return fma(power, fma(r * r, EXP(r), r), power - type(x)(1))


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
LARGEST = constant(3.4028234663852886e38, 1.7976931348623157e308)
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
    # log(1 + f) = f - s (f - z LOG) keeps f, the leading term, out of all rounding but the last
    s = f / (T(2) + f)
    z = s * s
    rest = f - fma(s, fma(-z, LOG(z), f), n * -LN2_LOW(x))
    # infinity and NaN take the way of n, which is shorter
    n = n + (x - minimum(x, LARGEST(x)))
    n = T(-math.inf) if x == T(0) else n
    return fma(n if x >= T(0) else T(math.nan), LN2_HIGH(x), rest)


# log(1 + f) = f - f^2 LOG1P(f) for f in 0 .. 1, error 2^-27.5 and 2^-59.1
LOG1P = polynomial(
    (
        0.4999993, -0.3333047, 0.24958156, -0.19693181, 0.15348996, -0.10669693, 0.05755672, -0.020146864, 0.003305569,
    ),
    (
        0.499999999999999, -0.3333333333331349, 0.2499999999860501, -0.19999999949616037, 0.16666665563421185,
        -0.1428569818483836, 0.12499833524754642, -0.11109838971548319, 0.09992591528508853, -0.09057262359387815,
        0.08212010198593772, -0.07339937321470591, 0.06308209796444283, -0.05035094836563639, 0.03583212860979848,
        -0.021768612767284118, 0.010781544027368778, -0.00412698454892887, 0.0011353283790727284,
        -0.00019855390411254792, 1.6513108246327862e-05,
    ),
)  # fmt: skip


@exact
def log1p_exp(x):
    """log(1 + e^x) for x <= 0."""
    f = exp(x)
    return fma(f * f, -LOG1P(f), f)


@exact
def softplus(x):
    """log(1 + e^x) = max(x, 0) + log(1 + e^-|x|)."""
    return maximum(x, type(x)(0)) + log1p_exp(-abs(x))


@exact
def sign(x):
    """-1, 0 or 1, NaN for NaN."""
    one = type(x)(1)
    return one if x > type(x)(0) else (-one if x < type(x)(0) else x)


TANH_ONE = constant(10.0, 20.0)  # tanh is 1 from here on
TANH_SHIFT = constant(0.084, 0.084)
TWO_LOG2_E = constant(2.8853900817779268, 2.8853900817779268)
HALF_LN2 = constant(0.34657359027997264, 0.34657359027997264)
# bits of a power of two, from which those of 2^n are taken: 2^-n is left, or twice that
INVERSE = constant(254 << 23, 2046 << 52)
TWICE_INVERSE = constant(255 << 23, 2047 << 52)
# tanh(h) = h + h^3 TANH(h^2) for |h| <= 0.258, error 2^-28.0 and 2^-65.8
TANH = polynomial(
    (-0.3333322, 0.13323046, -0.051271003),
    (
        -0.3333333333333333, 0.13333333333332426, -0.0539682539667289, 0.02186948841187115, -0.00886322990000526,
        0.0035919782177811013, -0.001453485080228988, 0.0005694685485966056, -0.00015391294279908682,
    ),
)  # fmt: skip


@exact
def tanh(x):
    """Hyperbolic tangent: of |x| = n ln(2)/2 + h by the theorem of addition.

    With t = tanh(h), s = 2^-n it is (1 - s + t (1 + s)) / (1 + s + t (1 - s)), whose bottom is the top and 2s (1 - t):
    then the top's rounding cancels where tanh is large. n is 0 up to h = 0.257, beyond which rounding weighs less.
    """
    T = type(x)
    a = minimum(abs(x), TANH_ONE(x))
    biased = fma(a - TANH_SHIFT(x), TWO_LOG2_E(x), ROUND_AND_BIAS(x))
    h = fma(biased - ROUND_AND_BIAS(x), -HALF_LN2(x), a)
    z = h * h
    t = fma(h * z, TANH(z), h)
    power = bits_of_float(power_of_2(biased))
    integer = type(power)
    s = float_from_bits(integer(INVERSE(x) - power))
    twice = float_from_bits(integer(TWICE_INVERSE(x) - power))
    top = fma(t, T(1) + s, T(1) - s)
    return copysign(top / (top + fma(-t, twice, twice)), x)


LOGISTIC_ONE = constant(17.4, 37.6)  # 1 / (1 + e^-x) is 1 from here on
LOGISTIC_ZERO = constant(-88.0, -709.0)  # and subnormal from here down


@exact
def logistic_part(top, x, low):
    """Return top / (1 + e^-(x + low)), low being the part of the argument that did not fit into x.

    With x + low = n ln(2) - r it is 2^n top / (2^n + e^r).
    """
    T = type(x)
    v = minimum(maximum(x, EXP_LOW(x)), LOGISTIC_ONE(x))
    biased, minus = reduced(v, low)
    r = -minus
    p = fma(r * r, EXP(r), r)
    s = small_power_of_2(biased)
    bottom = T(1) + s
    lost = s - (bottom - T(1))
    return scaled(top / (bottom + (p + lost)), exponent(biased))


@exact
def sigmoid(x):
    """1 / (1 + e^-x)."""
    return logistic_part(type(x)(1), x, type(x)(-0.0))


@exact
def logistic(x):
    """1 / (1 + e^-x) to 3 ulp, for slopes: the same without subnormal results and what 2^n + 1 loses."""
    T = type(x)
    biased, minus = reduced(minimum(maximum(x, LOGISTIC_ZERO(x)), LOGISTIC_ONE(x)), T(-0.0))
    r = -minus
    s = power_of_2(biased)
    return s / ((T(1) + s) + fma(r * r, EXP(r), r))
