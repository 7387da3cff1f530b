"""Functions of several numbers, broadcast against each other: arithmetic, comparisons, and their gradients.

The names of arguments are those of the public functions. NaN comes out as NaN where a docstring does not say otherwise.
"""

import math

import numpy as np

from ..cpu.math import elementary
from ..cpu.math.power import power
from ..cpu.vector.simd import copysign as with_sign


def add(input, other):
    """input + other"""
    return input + other


def sub(input, other):
    """input - other"""
    return input - other


def mul(input, other):
    """input times other"""
    return input * other


def div(input, other):
    """input / other: infinity or NaN where other is 0"""
    return input / other


def pow(input, exponent):
    """input to the power of exponent: at most 1 ulp in float32, 2 in float64"""
    return power(input, exponent)


def pow_backward(dy, input, exponent):
    """dy times the slope of pow in its input, 0 where exponent is 0"""
    T = type(dy)
    return T(0) if exponent == T(0) else dy * (exponent * power(input, exponent - T(1)))


def pow_backward_exponent(dy, input, exponent, y):
    """dy times the slope of y = pow(input, exponent) in its exponent, 0 where input is 0 and exponent at least 0"""
    T = type(dy)
    return T(0) if input == T(0) and exponent >= T(0) else dy * (y * elementary.log(input))


def maximum(input, other):
    """the larger of two numbers, NaN if either is"""
    return input if input >= other or input != input else other


def maximum_backward(dy, input, other):
    """dy where input is larger than other, half of it where they are equal, 0 elsewhere"""
    T = type(dy)
    return dy * T(0.5) if input == other else (dy if input > other else T(0))


def minimum(input, other):
    """the smaller of two numbers, NaN if either is"""
    return input if input <= other or input != input else other


def minimum_backward(dy, input, other):
    """dy where input is smaller than other, half of it where they are equal, 0 elsewhere"""
    T = type(dy)
    return dy * T(0.5) if input == other else (dy if input < other else T(0))


def clamp(input, min, max):
    """input, limited to min .. max; max where min is above it, NaN if any is"""
    y = input if input >= min or input != input else min
    return y if y <= max or y != y else max


def clamp_backward(dy, input, min, max):
    """dy where input is not beyond min or max, else 0"""
    return type(dy)(0) if input < min or input > max else dy


def clamp_backward_min(dy, input, min, max):
    """dy where min is the result of clamp, else 0"""
    return dy if input < min and not min > max else type(dy)(0)


def clamp_backward_max(dy, input, min, max):
    """dy where max is the result of clamp, else 0"""
    return dy if input > max or min > max else type(dy)(0)


def where(condition, input, other):
    """input where condition holds, else other"""
    return input if condition else other


def fmax(input, other):
    """the larger of two numbers, the other one if one is NaN"""
    return input if input >= other or other != other else other


def fmax_backward(dy, input, other):
    """dy where input is the result of fmax, else 0"""
    return dy if input >= other or other != other else type(dy)(0)


def fmax_backward_other(dy, input, other):
    """dy where other is the result of fmax, else 0"""
    return type(dy)(0) if input >= other or other != other else dy


def fmin(input, other):
    """the smaller of two numbers, the other one if one is NaN"""
    return input if input <= other or other != other else other


def fmin_backward(dy, input, other):
    """dy where input is the result of fmin, else 0"""
    return dy if input <= other or other != other else type(dy)(0)


def fmin_backward_other(dy, input, other):
    """dy where other is the result of fmin, else 0"""
    return type(dy)(0) if input <= other or other != other else dy


def copysign(input, other):
    """the magnitude of input with the sign of other"""
    return with_sign(input, other)


def copysign_backward(dy, input, other):
    """dy times the slope of copysign in its input, 0 where that is 0"""
    T = type(dy)
    return T(0) if input == T(0) else (dy if with_sign(input, other) == input else -dy)


def fmod(input, other):
    """the rest of input / other, with the sign of input; NaN where other is 0"""
    return type(input)(np.fmod(input, other))


def remainder(input, other):
    """the rest of input / other, with the sign of other; NaN where other is 0"""
    T = type(input)
    rest = T(np.fmod(input, other))
    return rest + other if rest != T(0) and (rest < T(0)) != (other < T(0)) else rest


def floor_divide(input, other):
    """input / other, rounded down; infinity or NaN where other is 0"""
    T = type(input)
    rest = T(np.fmod(input, other))
    quotient = (input - rest) / other
    quotient = quotient - T(1) if rest != T(0) and (rest < T(0)) != (other < T(0)) else quotient
    down = T(np.floor(quotient))
    down = down + T(1) if quotient - down > T(0.5) else down
    return input / other if other == T(0) else down


def atan2(input, other):
    """the angle of the point (other, input), from -pi to pi; by the C library"""
    return type(input)(math.atan2(np.float64(input), np.float64(other)))


def atan2_backward(dy, input, other):
    """dy times the slope of atan2 in its input, 0 at the origin"""
    T, square = type(dy), input * input + other * other
    return T(0) if square == T(0) else dy * (other / square)


def atan2_backward_other(dy, input, other):
    """dy times the slope of atan2 in its second argument, 0 at the origin"""
    T, square = type(dy), input * input + other * other
    return T(0) if square == T(0) else dy * (-input / square)


def hypot(input, other):
    """the square root of input^2 + other^2, without overflow on the way; by the C library"""
    return type(input)(math.hypot(input, other))


LN2 = math.log(2)


def logaddexp(input, other):
    """log(e^input + e^other)"""
    T = type(input)
    larger = input if input >= other or input != input else other
    return input + T(LN2) if input == other else larger + elementary.log1p_exp(-abs(input - other))


def logaddexp_backward(dy, input, other):
    """dy times the slope of logaddexp in its input"""
    T = type(dy)
    return dy * (T(0.5) if input == other else elementary.logistic(input - other))


def xlogy(input, other):
    """input times log(other), 0 where input is 0 and other not NaN"""
    T = type(input)
    return T(0) if input == T(0) and other == other else input * elementary.log(other)


def xlogy_backward(dy, input, other):
    """dy times log(other), 0 where input is 0 and other at most 0"""
    T = type(dy)
    return T(0) if input == T(0) and other <= T(0) else dy * elementary.log(other)


def lerp(input, end, weight):
    """input + weight (end - input), from the nearer of the two"""
    T, distance = type(input), end - input
    return input + weight * distance if weight < T(0.5) else end - distance * (T(1) - weight)


def addcmul(input, tensor1, tensor2, value):
    """input + value times tensor1 times tensor2"""
    return input + value * tensor1 * tensor2


def addcdiv(input, tensor1, tensor2, value):
    """input + value times tensor1 / tensor2"""
    return input + value * tensor1 / tensor2


FORMULAS = {
    function.__name__: function
    for function in (
        *(add, sub, mul, div, pow, pow_backward, pow_backward_exponent),
        *(maximum, maximum_backward, minimum, minimum_backward),
        *(clamp, clamp_backward, clamp_backward_min, clamp_backward_max, where),
        *(fmax, fmax_backward, fmax_backward_other, fmin, fmin_backward, fmin_backward_other),
        *(copysign, copysign_backward, fmod, remainder, floor_divide),
        *(atan2, atan2_backward, atan2_backward_other, hypot),
        *(logaddexp, logaddexp_backward, xlogy, xlogy_backward, lerp, addcmul, addcdiv),
    )
}


# --------------------------------------------------------------------------- parts of the gradients of reductions


def factor(x):
    """x, and 1 where it is 0"""
    return type(x)(1) if x == type(x)(0) else x


def is_zero(x):
    """1 where x is 0, else 0"""
    return type(x)(1) if x == type(x)(0) else type(x)(0)


def product_share(dy, x, others, zeros):
    """dy times the product of the other factors; others: the product of all that are not 0; zeros: how many are 0"""
    T = type(dy)
    alone = zeros == T(0) or (zeros == T(1) and x == T(0))
    return dy * (others / (T(1) if x == T(0) else x)) if alone else T(0)


def same(x, y):
    """1 where x and y are equal or both NaN, else 0"""
    return type(x)(1) if x == y or (x != x and y != y) else type(x)(0)


def extremum_share(dy, x, y, count):
    """dy / count where x and y are equal or both NaN, else 0"""
    return dy / count if x == y or (x != x and y != y) else type(x)(0)


PARTS = {function.__name__: function for function in (factor, is_zero, product_share, same, extremum_share)}
