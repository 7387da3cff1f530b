"""Update rules of optimizers over flat buffers, in place: one pass over memory per step."""

import math

from .._jit import kernel


@kernel("T[::1], T[::1], T, T, T", writes="param", parallel=True)
def sgd_step__plain(param, grad, lr, weight_decay, l1, lo, hi):
    """param(n), grad(n): param -= lr g, g = grad + weight_decay param + l1 sign(param)."""
    zero = type(lr)(0)
    param, grad = param[lo:hi], grad[lo:hi]
    for i in range(param.size):
        p = param[i]
        sign = l1 if p > zero else (-l1 if p < zero else zero)
        param[i] = p - lr * (grad[i] + weight_decay * p + sign)


@kernel("T[::1], T[::1], T[::1], T, T, T, T, T, T", writes="param velocity", parallel=True)
def sgd_step__momentum(param, grad, velocity, momentum, fresh, lr_velocity, lr_grad, weight_decay, l1, lo, hi):
    """All (n): velocity = momentum velocity + fresh g; param -= lr_velocity velocity + lr_grad g, g as above."""
    zero = type(momentum)(0)
    param, grad, velocity = param[lo:hi], grad[lo:hi], velocity[lo:hi]
    for i in range(param.size):
        p = param[i]
        sign = l1 if p > zero else (-l1 if p < zero else zero)
        g = grad[i] + weight_decay * p + sign
        v = momentum * velocity[i] + fresh * g
        velocity[i] = v
        param[i] = p - (lr_velocity * v + lr_grad * g)


@kernel("T[::1], T[::1], T[::1], T[::1], T, T, T, T, T, T, T, T", writes="param mean square", parallel=True)
def adam_step__vector(param, grad, mean, square, beta1, fresh1, beta2, fresh2, step, eps, weight_decay, l1, lo, hi):
    """All (n): mean and square take in g and g^2, then param -= step mean / (sqrt(square) + eps)."""
    zero = type(step)(0)
    param, grad, mean, square = param[lo:hi], grad[lo:hi], mean[lo:hi], square[lo:hi]
    for i in range(param.size):
        p = param[i]
        sign = l1 if p > zero else (-l1 if p < zero else zero)
        g = grad[i] + weight_decay * p + sign
        m = beta1 * mean[i] + fresh1 * g
        v = beta2 * square[i] + fresh2 * (g * g)
        mean[i] = m
        square[i] = v
        param[i] = p - step * m / (math.sqrt(v) + eps)
