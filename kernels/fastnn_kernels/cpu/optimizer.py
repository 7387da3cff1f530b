"""Update rules of optimizers over flat buffers, in place: one table, from which their kernels follow.

A rule is a function of one element: its parameter, its gradient, the rule's states and numbers in, the new parameter
and states out. The kernel is one pass over memory. To add an optimizer, add its function to UPDATES.

The arithmetic stands in `@exact` functions: with fastmath, the end of a range, which is not done in vectors, could be
rounded otherwise than its middle, and results would depend on where threads divide the work.

The steps flush denormal numbers always, of parameters and gradients, too: moments that fade away would end as denormal
numbers and slow down every further step, and below the smallest normal number they move nothing.
"""

import math

import numpy as np

from ..ground.jit import exact, kernel
from .math.elementary import sign
from .vector.simd import fma, maximum

BLOCK = 4096  # elements whose squares make one partial sum


@exact
def regularized(p, g, weight_decay, l1):
    """Return g + weight_decay p + l1 sign(p)."""
    return fma(weight_decay, p, g) + l1 * sign(p)


@exact
def blend(old, weight, fresh, new):
    """Return weight old + fresh new."""
    return fma(weight, old, fresh * new)


@exact
def descend(p, step, direction):
    """Return p - step direction."""
    return fma(-step, direction, p)


@exact
def sgd(p, g, lr):
    """Go downhill."""
    return (descend(p, lr, g),)


@exact
def sgd_momentum(p, g, velocity, momentum, fresh, lr_velocity, lr_grad):
    """Go downhill with a velocity; lr_grad is what Nesterov's form adds."""
    velocity = blend(velocity, momentum, fresh, g)
    return descend(descend(p, lr_velocity, velocity), lr_grad, g), velocity


@exact
def adam(p, g, mean, square, beta1, fresh1, beta2, fresh2, step, eps):
    """Take steps of the size of mean / sqrt(square)."""
    mean, square = blend(mean, beta1, fresh1, g), blend(square, beta2, fresh2, g * g)
    return descend(p, step, mean / (math.sqrt(square) + eps)), mean, square


@exact
def amsgrad(p, g, mean, square, largest, beta1, fresh1, beta2, fresh2, step, eps):
    """Do as Adam with the largest square there ever was."""
    mean, square = blend(mean, beta1, fresh1, g), blend(square, beta2, fresh2, g * g)
    largest = maximum(largest, square)
    return descend(p, step, mean / (math.sqrt(largest) + eps)), mean, square, largest


@exact
def nadam(p, g, mean, square, beta1, fresh1, beta2, fresh2, step_mean, step_grad, eps):
    """Do as Adam with the momentum of the next step."""
    mean, square = blend(mean, beta1, fresh1, g), blend(square, beta2, fresh2, g * g)
    return descend(p, type(p)(1), blend(mean, step_mean, step_grad, g) / (math.sqrt(square) + eps)), mean, square


@exact
def radam(p, g, mean, square, beta1, fresh1, beta2, fresh2, plain, adaptive, eps):
    """Do as Adam, or take plain momentum while squares are too few to be trusted: one of the two steps is 0."""
    mean, square = blend(mean, beta1, fresh1, g), blend(square, beta2, fresh2, g * g)
    return descend(p, plain + adaptive / (math.sqrt(square) + eps), mean), mean, square


@exact
def adamax(p, g, mean, largest, beta1, fresh1, beta2, step, eps):
    """Take steps of the size of mean / the largest gradient, which is forgotten slowly."""
    mean, largest = blend(mean, beta1, fresh1, g), maximum(beta2 * largest, abs(g) + eps)
    return descend(p, step, mean / largest), mean, largest


@exact
def rmsprop(p, g, square, alpha, fresh, lr, eps):
    """Divide by the root of the mean square."""
    square = blend(square, alpha, fresh, g * g)
    return descend(p, lr, g / (math.sqrt(square) + eps)), square


@exact
def rmsprop_momentum(p, g, square, velocity, alpha, fresh, lr, eps, momentum):
    """Let RMSprop's step become a velocity."""
    square = blend(square, alpha, fresh, g * g)
    velocity = fma(momentum, velocity, g / (math.sqrt(square) + eps))
    return descend(p, lr, velocity), square, velocity


@exact
def rmsprop_centered(p, g, square, mean, alpha, fresh, lr, eps):
    """Divide by the standard deviation."""
    square, mean = blend(square, alpha, fresh, g * g), blend(mean, alpha, fresh, g)
    return descend(p, lr, g / (math.sqrt(fma(-mean, mean, square)) + eps)), square, mean


@exact
def rmsprop_centered_momentum(p, g, square, mean, velocity, alpha, fresh, lr, eps, momentum):
    """Do both."""
    square, mean = blend(square, alpha, fresh, g * g), blend(mean, alpha, fresh, g)
    velocity = fma(momentum, velocity, g / (math.sqrt(fma(-mean, mean, square)) + eps))
    return descend(p, lr, velocity), square, mean, velocity


@exact
def adagrad(p, g, total, lr, eps):
    """Divide by the root of the sum of all squares."""
    total = fma(g, g, total)
    return descend(p, lr, g / (math.sqrt(total) + eps)), total


@exact
def adadelta(p, g, square, travelled, rho, fresh, lr, eps):
    """Divide by the root of the mean square, times that of past steps: a step in the units of p."""
    square = blend(square, rho, fresh, g * g)
    delta = math.sqrt(travelled + eps) / math.sqrt(square + eps) * g
    return descend(p, lr, delta), square, blend(travelled, rho, fresh, delta * delta)


@exact
def lion(p, g, mean, beta1, fresh1, beta2, fresh2, lr):
    """Take steps of one size, in the direction of a sign."""
    return descend(p, lr, sign(blend(mean, beta1, fresh1, g))), blend(mean, beta2, fresh2, g)


@exact
def average(p, g, decay, fresh):
    """Make p a moving average of g, which is no gradient here."""
    return (blend(p, decay, fresh, g),)


# Rule by name: its function, and how many states this takes after the parameter and the gradient.
UPDATES = {
    "sgd": (sgd, 0),
    "sgd_momentum": (sgd_momentum, 1),
    "adam": (adam, 2),
    "amsgrad": (amsgrad, 3),
    "nadam": (nadam, 2),
    "radam": (radam, 2),
    "adamax": (adamax, 2),
    "rmsprop": (rmsprop, 1),
    "rmsprop_momentum": (rmsprop_momentum, 2),
    "rmsprop_centered": (rmsprop_centered, 2),
    "rmsprop_centered_momentum": (rmsprop_centered_momentum, 3),
    "adagrad": (adagrad, 1),
    "adadelta": (adadelta, 2),
    "lion": (lion, 1),
    "average": (average, 0),
}


def _loop(update, states):
    """Return the loop over a range: param(n), grad(n), states(n), then four numbers common to all, then the rule's."""

    def without_state(param, grad, scale, weight_decay, l1, keep, *rest):
        numbers, part = rest[:-2], slice(rest[-2], rest[-1])
        param, grad = param[part], grad[part]
        for i in range(param.size):
            p = keep * param[i]
            (param[i],) = update(p, regularized(param[i], scale * grad[i], weight_decay, l1), *numbers)

    def with_one(param, grad, a, scale, weight_decay, l1, keep, *rest):
        numbers, part = rest[:-2], slice(rest[-2], rest[-1])
        param, grad, a = param[part], grad[part], a[part]
        for i in range(param.size):
            p = keep * param[i]
            param[i], a[i] = update(p, regularized(param[i], scale * grad[i], weight_decay, l1), a[i], *numbers)

    def with_two(param, grad, a, b, scale, weight_decay, l1, keep, *rest):
        numbers, part = rest[:-2], slice(rest[-2], rest[-1])
        param, grad, a, b = param[part], grad[part], a[part], b[part]
        for i in range(param.size):
            p, g = keep * param[i], regularized(param[i], scale * grad[i], weight_decay, l1)
            param[i], a[i], b[i] = update(p, g, a[i], b[i], *numbers)

    def with_three(param, grad, a, b, c, scale, weight_decay, l1, keep, *rest):
        numbers, part = rest[:-2], slice(rest[-2], rest[-1])
        param, grad, a, b, c = param[part], grad[part], a[part], b[part], c[part]
        for i in range(param.size):
            p, g = keep * param[i], regularized(param[i], scale * grad[i], weight_decay, l1)
            param[i], a[i], b[i], c[i] = update(p, g, a[i], b[i], c[i], *numbers)

    return (without_state, with_one, with_two, with_three)[states]


def _kernel(name, update, states):
    loop = _loop(update, states)
    loop.__doc__ = "All (n): g = scale grad + weight_decay param + l1 sign(param); param = keep param; then the rule."
    numbers = 4 + update.function.__code__.co_argcount - 2 - states
    signature = "T[::1], " * (2 + states) + ", ".join(["T"] * numbers)
    writes = " ".join(["param", *"abc"[:states]])
    return kernel(signature, writes=writes, parallel=True, name=f"{name}_step__vector", flush=True)(loop)


kernels = {name: _kernel(name, *entry) for name, entry in UPDATES.items()}


@kernel("T[::1], f8[::1]", writes="partial", parallel=True)
def sum_of_squares__blocks(x, partial, lo, hi):
    """x(N) -> partial(N / BLOCK): sums of squares over blocks, of which the range counts; in float64, so finite."""
    for block in range(lo, hi):
        a, total = x[block * BLOCK : (block + 1) * BLOCK], 0.0
        for i in range(a.size):
            v = np.float64(a[i])
            total += v * v
        partial[block] = total


@kernel("T[::1], T", writes="x", parallel=True)
def scale__in_place(x, factor, lo, hi):
    """x(N) *= factor."""
    x = x[lo:hi]
    for i in range(x.size):
        x[i] *= factor


@kernel("T[::1], T", writes="x", parallel=True)
def clamp__in_place(x, limit, lo, hi):
    """x(N) = x within -limit .. limit, NaN for NaN."""
    x = x[lo:hi]
    for i in range(x.size):
        v = limit if x[i] > limit else x[i]
        x[i] = -limit if v < -limit else v
