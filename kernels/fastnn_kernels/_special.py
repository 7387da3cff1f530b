"""The error function and the activations built on it, and others that need more than e^x in one place.

In the same style, and measured in the same way, as `_elementary`.
"""

from ._elementary import EXP_LOW, exp, logistic_part, power_of_e, quotient, scaled, small_expm1, times_exp
from ._jit import exact
from ._simd import constant, copysign, fma, polynomial

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
MILLS_SLOPE = polynomial((-0.805, 0.36), (-0.805, 0.36))  # M' / M, to a few percent
TAIL_END = constant(14.5, 39.0)
INVERSE_SQRT_TAU = constant(0.3989422804014327, 0.3989422804014327)


@exact
def _normal(x):
    """Return a = |x| up to TAIL_END, -a^2/2 as a sum of two, 1 / (a + 4), and u."""
    T = type(x)
    a = abs(x)
    a = TAIL_END(x) if a > TAIL_END(x) else a
    square = a * a
    reciprocal = T(1) / (a + T(4))
    return a, T(-0.5) * square, T(-0.5) * fma(a, a, -square), reciprocal, fma(T(-8), reciprocal, T(1))


@exact
def gelu(x):
    """Return x P(X < x) for a standard normal X: -a Q(a) below 0, x - a Q(a) above."""
    T = type(x)
    a, minus, low, reciprocal, _ = _normal(x)
    # a / (a + 4) as a sum of two, then u
    bottom = a + T(4)
    share = a * reciprocal
    missing = fma(-share, a - (bottom - T(4)), fma(-share, bottom, a)) * reciprocal
    u = fma(T(2), share, T(-1))
    rest_of_u = fma(T(2), missing, fma(T(2), share, T(-1) - u))
    slope = MILLS(u)
    mills = fma(u, slope, MILLS_0(x))
    rest = fma(u, slope, MILLS_0(x) - mills) + fma(mills * MILLS_SLOPE(u), rest_of_u, MILLS_0_REST(x))
    factor = share * mills
    rest = fma(share, rest, fma(missing, mills, fma(share, mills, -factor)))
    tail = times_exp(factor, rest, minus, low)
    return (x if x > T(0) else x * T(0)) - tail  # x * 0 makes -inf NaN, as in PyTorch


@exact
def gelu_slope(x):
    """Return the derivative of gelu: P(X < x) + x times the density at x."""
    T = type(x)
    _, minus, low, reciprocal, u = _normal(x)
    bell = times_exp(T(1), T(-0.0), minus, low)
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
    """Return the approximation of gelu that is made with tanh."""
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
    s = logistic_part(T(1), u, low)
    slope = fma(T(3) * CUBIC(x), square, LINEAR(x))
    return fma(x * slope, s * (T(1) - s), s)


# erf(x) = x + x ERF(x^2) for |x| <= 1, error 2^-29.4 and 2^-56.1; beyond, 1 - 2 Q(sqrt(2) |x|)
ERF = polynomial(
    (0.12837917, -0.37612626, 0.112835824, -0.026853643, 0.0051879636, -0.00080068153, 7.842417e-05),
    (
        0.12837916709551256, -0.3761263890318346, 0.11283791670942658, -0.026866170642931272, 0.005223977604933836,
        -0.0008548325881644139, 0.00012055292343079734, -1.4924691343449885e-05, 1.6446899219314572e-06,
        -1.6204694979693878e-07, 1.3704547312832806e-08, -7.768346271535366e-10,
    ),
)  # fmt: skip
SQRT_2 = constant(1.4142135623730951, 1.4142135623730951)
TWO_OVER_SQRT_PI = constant(1.1283791670955126, 1.1283791670955126)


@exact
def erf(x):
    """Return the error function."""
    T = type(x)
    _, minus, low, reciprocal, u = _normal(SQRT_2(x) * x)
    tail = times_exp(fma(u, MILLS(u), MILLS_0(x)) * reciprocal, T(-0.0), minus, low)
    beyond = copysign(fma(T(-2), tail, T(1)), x)
    return fma(x, ERF(x * x), x) if abs(x) <= T(1) else beyond


@exact
def erf_slope(x):
    """Return 2 / sqrt(pi) e^(-x^2)."""
    T = type(x)
    square = x * x
    return TWO_OVER_SQRT_PI(x) * times_exp(T(1), T(-0.0), -square, -fma(x, x, -square))


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


LINEAR_FROM = constant(20.0, 40.0)  # from here on silu and mish are x, infinity included


@exact
def silu(x):
    """Return x / (1 + e^-x)."""
    T = type(x)
    v = EXP_LOW(x) if x < EXP_LOW(x) else x
    y = logistic_part(v, v, T(-0.0)) if x >= EXP_LOW(x) else x * T(0)  # NaN for -inf, as in PyTorch
    return x if x > LINEAR_FROM(x) else y


@exact
def mish(x):
    """Return x tanh(log(1 + e^x)).

    With e = e^-|x| it is x (1 + 2e) / (1 + 2e + 2e^2) above 0 and x e (2 + e) / (2 + 2e + e^2) below.
    """
    T = type(x)
    positive = x > T(0)
    p, n = power_of_e(-abs(x), T(-0.0))
    e = scaled(T(1) + p, n)
    share, more, whole = (e + e, T(0), T(1)) if positive else (e, p, T(2))
    # x (whole + share) (1 + more), as a sum of two
    part = whole + share
    top = x * part
    rest = fma(x, part, -top) + x * (share - (part - whole))
    full = fma(top, more, top)
    rest = fma(rest, more, rest) + fma(top, more, top - full)
    y = quotient(full, rest, fma(share, e, e + e), whole)
    y = y if positive else scaled(y, n)
    y = y if x >= EXP_LOW(x) else x * T(0)  # NaN for -inf, as in PyTorch
    return x if x > LINEAR_FROM(x) else y


@exact
def mish_slope(x):
    """Return t + x (1 - t^2) s, where t = tanh(log(1 + e^x)) and s = 1 / (1 + e^-x)."""
    T = type(x)
    positive = x > T(0)
    e = exp(-abs(x))
    one = fma(T(2), e, T(1)) if positive else fma(e, e, e + e)
    other = T(2) * e * e if positive else T(2)
    reciprocal = T(1) / (one + other)
    t, one_minus_t = one * reciprocal, other * reciprocal
    s = (T(1) if positive else e) / (T(1) + e)
    return fma(x * one_minus_t, (T(1) + t) * s, t)
