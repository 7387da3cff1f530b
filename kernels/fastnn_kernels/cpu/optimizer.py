"""Update rules of optimizers over flat buffers, in place: one pass over memory per step.

The arithmetic stands in `@exact` functions: with fastmath, the end of a range, which is not done in vectors, could be
rounded otherwise than its middle, and results would depend on where threads divide the work.
"""

import math

from .._jit import exact, kernel
from .._simd import fma


@exact
def regularized(p, g, weight_decay, l1):
    """Return g + weight_decay p + l1 sign(p)."""
    zero = type(p)(0)
    return fma(weight_decay, p, g) + (l1 if p > zero else (-l1 if p < zero else zero))


@exact
def blend(old, weight, fresh, new):
    """Return weight old + fresh new."""
    return fma(weight, old, fresh * new)


@exact
def descend(p, step, direction):
    """Return p - step direction."""
    return fma(-step, direction, p)


@exact
def adam_direction(mean, square, eps):
    """Return mean / (sqrt(square) + eps)."""
    return mean / (math.sqrt(square) + eps)


@kernel("T[::1], T[::1], T, T, T", writes="param", parallel=True)
def sgd_step__plain(param, grad, lr, weight_decay, l1, lo, hi):
    """param(n), grad(n): param -= lr g, g = grad + weight_decay param + l1 sign(param)."""
    param, grad = param[lo:hi], grad[lo:hi]
    for i in range(param.size):
        param[i] = descend(param[i], lr, regularized(param[i], grad[i], weight_decay, l1))


@kernel("T[::1], T[::1], T[::1], T, T, T, T, T, T", writes="param velocity", parallel=True)
def sgd_step__momentum(param, grad, velocity, momentum, fresh, lr_velocity, lr_grad, weight_decay, l1, lo, hi):
    """All (n): velocity = momentum velocity + fresh g; param -= lr_velocity velocity + lr_grad g, g as above."""
    param, grad, velocity = param[lo:hi], grad[lo:hi], velocity[lo:hi]
    for i in range(param.size):
        g = regularized(param[i], grad[i], weight_decay, l1)
        v = blend(velocity[i], momentum, fresh, g)
        velocity[i] = v
        param[i] = descend(descend(param[i], lr_velocity, v), lr_grad, g)


@kernel("T[::1], T[::1], T[::1], T[::1], T, T, T, T, T, T, T, T", writes="param mean square", parallel=True)
def adam_step__vector(param, grad, mean, square, beta1, fresh1, beta2, fresh2, step, eps, weight_decay, l1, lo, hi):
    """All (n): mean and square take in g and g^2, then param -= step mean / (sqrt(square) + eps)."""
    param, grad, mean, square = param[lo:hi], grad[lo:hi], mean[lo:hi], square[lo:hi]
    for i in range(param.size):
        g = regularized(param[i], grad[i], weight_decay, l1)
        m = blend(mean[i], beta1, fresh1, g)
        v = blend(square[i], beta2, fresh2, g * g)
        mean[i] = m
        square[i] = v
        param[i] = descend(param[i], step, adam_direction(m, v, eps))
