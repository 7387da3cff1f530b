"""Losses of single elements: one table, from which their kernels follow.

An entry is the loss of one element as a function of its operands (input x, target t, and where there is one a third)
and of parameters, and its slope with respect to each operand. The kernels apply it to whole arrays: `__blocks` gives
losses, or sums of them over blocks, and at once, if wanted, the gradient of the first operand, `_slope__vector` that of
another. To add a loss, add its entry to ENTRIES.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from ...ground.jit import exact, jitted, kernel
from ..math.elementary import exp, log, log1p_exp, logistic, sign
from ..vector.simd import maximum, stack_bytes, vector_at

BLOCK = 1024  # elements whose losses make one partial sum
BYTES = 8 * BLOCK  # at most, for their losses


@exact
def log1p(x):
    """Return log(1 + x) for x >= -1: what the sum 1 + x has lost is made up for (Goldberg, 1991, theorem 4)."""
    one = type(x)(1)
    u = one + x
    return x if u == one else (log(u) if u == type(x)(0) else log(u) * (x / (u - one)))


@exact
def softplus_parts(x):
    """Return log(1 + e^x) and log(1 + e^-x), neither of which overflows or cancels."""
    zero = type(x)(0)
    rest = log1p_exp(-abs(x))
    return rest + maximum(x, zero), rest + maximum(-x, zero)


@exact
def mse(x, t):
    """Return the square of the difference."""
    return (x - t) * (x - t)


@exact
def mse_slope(x, t):
    """Return its slope in x."""
    return (x - t) + (x - t)


@exact
def smooth_l1(x, t, beta):
    """Return the distance, below beta rounded off to a parabola."""
    half, d = type(x)(0.5), abs(x - t)
    return half * d * d / beta if d < beta else d - half * beta


@exact
def smooth_l1_slope(x, t, beta):
    """Return its slope in x."""
    return (x - t) / beta if abs(x - t) < beta else sign(x - t)


@exact
def bce(x, t):
    """Return -t log(x) - (1 - t) log(1 - x), logarithms no less than -100; NaN unless x and t are in 0 .. 1."""
    T = type(x)
    least, one = T(-100), T(1)
    loss = -t * maximum(log(x), least) - (one - t) * maximum(log1p(-x), least)
    return loss if (x >= T(0)) & (x <= one) & (t >= T(0)) & (t <= one) else T(math.nan)


@exact
def bce_slope(x, t):
    """Return its slope in x, as if x (1 - x) were no less than 1e-12."""
    T = type(x)
    slope = (x - t) / maximum(x * (T(1) - x), T(1e-12))
    return slope if (x >= T(0)) & (x <= T(1)) else T(math.nan)


@exact
def bce_slope_target(x, t):
    """Return its slope in t."""
    least = type(x)(-100)
    return maximum(log1p(-x), least) - maximum(log(x), least)


@exact
def bce_logits(x, t, positive):
    """Return (1 - t) log(1 + e^x) + positive t log(1 + e^-x)."""
    above, below = softplus_parts(x)
    return (type(x)(1) - t) * above + positive * t * below


@exact
def bce_logits_slope(x, t, positive):
    """Return its slope in x."""
    return (type(x)(1) - t) * logistic(x) - positive * t * logistic(-x)


@exact
def bce_logits_slope_target(x, t, positive):
    """Return its slope in t."""
    above, below = softplus_parts(x)
    return positive * below - above


@exact
def kl(x, t):
    """Return t (log(t) - x), for t = 0 its limit."""
    return (t * log(t) if t != type(x)(0) else type(x)(0)) - t * x


@exact
def kl_slope(x, t):
    """Return its slope in x."""
    return -t


@exact
def kl_slope_target(x, t):
    """Return its slope in t."""
    return log(t) + type(x)(1) - x


@exact
def kl_log(x, t):
    """Return e^t (t - x)."""
    return exp(t) * (t - x)


@exact
def kl_log_slope(x, t):
    """Return its slope in x."""
    return -exp(t)


@exact
def kl_log_slope_target(x, t):
    """Return its slope in t."""
    return exp(t) * (t - x + type(x)(1))


@exact
def hinge(x, t, margin):
    """Return max(0, margin - t x)."""
    return maximum(type(x)(0), margin - t * x)


@exact
def hinge_slope(x, t, margin):
    """Return its slope in x."""
    return type(x)(0) if margin - t * x < type(x)(0) else -t


@exact
def hinge_slope_target(x, t, margin):
    """Return its slope in t."""
    return type(x)(0) if margin - t * x < type(x)(0) else -x


@exact
def ranking(x, y, t, margin):
    """Return max(0, margin - t (x - y))."""
    return hinge(x - y, t, margin)


@exact
def ranking_slope(x, y, t, margin):
    """Return its slope in x."""
    return hinge_slope(x - y, t, margin)


@exact
def ranking_slope_target(x, y, t, margin):
    """Return its slope in t."""
    return hinge_slope_target(x - y, t, margin)


@exact
def hinge_embedding(x, t, margin):
    """Return x for t = 1, max(0, margin - x) for t = -1."""
    T = type(x)
    far = maximum(T(0), margin - x) if t == T(-1) else T(math.nan)
    return x if t == T(1) else far


@exact
def hinge_embedding_slope(x, t, margin):
    """Return its slope in x."""
    T = type(x)
    far = T(0) if margin - x < T(0) else T(-1)
    return T(1) if t == T(1) else far


@exact
def soft_margin(x, t):
    """Return log(1 + e^(-t x))."""
    return softplus_parts(-t * x)[0]


@exact
def soft_margin_slope(x, t):
    """Return its slope in x."""
    return -t * logistic(-t * x)


@exact
def soft_margin_slope_target(x, t):
    """Return its slope in t."""
    return -x * logistic(-t * x)


@exact
def poisson(x, t, eps):
    """Return x - t log(x + eps)."""
    return x - t * log(x + eps)


@exact
def poisson_slope(x, t, eps):
    """Return its slope in x."""
    return type(x)(1) - t / (x + eps)


@exact
def poisson_slope_target(x, t, eps):
    """Return its slope in t."""
    return -log(x + eps)


@exact
def poisson_log(x, t):
    """Return e^x - t x."""
    return exp(x) - t * x


@exact
def poisson_log_slope(x, t):
    """Return its slope in x."""
    return exp(x) - t


@exact
def poisson_log_slope_target(x, t):
    """Return its slope in t."""
    return -x


@exact
def gaussian(x, t, var, eps):
    """Return (log(v) + (x - t)^2 / v) / 2 with v = max(var, eps); NaN for var < 0."""
    T = type(x)
    v, d = maximum(var, eps), x - t
    return T(math.nan) if var < T(0) else T(0.5) * (log(v) + d * d / v)


@exact
def gaussian_slope(x, t, var, eps):
    """Return its slope in x."""
    return (x - t) / maximum(var, eps)


@exact
def gaussian_slope_var(x, t, var, eps):
    """Return its slope in v."""
    T = type(x)
    v = maximum(var, eps)
    ratio = (x - t) / v
    return T(0.5) * (T(1) / v - ratio * ratio)


MINUS = "minus that of the first"


class Entry(NamedTuple):
    """A loss of one element: its value, and per operand its slope, MINUS or None where nobody asks for it."""

    value: Callable
    slopes: tuple
    parameters: int = 0  # numbers after the operands


ENTRIES = {
    "mse": Entry(mse, (mse_slope, MINUS)),
    "smooth_l1": Entry(smooth_l1, (smooth_l1_slope, MINUS), 1),
    "bce": Entry(bce, (bce_slope, bce_slope_target)),
    "bce_logits": Entry(bce_logits, (bce_logits_slope, bce_logits_slope_target), 1),
    "bce_logits_weighted": Entry(bce_logits, (bce_logits_slope, bce_logits_slope_target, None)),
    "kl": Entry(kl, (kl_slope, kl_slope_target)),
    "kl_log": Entry(kl_log, (kl_log_slope, kl_log_slope_target)),
    "hinge": Entry(hinge, (hinge_slope, hinge_slope_target), 1),
    "ranking": Entry(ranking, (ranking_slope, MINUS, ranking_slope_target), 1),
    "hinge_embedding": Entry(hinge_embedding, (hinge_embedding_slope, None), 1),
    "soft_margin": Entry(soft_margin, (soft_margin_slope, soft_margin_slope_target)),
    "poisson": Entry(poisson, (poisson_slope, poisson_slope_target), 1),
    "poisson_log": Entry(poisson_log, (poisson_log_slope, poisson_log_slope_target)),
    "gaussian": Entry(gaussian, (gaussian_slope, MINUS, gaussian_slope_var), 1),
}


@jitted
def total(row):
    """Return the sum of a row."""
    made = row.dtype.type(0)
    for i in range(row.size):
        made += row[i]
    return made


def _blocks_kernel(name, entry):
    """Make x(N), t(N), ... -> losses(N), partial(N / BLOCK), their sums, dx(N) = scale slope: those that are not empty.

    Losses or their sums, not both. The range is over blocks.
    """
    value, slope, operands = entry.value, entry.slopes[0], len(entry.slopes)

    def two(x, t, losses, partial, dx, scale, *rest):
        numbers = rest[:-2]
        for block in range(rest[-2], rest[-1]):
            first = block * BLOCK
            a, b = x[first : first + BLOCK], t[first : first + BLOCK]
            if losses.size or partial.size:
                row = losses[first : first + BLOCK] if losses.size else vector_at(x[0], stack_bytes(BYTES), a.size)
                for i in range(a.size):
                    row[i] = value(a[i], b[i], *numbers)
                if partial.size:
                    partial[block] = total(row)
            if dx.size:
                row = dx[first : first + BLOCK]
                for i in range(a.size):
                    row[i] = scale * slope(a[i], b[i], *numbers)

    def three(x, t, w, losses, partial, dx, scale, *rest):
        numbers = rest[:-2]
        for block in range(rest[-2], rest[-1]):
            first = block * BLOCK
            a, b, c = x[first : first + BLOCK], t[first : first + BLOCK], w[first : first + BLOCK]
            if losses.size or partial.size:
                row = losses[first : first + BLOCK] if losses.size else vector_at(x[0], stack_bytes(BYTES), a.size)
                for i in range(a.size):
                    row[i] = value(a[i], b[i], c[i], *numbers)
                if partial.size:
                    partial[block] = total(row)
            if dx.size:
                row = dx[first : first + BLOCK]
                for i in range(a.size):
                    row[i] = scale * slope(a[i], b[i], c[i], *numbers)

    loop, numbers = two if operands == 2 else three, entry.parameters + 1
    return _kernel(loop, f"{name}_loss__blocks", operands + 3, numbers, "losses partial dx", _blocks_kernel.__doc__)


def _slope_kernel(name, operand, slope, operands, parameters):
    """Make x(N), t(N), ... -> out(N) = scale slope."""

    def two(x, t, out, scale, *rest):
        numbers, part = rest[:-2], slice(rest[-2], rest[-1])
        x, t, out = x[part], t[part], out[part]
        for i in range(x.size):
            out[i] = scale * slope(x[i], t[i], *numbers)

    def three(x, t, w, out, scale, *rest):
        numbers, part = rest[:-2], slice(rest[-2], rest[-1])
        x, t, w, out = x[part], t[part], w[part], out[part]
        for i in range(x.size):
            out[i] = scale * slope(x[i], t[i], w[i], *numbers)

    loop, name = two if operands == 2 else three, f"{name}_loss_slope_{operand}__vector"
    return _kernel(loop, name, operands + 1, parameters + 1, "out", _slope_kernel.__doc__)


def _kernel(loop, name, arrays, numbers, writes, doc):
    loop.__doc__ = doc
    return kernel(", ".join(["T[::1]"] * arrays + ["T"] * numbers), writes=writes, parallel=True, name=name)(loop)


blocks = {name: _blocks_kernel(name, entry) for name, entry in ENTRIES.items()}
slopes = {  # of the other operands
    name: [
        slope if slope in (None, MINUS) else _slope_kernel(name, i, slope, len(entry.slopes), entry.parameters)
        for i, slope in enumerate(entry.slopes[1:], 1)
    ]
    for name, entry in ENTRIES.items()
}
