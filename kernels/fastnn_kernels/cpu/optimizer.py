"""Steps of optimizers over flat buffers, in place: one pass over memory for each rule.

The arithmetic stands in `@exact` functions: with fastmath, the end of a range, which is not done in vectors, could be
rounded otherwise than its middle, and results would depend on where threads divide the work.

The steps flush denormal numbers always, of parameters and gradients, too: moments that fade away would end as denormal
numbers and slow down every further step, and below the smallest normal number they move nothing.
"""

from math import inf, prod

import numpy as np

from ..formulas import optimizer as formulas
from ..ground.backend import plans
from ..ground.dtypes import F8
from ..ground.jit import exact, kernel
from ..ground.memory import empty
from ..ground.threads import tasks
from .grains import SUMS as GRAIN
from .vector.simd import maximum

BLOCK = 4096  # elements whose powers make one partial sum

regularized = exact(formulas.regularized)


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


def _kernel(name, update):
    states = len(update.states)
    loop = _loop(exact(update.function), states)
    loop.__doc__ = "All (n): g = scale grad + weight_decay param + l1 sign(param); param = keep param; then the rule."
    numbers = 4 + update.function.__code__.co_argcount - 2 - states
    signature = "S[::1], " * (2 + states) + ", ".join(["T"] * numbers)
    writes = " ".join(["param", *"abc"[:states]])
    return kernel(signature, writes=writes, parallel=True, name=f"{name}_step__vector", flush=True)(loop)


kernels = {name: _kernel(name, update) for name, update in formulas.UPDATES.items()}


@plans(*[f"{name}_step" for name in kernels])
def step(problem):
    """Plan a step: run(out, param, grad, *states, *numbers)."""
    param, n = problem.buffers[0], prod(problem.buffers[0].shape)
    kernel, number = kernels[problem.rule][param.dtype], tasks(n, GRAIN)

    def run(out, *arguments):
        kernel(*arguments, n, number)

    return run


@exact
def magnitude(x, power):
    """Return |x|^power in float64."""
    v = abs(np.float64(x))
    if power == 3:
        return v * v * v
    return v if power == 1 else v**power


@kernel("S[::1], f8, f8[::1]", writes="partial", parallel=True)
def clip_grad_norm__blocks(x, power, partial, lo, hi):
    """x(N) -> partial(N / BLOCK): sums of |x|^power over blocks, of which the range counts; in float64, so finite."""
    for block in range(lo, hi):
        a, total = x[block * BLOCK : (block + 1) * BLOCK], 0.0
        if power == 2:
            for i in range(a.size):
                v = np.float64(a[i])
                total += v * v
        else:
            for i in range(a.size):
                total += magnitude(a[i], power)
        partial[block] = total


@kernel("S[::1], f8[::1]", writes="partial", parallel=True)
def clip_grad_norm__largest(x, partial, lo, hi):
    """x(N) -> partial(N / BLOCK): the largest |x| of blocks, of which the range counts; NaN if there is one."""
    for block in range(lo, hi):
        a, largest = x[block * BLOCK : (block + 1) * BLOCK], x.dtype.type(0)
        for i in range(a.size):
            largest = maximum(largest, abs(a[i]))
        partial[block] = largest


@kernel("f8[::1], int, f8[::1]", writes="total")
def clip_grad_norm__total(partial, largest, total):
    """partial(B) -> total(1): the sum in order, or the largest."""
    result = 0.0
    for i in range(partial.size):
        result = maximum(result, partial[i]) if largest else result + partial[i]
    total[0] = result


@plans("clip_grad_norm")
def norm(problem):
    """Plan the sum of |x|^p, or the largest |x| for an infinite p: run(out, grad, norm_type) -> float."""
    dtype, n, power = problem.grad.dtype, prod(problem.grad.shape), problem.norm_type
    blocks, largest = -(-n // BLOCK), power == inf
    kernel = (clip_grad_norm__largest if largest else clip_grad_norm__blocks)[dtype]
    options, number = () if largest else (power,), tasks(blocks, GRAIN // BLOCK)
    total = clip_grad_norm__total[dtype]

    def run(out, grad, norm_type):
        partial, result = empty((blocks,), F8), empty((1,), F8)
        kernel(grad, *options, partial, blocks, number)
        total(partial, largest, result)
        return float(result[0])

    return run


@kernel("S[::1], T", writes="x", parallel=True)
def clip_grad_norm__scale(x, factor, lo, hi):
    """x(N) *= factor."""
    x = x[lo:hi]
    for i in range(x.size):
        x[i] *= factor


@kernel("S[::1], T", writes="x", parallel=True)
def clip_grad_value__clamp(x, limit, lo, hi):
    """x(N) = x within -limit .. limit, NaN for NaN."""
    x = x[lo:hi]
    for i in range(x.size):
        v = limit if x[i] > limit else x[i]
        x[i] = -limit if v < -limit else v


def _in_place(kernel):
    """Return what plans a kernel(x, number) in place."""

    def plan(problem):
        compute, n = kernel[problem.grad.dtype], prod(problem.grad.shape)
        number = tasks(n, GRAIN)
        return lambda out, grad, value: compute(grad, value, n, number)

    return plan


plans("clip_grad_norm_scale")(_in_place(clip_grad_norm__scale))
plans("clip_grad_value")(_in_place(clip_grad_value__clamp))
