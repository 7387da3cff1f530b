"""Functions of mathematics, each with its gradient; see `formula`. exp, log and erf stand with the activations.

Those that call `math` are computed by the C library, one element after the other; in float32 of float64, where its own
float32 function is off by more than 1 ulp.
"""

import math
from builtins import abs as magnitude

import numpy as np

from ..cpu.math import by_library, exponential, special, trigonometric
from ..cpu.vector.simd import rint
from .formula import Formula, formula

# ------------------------------------------------------------------------------- powers and signs


@formula(ulp=(0, 0), cheap=True)
def neg(x):
    """-x"""
    return -x


@neg.gradient
def _(dy, x):
    return -dy


@formula(ulp=(0, 0), cheap=True)
def abs(x):
    """the magnitude of x; its slope at 0 is 0"""
    return magnitude(x)


@abs.gradient
def _(dy, x):
    return dy if x > type(x)(0) else (-dy if x < type(x)(0) else dy * x)


@formula(ulp=(0.5, 0.5), cheap=True)
def square(x):
    """x^2"""
    return x * x


@square.gradient
def _(dy, x):
    return dy * (x + x)


@formula(ulp=(0.5, 0.5), cheap=True)
def sqrt(x):
    """the square root, NaN below 0"""
    return type(x)(math.sqrt(x))


@sqrt.gradient
def _(dy, y):
    return dy / (y + y)


@formula(ulp=(1.5, 1.5), cheap=True)
def rsqrt(x):
    """1 / sqrt(x), NaN below 0"""
    return type(x)(1) / type(x)(math.sqrt(x))


@rsqrt.gradient
def _(dy, y):
    return dy * (type(y)(-0.5) * (y * y * y))


@formula(ulp=(0.5, 0.5), cheap=True)
def reciprocal(x):
    """1 / x"""
    return type(x)(1) / x


@reciprocal.gradient
def _(dy, y):
    return -dy * (y * y)


# ------------------------------------------------------------------------------- steps


@formula(ulp=(0, 0), cheap=True)
def sign(x):
    """-1, 0 or 1, NaN for NaN

    Its gradient is 0 everywhere.
    """
    T = type(x)
    y = T(1) if x > T(0) else T(0)
    y = T(-1) if x < T(0) else y
    return x if x != x else y


@sign.gradient
def _(dy, x):
    return type(x)(0)


@formula(ulp=(0, 0), cheap=True)
def floor(x):
    """the largest integer not above x

    Its gradient is 0 everywhere.
    """
    return type(x)(np.floor(x))


@floor.gradient
def _(dy, x):
    return type(x)(0)


@formula(ulp=(0, 0), cheap=True)
def ceil(x):
    """the smallest integer not below x

    Its gradient is 0 everywhere.
    """
    return type(x)(np.ceil(x))


@ceil.gradient
def _(dy, x):
    return type(x)(0)


@formula(ulp=(0, 0), cheap=True)
def trunc(x):
    """x without its fraction

    Its gradient is 0 everywhere.
    """
    return type(x)(np.trunc(x))


@trunc.gradient
def _(dy, x):
    return type(x)(0)


@formula(ulp=(0, 0), cheap=True)
def round(x):
    """the integer nearest to x, the even one of two

    Its gradient is 0 everywhere.
    """
    return rint(x)


@round.gradient
def _(dy, x):
    return type(x)(0)


@formula(ulp=(0, 0), cheap=True)
def frac(x):
    """the fraction of x, with its sign"""
    return x - type(x)(np.trunc(x))


@frac.gradient
def _(dy, x):
    return dy


# ------------------------------------------------------------------------------- exponential functions


@formula(ulp=(1.1, 1))
def exp2(x):
    """2^x"""
    return exponential.exp2(x)


@exp2.gradient
def _(dy, y):
    return dy * (y * type(y)(LN2))


@formula(ulp=(1.6, 1.7))
def expm1(x):
    """e^x - 1, accurate near 0"""
    return exponential.expm1(x)


@expm1.gradient
def _(dy, y):
    return dy * (y + type(y)(1))


@formula(ulp=(1.7, 1.5))
def sinh(x):
    """the hyperbolic sine"""
    return exponential.sinh(x)


@sinh.gradient
def _(dy, x):
    return dy * exponential.cosh(x)


@formula(ulp=(1.5, 1.4))
def cosh(x):
    """the hyperbolic cosine"""
    return exponential.cosh(x)


@cosh.gradient
def _(dy, x):
    return dy * exponential.sinh(x)


# ------------------------------------------------------------------------------- logarithms

LN2, LN10 = math.log(2), math.log(10)


@formula(ulp=(1.5, 1.3))
def log1p(x):
    """log(1 + x), accurate near 0: -inf at -1, NaN below"""
    return exponential.log1p(x)


@log1p.gradient
def _(dy, x):
    return dy / (x + type(x)(1))


@formula(ulp=(1.1, 1))
def log2(x):
    """the logarithm to base 2: -inf at 0, NaN below"""
    return exponential.log2(x)


@log2.gradient
def _(dy, x):
    return dy / (x * type(x)(LN2))


@formula(ulp=(1.2, 1))
def log10(x):
    """the logarithm to base 10: -inf at 0, NaN below"""
    return exponential.log10(x)


@log10.gradient
def _(dy, x):
    return dy / (x * type(x)(LN10))


@formula(ulp=(0.51, 2))
def asinh(x):
    """the inverse of sinh; by the C library"""
    return type(x)(math.asinh(np.float64(x)))


@asinh.gradient
def _(dy, x):
    return dy / type(x)(math.sqrt(x * x + type(x)(1)))


@formula(ulp=(0.51, 2))
def acosh(x):
    """the inverse of cosh from 1 on, NaN below; by the C library"""
    return type(x)(math.acosh(np.float64(x)))


@acosh.gradient
def _(dy, x):
    T = type(x)
    return dy / (T(math.sqrt(x - T(1))) * T(math.sqrt(x + T(1))))


@formula(ulp=(0.51, 2))
def atanh(x):
    """the inverse of tanh from -1 to 1, where it is infinite, NaN beyond; by the C library"""
    return type(x)(math.atanh(np.float64(x)))


@atanh.gradient
def _(dy, x):
    T = type(x)
    return dy / ((T(1) - x) * (T(1) + x))


# ------------------------------------------------------------------------------- circular functions


@formula(ulp=(0.51, 0.75))
def sin(x):
    """the sine; beyond 1e5 by the C library"""
    return trigonometric.sin(x)


@sin.gradient
def _(dy, x):
    return dy * trigonometric.cos(x)


@formula(ulp=(0.51, 0.75))
def cos(x):
    """the cosine; beyond 1e5 by the C library"""
    return trigonometric.cos(x)


@cos.gradient
def _(dy, x):
    return -dy * trigonometric.sin(x)


@formula(ulp=(0.51, 0.6))
def tan(x):
    """the tangent; by the C library"""
    return type(x)(math.tan(np.float64(x)))


@tan.gradient
def _(dy, y):
    return dy * (y * y + type(y)(1))


@formula(ulp=(0.51, 0.6))
def asin(x):
    """the inverse of sin, NaN beyond -1 .. 1; by the C library"""
    return type(x)(math.asin(np.float64(x)))


@asin.gradient
def _(dy, x):
    T = type(x)
    return dy / T(math.sqrt((T(1) - x) * (T(1) + x)))


@formula(ulp=(0.51, 0.6))
def acos(x):
    """the inverse of cos, NaN beyond -1 .. 1; by the C library"""
    return type(x)(math.acos(np.float64(x)))


@acos.gradient
def _(dy, x):
    T = type(x)
    return -dy / T(math.sqrt((T(1) - x) * (T(1) + x)))


@formula(ulp=(0.51, 0.6))
def atan(x):
    """the inverse of tan; by the C library"""
    return type(x)(math.atan(np.float64(x)))


@atan.gradient
def _(dy, x):
    return dy / (x * x + type(x)(1))


# ------------------------------------------------------------------------------- others


@formula(ulp=(0.51, 4))
def erfc(x):
    """1 - erf(x), accurate where that is small; by the C library"""
    return type(x)(math.erfc(np.float64(x)))


@erfc.gradient
def _(dy, x):
    return -dy * special.erf_slope(x)


@formula(ulp=(0.6, 2))
def erfinv(x):
    """the inverse of erf, infinite at -1 and 1, NaN beyond; by the C library"""
    return by_library.erfinv(x)


@erfinv.gradient
def _(dy, y):
    return dy / special.erf_slope(y)


@formula(ulp=(0.6, 4))
def lgamma(x):
    """the logarithm of the magnitude of gamma(x); by the C library, with fewer digits near its zeros"""
    return type(x)(math.lgamma(np.float64(x)))


@lgamma.gradient
def _(dy, x):
    return dy * by_library.digamma(x)


@formula(ulp=(2, 100))
def digamma(x):
    """the slope of lgamma; by the C library, with fewer digits near its zeros"""
    return by_library.digamma(x)


@digamma.gradient
def _(dy, x):
    return dy * by_library.trigamma(x)


FORMULAS = {value.name: value for value in list(globals().values()) if isinstance(value, Formula)}


# What is computed in another way where |x| is above a number: (that number, the function, its gradient).
def _far_sin(x):
    return trigonometric.far_sin(x)


def _far_sin_gradient(dy, x):
    return dy * trigonometric.far_cos(x)


def _far_cos(x):
    return trigonometric.far_cos(x)


def _far_cos_gradient(dy, x):
    return -dy * trigonometric.far_sin(x)


FAR = {
    "sin": (trigonometric.FAR, _far_sin, _far_sin_gradient),
    "cos": (trigonometric.FAR, _far_cos, _far_cos_gradient),
}
