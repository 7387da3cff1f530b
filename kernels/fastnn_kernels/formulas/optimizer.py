"""Update rules of optimizers, for one element.

A rule is a function of a parameter, its gradient, the rule's states and numbers; it returns the new parameter and
states. To add an optimizer, add its function here and its numbers to `fastnn_kernels.optimizer`.
"""

from collections.abc import Callable
from math import sqrt
from typing import NamedTuple

from ..cpu.math import elementary
from ..cpu.vector.simd import fma, maximum, minimum


class Update(NamedTuple):
    """The function of a rule and its states, in PyTorch's names."""

    function: Callable
    states: tuple[str, ...]


UPDATES: dict[str, Update] = {}


def update(*states: str) -> Callable[[Callable], Callable]:
    """Add a rule with these states to UPDATES."""

    def add(function):
        UPDATES[function.__name__] = Update(function, states)
        return function

    return add


def regularized(p, g, weight_decay, l1):
    """Return g + weight_decay p + l1 sign(p)."""
    return fma(weight_decay, p, g) + l1 * elementary.sign(p)


@update()
def sgd(p, g, lr):
    """Go downhill."""
    return (fma(-lr, g, p),)


@update("momentum_buffer")
def sgd_momentum(p, g, velocity, momentum, fresh, lr_velocity, lr_grad):
    """Go downhill with a velocity; lr_grad is what Nesterov's form adds."""
    velocity = fma(momentum, velocity, fresh * g)
    return fma(-lr_grad, g, fma(-lr_velocity, velocity, p)), velocity


@update("exp_avg", "exp_avg_sq")
def adam(p, g, mean, square, beta1, fresh1, beta2, fresh2, step, eps):
    """Take steps of the size of mean / sqrt(square)."""
    mean, square = fma(beta1, mean, fresh1 * g), fma(beta2, square, fresh2 * (g * g))
    return fma(-step, mean / (sqrt(square) + eps), p), mean, square


@update("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
def amsgrad(p, g, mean, square, largest, beta1, fresh1, beta2, fresh2, step, eps):
    """Do as Adam with the largest square there ever was."""
    mean, square = fma(beta1, mean, fresh1 * g), fma(beta2, square, fresh2 * (g * g))
    largest = maximum(largest, square)
    return fma(-step, mean / (sqrt(largest) + eps), p), mean, square, largest


@update("exp_avg", "exp_avg_sq")
def nadam(p, g, mean, square, beta1, fresh1, beta2, fresh2, step_mean, step_grad, eps):
    """Do as Adam with the momentum of the next step."""
    mean, square = fma(beta1, mean, fresh1 * g), fma(beta2, square, fresh2 * (g * g))
    return p - fma(step_mean, mean, step_grad * g) / (sqrt(square) + eps), mean, square


@update("exp_avg", "exp_avg_sq")
def radam(p, g, mean, square, beta1, fresh1, beta2, fresh2, plain, adaptive, eps):
    """Do as Adam, or take plain momentum while squares are too few to be trusted: one of the two steps is 0."""
    mean, square = fma(beta1, mean, fresh1 * g), fma(beta2, square, fresh2 * (g * g))
    return fma(-(plain + adaptive / (sqrt(square) + eps)), mean, p), mean, square


@update("exp_avg", "exp_inf")
def adamax(p, g, mean, largest, beta1, fresh1, beta2, step, eps):
    """Take steps of the size of mean / the largest gradient, which is forgotten slowly."""
    mean, largest = fma(beta1, mean, fresh1 * g), maximum(beta2 * largest, abs(g) + eps)
    return fma(-step, mean / largest, p), mean, largest


@update("square_avg")
def rmsprop(p, g, square, alpha, fresh, lr, eps):
    """Divide by the root of the mean square."""
    square = fma(alpha, square, fresh * (g * g))
    return fma(-lr, g / (sqrt(square) + eps), p), square


@update("square_avg", "momentum_buffer")
def rmsprop_momentum(p, g, square, velocity, alpha, fresh, lr, eps, momentum):
    """Let RMSprop's step become a velocity."""
    square = fma(alpha, square, fresh * (g * g))
    velocity = fma(momentum, velocity, g / (sqrt(square) + eps))
    return fma(-lr, velocity, p), square, velocity


@update("square_avg", "grad_avg")
def rmsprop_centered(p, g, square, mean, alpha, fresh, lr, eps):
    """Divide by the standard deviation."""
    square, mean = fma(alpha, square, fresh * (g * g)), fma(alpha, mean, fresh * g)
    return fma(-lr, g / (sqrt(fma(-mean, mean, square)) + eps), p), square, mean


@update("square_avg", "grad_avg", "momentum_buffer")
def rmsprop_centered_momentum(p, g, square, mean, velocity, alpha, fresh, lr, eps, momentum):
    """Do both."""
    square, mean = fma(alpha, square, fresh * (g * g)), fma(alpha, mean, fresh * g)
    velocity = fma(momentum, velocity, g / (sqrt(fma(-mean, mean, square)) + eps))
    return fma(-lr, velocity, p), square, mean, velocity


@update("sum")
def adagrad(p, g, total, lr, eps):
    """Divide by the root of the sum of all squares."""
    total = fma(g, g, total)
    return fma(-lr, g / (sqrt(total) + eps), p), total


@update("square_avg", "acc_delta")
def adadelta(p, g, square, travelled, rho, fresh, lr, eps):
    """Divide by the root of the mean square, times that of past steps: a step in the units of p."""
    square = fma(rho, square, fresh * (g * g))
    delta = sqrt(travelled + eps) / sqrt(square + eps) * g
    return fma(-lr, delta, p), square, fma(rho, travelled, fresh * (delta * delta))


@update("exp_avg")
def lion(p, g, mean, beta1, fresh1, beta2, fresh2, lr):
    """Take steps of one size, in the direction of a sign."""
    return fma(-lr, elementary.sign(fma(beta1, mean, fresh1 * g)), p), fma(beta2, mean, fresh2 * g)


@update("prev", "step_size")
def rprop(p, g, before, size, kept, fresh, more, less, smallest, largest):
    """Take steps whose sizes grow by `more` while the sign stays; where it changed, they shrink by `less`, g is 0."""
    same = elementary.sign(before) * elementary.sign(g)
    stays, turned = maximum(same, same - same), maximum(-same, same - same)
    size = fma(kept, size, fresh)
    size = minimum(maximum(fma(size, fma(stays, more, turned * less), size), smallest), largest)
    g = g - turned * g
    return fma(-size, elementary.sign(g), p), g, size


@update("ax")
def asgd(p, g, mean, shrunk, eta, mu, rest):
    """Go downhill, and let the mean of the places follow."""
    p = fma(-eta, g, shrunk * p)
    return p, fma(mu, p, rest * mean)


@update()
def average(p, g, decay, fresh):
    """Make p a moving average of g, which is no gradient here."""
    return (fma(decay, p, fresh * g),)
