"""The error function and the activations built on it, and others that need more than e^x in one place.

In the same style, and measured in the same way, as `elementary`.
"""

from ...ground.jit import exact
from ..vector.simd import constant, copysign, fma, maximum, minimum, polynomial
from .elementary import (
    EXP,
    EXP_LOW,
    LOGISTIC_ZERO,
    exp,
    exponent,
    logistic,
    logistic_part,
    power_of_2,
    reduced,
    scaled,
    small_expm1,
    small_power_of_2,
    times_exp,
)

# The normal distribution's upper tail is Q(a) = e^(-a^2/2) M(u) / (a + 4), M(u) = MILLS_0 + u MILLS(u), where
# u = (a - 4) / (a + 4), for a up to TAIL_END, from where on a Q(a) is 0; relative error 2^-28.1 and 2^-55.4 if MILLS_0
# is taken as a sum of two.
MILLS_0 = constant(0.7552851438522339, 0.7552851304157515)
MILLS_0_REST = constant(-1.3436482393351372e-08, -2.2175033409973908e-17)
MILLS = polynomial(
    (
        -0.6078966, 0.38713738, -0.18652199, 0.060397368, -0.007540676, -0.0034877558, 0.0016335489, 0.0001649022,
        -0.00022163181, -4.4400407e-05,
    ),
    (
        -0.6078966419718921, 0.38713740074221786, -0.18652185795966306, 0.060396574890715655, -0.007540188966489442,
        -0.003479692362292476, 0.0016308184538603723, 0.0001333442537663998, -0.00023109490705652315,
        -1.9078683077692168e-06, 3.5144580648812595e-05, 7.150474584831716e-07, -5.920031697950567e-06,
        -6.25365840809169e-07, 1.0218759991460022e-06, 2.643212910174274e-07, -1.565942956937787e-07,
        -7.733153864697744e-08, 1.6059729026206335e-08, 1.4664655518168913e-08, -3.337475500510944e-10,
        -1.2024817142870024e-09,
    ),
)  # fmt: skip
TAIL_END = constant(14.5, 39.0)
INVERSE_SQRT_TAU = constant(0.3989422804014327, 0.3989422804014327)


@exact
def gelu(x):
    """Return x P(X < x) for a standard normal X: -a Q(a) below 0, x - a Q(a) above, a = |x|."""
    T = type(x)
    a = minimum(abs(x), TAIL_END(x))
    # share = a / (a + 4), in multiples of 2^-25 (2^-54) so that u is exact, and how much of its top that left over
    bottom = a + T(4)
    u = fma(T(2), a / bottom, T(-1))
    share = fma(T(0.5), u, T(0.5))
    left = fma(-share, a - (bottom - T(4)), fma(-share, bottom, a))
    # a Q(a) = factor e^(-a^2/2)
    slope = MILLS(u)
    mills = fma(u, slope, MILLS_0(x))
    rest = fma(u, slope, MILLS_0(x) - mills) + MILLS_0_REST(x)
    factor = share * mills
    rest = fma(share, rest, fma(share, mills, -factor))
    # the factor grows by u^2 (1 - u) / 4 times what is left, near enough; for u > 0, where M falls as fast, hardly
    v = minimum(u, T(0))
    rest = fma(left * v, v * fma(T(-0.25), v, T(0.25)), rest)
    square = a * a
    tail = times_exp(factor, rest, T(-0.5) * square, T(-0.5) * fma(a, a, -square))
    return (x if x > T(0) else x * T(0)) - tail  # x * 0 makes -inf NaN, as in PyTorch


@exact
def gelu_slope(x):
    """Return the derivative of gelu: P(X < x) + x times the density at x."""
    T = type(x)
    a = minimum(abs(x), TAIL_END(x))
    reciprocal = T(1) / (a + T(4))
    u = fma(T(-8), reciprocal, T(1))
    bell = exp(T(-0.5) * a * a)
    tail = bell * (fma(u, MILLS(u), MILLS_0(x)) * reciprocal)
    return fma(x * INVERSE_SQRT_TAU(x), bell, T(1) - tail if x > T(0) else tail)


# gelu's approximation x / (1 + e^-u), u = 2 sqrt(2 / pi) (x + 0.044715 x^3), which is 0 or x beyond GELU_TANH_END.
# u amounts to 140 where the result vanishes, and its error counts that many times, so all of it is a sum of two:
# LINEAR is a multiple of 2^-20 (2^-47), which leaves room to see what a sum with it rounds off.
LINEAR = constant(1.595768928527832, 1.5957691216057341)
LINEAR_REST = constant(1.930778950054446e-07, -3.430362161966579e-15)
CUBIC = constant(0.07135481387376785, 0.07135481627260025)
CUBIC_REST = constant(2.3988324659995897e-09, -6.175149918155315e-19)
GELU_TANH_END = constant(12.0, 24.0)


@exact
def _gelu_tanh_argument(x):
    """Return u as a sum of two, and x^2."""
    v = -GELU_TANH_END(x) if x < -GELU_TANH_END(x) else x
    v = GELU_TANH_END(x) if v > GELU_TANH_END(x) else v
    square = v * v
    factor = fma(CUBIC(x), square, LINEAR(x))
    low = fma(CUBIC(x), square, LINEAR(x) - factor) + LINEAR_REST(x)
    low += fma(CUBIC(x), fma(v, v, -square), CUBIC_REST(x) * square)
    u = v * factor
    return u, fma(v, low, fma(v, factor, -u)), square


@exact
def gelu_tanh(x):
    """Return the approximation of gelu by tanh."""
    T = type(x)
    u, low, _ = _gelu_tanh_argument(x)
    v = -GELU_TANH_END(x) if x < -GELU_TANH_END(x) else x
    y = logistic_part(v, u, low) if x >= -GELU_TANH_END(x) else x * T(0)  # NaN for -inf, as in PyTorch
    return x if x > GELU_TANH_END(x) else y


@exact
def gelu_tanh_slope(x):
    """Return the derivative of gelu_tanh: s + x s (1 - s) u'."""
    T = type(x)
    u, low, square = _gelu_tanh_argument(x)
    s = logistic(u)
    slope = fma(T(3) * CUBIC(x), square, LINEAR(x))
    return fma(x * slope, s * (T(1) - s), s)


# erf(x) = x + x ERF(x^2) for |x| <= 1, error 2^-29.4 and 2^-56.1
ERF = polynomial(
    (0.12837917, -0.37612626, 0.112835824, -0.026853643, 0.0051879636, -0.00080068153, 7.842417e-05),
    (
        0.12837916709551256, -0.3761263890318346, 0.11283791670942658, -0.026866170642931272, 0.005223977604933836,
        -0.0008548325881644139, 0.00012055292343079734, -1.4924691343449885e-05, 1.6446899219314572e-06,
        -1.6204694979693878e-07, 1.3704547312832806e-08, -7.768346271535366e-10,
    ),
)  # fmt: skip
# 1 - erf(x) = e^(x ERFC(x)) for x from 1 to ERF_ONE, from where on it is 1; error of erf 2^-28.5 and 2^-63.0
ERFC = polynomial(
    (-1.1284802, -0.63583094, -0.10511687, 0.022798946, -0.003187105, 0.0002106635),
    (
        -1.12837921769205, -0.6366191953953475, -0.10277570637344835, 0.019138915414157107, 0.0001843451112727878,
        -0.0016520855146449377, 0.0005293484071946505, 4.0564805963794876e-05, -0.00012289746209197556,
        7.11971392049093e-05, -2.7067919701600542e-05, 7.766720682705743e-06, -1.7499951702410785e-06,
        3.1221525223467e-07, -4.3753141351026365e-08, 4.714815857990674e-09, -3.7638360711111333e-10,
        2.0891892332747504e-11, -7.159804427666466e-13, 1.1320314651671938e-14,
    ),
)  # fmt: skip
ERF_ONE = constant(3.93, 5.93)
TWO_OVER_SQRT_PI = constant(1.1283791670955126, 1.1283791670955126)


@exact
def erf(x):
    """Return the error function."""
    a = minimum(abs(x), ERF_ONE(x))
    beyond = copysign(small_expm1(a * ERFC(a)), x)
    return fma(x, ERF(x * x), x) if a <= type(x)(1) else beyond


@exact
def erf_slope(x):
    """Return 2 / sqrt(pi) e^(-x^2)."""
    return TWO_OVER_SQRT_PI(x) * exp(-x * x)


# x - tanh(x) = x^3 (1/3 + x^2 SHRINK(x^2)) for |x| <= 1, error 2^-27.4 and 2^-55.9
THIRD = constant(0.3333333432674408, 0.3333333333333333)
THIRD_REST = constant(-9.934107758624577e-09, 1.850371707708594e-17)
SHRINK = polynomial(
    (-0.13333318, 0.053964183, -0.021833232, 0.008706874, -0.003218629, 0.0009313832, -0.00014489387),
    (
        -0.13333333333333172, 0.053968253968086737, -0.02186948853004388, 0.008863235416279699, -0.00359212677354212,
        0.0014558252011258122, -0.0005899812190456829, 0.00023896226746044085, -9.647303422422203e-05,
        3.840426787796921e-05, -1.4621200553894793e-05, 4.998610054135921e-06, -1.3843738004071356e-06,
        2.647909012763373e-07, -2.53463423666781e-08,
    ),
)  # fmt: skip
TANH_ONE = constant(10.0, 20.0)  # tanh is 1 from here on


@exact
def tanhshrink(x):
    """Return x - tanh(x): a series near 0; further out (|x| - 1) + 2 / (e^2|x| + 1), where nothing cancels."""
    T = type(x)
    a = abs(x)
    limited = TANH_ONE(x) if a > TANH_ONE(x) else a
    beyond = (a - T(1)) + T(2) / (small_expm1(limited + limited) + T(2))
    square = x * x
    slope = SHRINK(square)
    shrink = fma(square, slope, THIRD(x))
    rest = fma(square, slope, THIRD(x) - shrink) + THIRD_REST(x)
    share = square * shrink
    rest = fma(square, rest, fma(square, shrink, -share)) + fma(x, x, -square) * shrink
    near = fma(x, share, x * rest)
    return near if a <= T(1) else copysign(beyond, x)


MISH_LINEAR = constant(20.0, 40.0)  # from here on mish is x


@exact
def silu(x):
    """Return x / (1 + e^-x)."""
    return logistic_part(x, x, type(x)(-0.0)) if x >= EXP_LOW(x) else x * type(x)(0)  # NaN for -inf, as in PyTorch


@exact
def mish(x):
    """Return x tanh(log(1 + e^x)).

    With w = e^x (1 + e^x / 2) it is x w / (1 + w) below 0; above it is x - x / (1 + w), where rounding weighs less.
    """
    T = type(x)
    positive = x > T(0)
    v = minimum(maximum(x, EXP_LOW(x)), MISH_LINEAR(x))
    biased, r = reduced(v, T(-0.0))
    p = fma(r * r, EXP(r), r)
    n, s = exponent(biased), small_power_of_2(biased)
    # e^x (1 + e^x / 2) = s (1 + more)
    half = T(0.5) * s
    more = fma(p, fma(p, half, T(1) + s), half)
    whole = T(1) + more
    bottom = fma(s, whole, T(1))
    lost = fma(s, whole, T(1) - bottom)
    top = fma(x, more, x)
    rest = fma(x, more, x - top)
    top, rest = (v, T(0)) if positive else (top, rest)
    # (top + rest) / (bottom + lost)
    reciprocal = T(1) / bottom
    y = top * reciprocal
    y = fma(fma(-y, lost, fma(-y, bottom, top)) + rest, reciprocal, y)
    y = x - y if positive else scaled(y, n)
    return y if x >= EXP_LOW(x) else x * T(0)  # NaN for -inf, as in PyTorch


@exact
def mish_slope(x):
    """Return t + x (1 - t^2) s, where t = tanh(log(1 + e^x)) and s = 1 / (1 + e^-x)."""
    T = type(x)
    v = minimum(maximum(x, LOGISTIC_ZERO(x)), MISH_LINEAR(x))
    biased, r = reduced(v, T(-0.0))
    power = power_of_2(biased)
    e = fma(power, fma(r * r, EXP(r), r), power)
    # t = w / (1 + w) and 1 - t^2 = (1 + 2w) / (1 + w)^2 with w = e + e^2 / 2, s = e / (1 + e): one division for both
    w = fma(T(0.5) * e, e, e)
    above, below = T(1) + w, T(1) + e
    both = T(1) / (above * below)
    inverse = below * both
    return fma(v * ((above + w) * inverse), inverse * (e * (above * both)), w * inverse)
