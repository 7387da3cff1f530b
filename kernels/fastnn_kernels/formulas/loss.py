"""Losses of single elements: the value of each, and its slope in every operand.

Formulas are ordinary functions of numbers: the operands (input x, target t, a third one), then parameters. What they
call (`elementary.exp`, `maximum`, each other) a back end may give by name, see `formula.rebound`. A loss that does not
accept an operand is NaN. To add a loss, add its entry to LOSSES.
"""

import math
from collections.abc import Callable
from types import FunctionType
from typing import NamedTuple

from ..cpu.math import elementary
from ..cpu.vector.simd import maximum
from .formula import rebound


def log1p(x):
    """Return log(1 + x) for x >= -1, corrected for what the sum 1 + x has lost (Goldberg, 1991, theorem 4)."""
    one = type(x)(1)
    u = one + x
    return x if u == one else (elementary.log(u) if u == type(x)(0) else elementary.log(u) * (x / (u - one)))


def softplus_parts(x):
    """Return log(1 + e^x) and log(1 + e^-x), neither of which overflows or cancels."""
    zero = type(x)(0)
    rest = elementary.log1p_exp(-abs(x))
    return rest + maximum(x, zero), rest + maximum(-x, zero)


def mse(x, t):
    """Return the square of the difference."""
    return (x - t) * (x - t)


def mse_slope(x, t):
    """Return its slope in x."""
    return (x - t) + (x - t)


def smooth_l1(x, t, beta):
    """Return the distance, below beta rounded off to a parabola."""
    half, d = type(x)(0.5), abs(x - t)
    return half * d * d / beta if d < beta else d - half * beta


def smooth_l1_slope(x, t, beta):
    """Return its slope in x."""
    return (x - t) / beta if abs(x - t) < beta else elementary.sign(x - t)


def bce(x, t):
    """Return -t log(x) - (1 - t) log(1 - x), logarithms no less than -100; NaN unless x and t are in 0 .. 1."""
    T = type(x)
    least, one = T(-100), T(1)
    loss = -t * maximum(elementary.log(x), least) - (one - t) * maximum(log1p(-x), least)
    return loss if (x >= T(0)) & (x <= one) & (t >= T(0)) & (t <= one) else T(math.nan)


def bce_slope(x, t):
    """Return its slope in x, as if x (1 - x) were no less than 1e-12."""
    T = type(x)
    slope = (x - t) / maximum(x * (T(1) - x), T(1e-12))
    return slope if (x >= T(0)) & (x <= T(1)) else T(math.nan)


def bce_slope_target(x, t):
    """Return its slope in t."""
    least = type(x)(-100)
    return maximum(log1p(-x), least) - maximum(elementary.log(x), least)


def bce_logits(x, t, positive):
    """Return (1 - t) log(1 + e^x) + positive t log(1 + e^-x)."""
    above, below = softplus_parts(x)
    return (type(x)(1) - t) * above + positive * t * below


def bce_logits_slope(x, t, positive):
    """Return its slope in x."""
    return (type(x)(1) - t) * elementary.logistic(x) - positive * t * elementary.logistic(-x)


def bce_logits_slope_target(x, t, positive):
    """Return its slope in t."""
    above, below = softplus_parts(x)
    return positive * below - above


def kl(x, t):
    """Return t (log(t) - x), for t = 0 its limit."""
    return (t * elementary.log(t) if t != type(x)(0) else type(x)(0)) - t * x


def kl_slope(x, t):
    """Return its slope in x."""
    return -t


def kl_slope_target(x, t):
    """Return its slope in t."""
    return elementary.log(t) + type(x)(1) - x


def kl_log(x, t):
    """Return e^t (t - x)."""
    return elementary.exp(t) * (t - x)


def kl_log_slope(x, t):
    """Return its slope in x."""
    return -elementary.exp(t)


def kl_log_slope_target(x, t):
    """Return its slope in t."""
    return elementary.exp(t) * (t - x + type(x)(1))


def hinge(x, t, margin):
    """Return max(0, margin - t x)."""
    return maximum(type(x)(0), margin - t * x)


def hinge_slope(x, t, margin):
    """Return its slope in x."""
    return type(x)(0) if margin - t * x < type(x)(0) else -t


def hinge_slope_target(x, t, margin):
    """Return its slope in t."""
    return type(x)(0) if margin - t * x < type(x)(0) else -x


def ranking(x, y, t, margin):
    """Return max(0, margin - t (x - y))."""
    return hinge(x - y, t, margin)


def ranking_slope(x, y, t, margin):
    """Return its slope in x."""
    return hinge_slope(x - y, t, margin)


def ranking_slope_target(x, y, t, margin):
    """Return its slope in t."""
    return hinge_slope_target(x - y, t, margin)


def hinge_embedding(x, t, margin):
    """Return x for t = 1, max(0, margin - x) for t = -1."""
    T = type(x)
    apart = maximum(T(0), margin - x) if t == T(-1) else T(math.nan)
    return x if t == T(1) else apart


def hinge_embedding_slope(x, t, margin):
    """Return its slope in x."""
    T = type(x)
    apart = T(0) if margin - x < T(0) else T(-1)
    return T(1) if t == T(1) else apart


def soft_margin(x, t):
    """Return log(1 + e^(-t x))."""
    return softplus_parts(-t * x)[0]


def soft_margin_slope(x, t):
    """Return its slope in x."""
    return -t * elementary.logistic(-t * x)


def soft_margin_slope_target(x, t):
    """Return its slope in t."""
    return -x * elementary.logistic(-t * x)


def poisson(x, t, eps):
    """Return x - t log(x + eps)."""
    return x - t * elementary.log(x + eps)


def poisson_slope(x, t, eps):
    """Return its slope in x."""
    return type(x)(1) - t / (x + eps)


def poisson_slope_target(x, t, eps):
    """Return its slope in t."""
    return -elementary.log(x + eps)


def stirling(t):
    """Return Stirling's approximation of log(t!) for t above 1, else 0."""
    T = type(t)
    safe = maximum(t, T(1))
    term = safe * elementary.log(safe) - safe + T(0.5) * elementary.log(T(2 * math.pi) * safe)
    return term if t > T(1) else T(0)


def stirling_slope(t):
    """Return its slope."""
    T = type(t)
    safe = maximum(t, T(1))
    return elementary.log(safe) + T(0.5) / safe if t > T(1) else T(0)


def poisson_full(x, t, eps):
    """Return the same with Stirling's term."""
    return poisson(x, t, eps) + stirling(t)


def poisson_full_slope_target(x, t, eps):
    """Return its slope in t."""
    return poisson_slope_target(x, t, eps) + stirling_slope(t)


def poisson_log(x, t):
    """Return e^x - t x."""
    return elementary.exp(x) - t * x


def poisson_log_slope(x, t):
    """Return its slope in x."""
    return elementary.exp(x) - t


def poisson_log_slope_target(x, t):
    """Return its slope in t."""
    return -x


def poisson_log_full(x, t):
    """Return the same with Stirling's term."""
    return poisson_log(x, t) + stirling(t)


def poisson_log_full_slope_target(x, t):
    """Return its slope in t."""
    return stirling_slope(t) - x


def gaussian(x, t, var, eps):
    """Return (log(v) + (x - t)^2 / v) / 2 with v = max(var, eps); NaN for var < 0."""
    T = type(x)
    v, d = maximum(var, eps), x - t
    return T(math.nan) if var < T(0) else T(0.5) * (elementary.log(v) + d * d / v)


def gaussian_full(x, t, var, eps):
    """Return the same with log(2 pi) / 2."""
    return gaussian(x, t, var, eps) + type(x)(0.5 * math.log(2 * math.pi))


def gaussian_slope(x, t, var, eps):
    """Return its slope in x."""
    return (x - t) / maximum(var, eps)


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


LOSSES = {  # the operation, and what distinguishes several of its formulas
    "mse_loss": Entry(mse, (mse_slope, MINUS)),
    "smooth_l1_loss": Entry(smooth_l1, (smooth_l1_slope, MINUS), 1),
    "binary_cross_entropy": Entry(bce, (bce_slope, bce_slope_target)),
    "binary_cross_entropy_with_logits": Entry(bce_logits, (bce_logits_slope, bce_logits_slope_target), 1),
    "binary_cross_entropy_with_logits__pos_weight": Entry(
        bce_logits, (bce_logits_slope, bce_logits_slope_target, None)
    ),
    "kl_div": Entry(kl, (kl_slope, kl_slope_target)),
    "kl_div__log_target": Entry(kl_log, (kl_log_slope, kl_log_slope_target)),
    "hinge_loss": Entry(hinge, (hinge_slope, hinge_slope_target), 1),
    "margin_ranking_loss": Entry(ranking, (ranking_slope, MINUS, ranking_slope_target), 1),
    "hinge_embedding_loss": Entry(hinge_embedding, (hinge_embedding_slope, None), 1),
    "soft_margin_loss": Entry(soft_margin, (soft_margin_slope, soft_margin_slope_target)),
    "poisson_nll_loss": Entry(poisson, (poisson_slope, poisson_slope_target), 1),
    "poisson_nll_loss__full": Entry(poisson_full, (poisson_slope, poisson_full_slope_target), 1),
    "poisson_nll_loss__log_input": Entry(poisson_log, (poisson_log_slope, poisson_log_slope_target)),
    "poisson_nll_loss__log_input_full": Entry(poisson_log_full, (poisson_log_slope, poisson_log_full_slope_target)),
    "gaussian_nll_loss": Entry(gaussian, (gaussian_slope, MINUS, gaussian_slope_var), 1),
    "gaussian_nll_loss__full": Entry(gaussian_full, (gaussian_slope, MINUS, gaussian_slope_var), 1),
}
FORMULAS = {name: f for name, f in list(globals().items()) if isinstance(f, FunctionType) and f.__module__ == __name__}


def compiled(compile: Callable, names: dict) -> dict[str, Callable]:
    """Return every formula by name, compiled. names: functions that it finds under other names than the CPU's.

    A formula may call those above it.
    """
    found = dict(names)
    for name, formula in FORMULAS.items():
        found[name] = compile(rebound(formula, dict(found)))
    return {name: found[name] for name in FORMULAS}
