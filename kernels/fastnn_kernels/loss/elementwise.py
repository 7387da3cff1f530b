"""Losses of single elements, and their gradients: the formulas of `formulas.loss` for whole arrays.

Operands are float32 or float64 in any layout (TypeError for others; targets may be integers or booleans) and of one
shape (ValueError); reduction is "none", "mean" or "sum". Sums go over fixed-size blocks in order: the same bits for any
number of threads. NaN and infinity behave as the formulas say. Each loss is right within some ulp, a sum of n within
eps sqrt(n). What a loss and its gradient are called with: see `protocol`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..ground.checks import as_float_array, check_ndim, flag, number
from ..ground.operation import Layout
from .protocol import Asked, broadcasts, loss, same_shapes

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_backward", "binary_cross_entropy_with_logits",
    "binary_cross_entropy_with_logits_backward", "gaussian_nll_loss", "gaussian_nll_loss_backward",
    "hinge_embedding_loss", "hinge_embedding_loss_backward", "hinge_loss", "hinge_loss_backward", "huber_loss",
    "huber_loss_backward", "kl_div", "kl_div_backward", "l1_loss", "l1_loss_backward", "margin_ranking_loss",
    "margin_ranking_loss_backward", "mse_loss", "mse_loss_backward", "multilabel_soft_margin_loss",
    "multilabel_soft_margin_loss_backward", "poisson_nll_loss", "poisson_nll_loss_backward", "smooth_l1_loss",
    "smooth_l1_loss_backward", "soft_margin_loss", "soft_margin_loss_backward",
]  # fmt: skip


class Elements(NamedTuple):
    """Losses factor * formula(*operands, *parameters) * weight of single elements.

    formula: a name in `formulas.loss.LOSSES`. operands: those after the first may broadcast to its shape, and so may
    the weight. group: how many elements, of the last dimension, have one loss: their sum. shape: of the losses.
    """

    asked: Asked
    formula: str
    operands: tuple[Layout, ...]
    weight: Layout | None
    parameters: tuple[float, ...]
    factor: float
    group: int
    shape: tuple[int, ...]

    def refuse(self, *operands):
        """Raise ValueError if an operand is not allowed: the reason why the loss is NaN."""
        function, formula = self.asked.function, self.formula.partition("__")[0]
        if formula == "binary_cross_entropy":
            for name, x in zip(("input", "target"), operands, strict=True):
                advice = "; for logits there is binary_cross_entropy_with_logits" if name == "input" else ""
                _refuse(function, name, "probabilities from 0 to 1", x, (x < 0) | (x > 1), advice)
        elif formula == "hinge_embedding_loss":
            _refuse(function, "target", "-1 or 1", operands[1], np.abs(operands[1]) != 1)
        elif formula == "gaussian_nll_loss" and (operands[2] < 0).any():
            raise ValueError(f"{function}: var must not be negative, got {operands[2][operands[2] < 0].flat[0]}")


def _refuse(function, name, wanted, x, wrong, advice=""):
    if wrong.any():
        raise ValueError(f"{function}: {name} must be {wanted}, got {x[wrong].flat[0]}{advice}")


def _elements(asked, options, weight, pos_weight=None, **operands):
    formula, *parameters = options
    (first, x), *_ = operands.items()
    same_shapes(asked.function, **{name: y for name, y in operands.items() if name != "var" or y.shape == x.shape})
    factor, group, shape = 1.0, 1, x.shape
    if asked.reduction == "batchmean":
        length = (x.shape or (1,))[0]
        asked, factor = asked._replace(reduction="sum"), 1 / length if length else math.nan
    if formula == "huber_loss":
        formula, factor = "smooth_l1_loss", parameters[0]
    if formula == "multilabel_soft_margin_loss":
        check_ndim(asked.function, first, x, (1, 2))
        group, shape, formula = x.shape[-1], x.shape[:-1], "binary_cross_entropy_with_logits"
        if asked.reduction != "mean":
            factor = 1 / group if group else math.nan
    broadcasts(asked.function, "weight", weight, x.shape)
    broadcasts(asked.function, "pos_weight", pos_weight, x.shape)
    layouts = [*operands.values()] + [pos_weight] * (pos_weight is not None)
    return Elements(asked, formula, tuple(layouts), weight, tuple(parameters), factor, group, shape)


_of_two = loss(_elements, "input target weight", converted="weight", numeric="target")
_of_logits = loss(_elements, "input target pos_weight weight", converted="pos_weight weight", numeric="target")


def _at_least_0(function, name, value):
    value = number(function, name, value)
    if not value >= 0:
        raise ValueError(f"{function}: {name} must not be negative, got {value}")
    return value


@_of_two
def mse_loss(input, target, reduction="mean"):
    """Return (input - target)^2, or its mean or sum over all elements."""
    return (input, target, None), reduction, ("mse_loss",)


@_of_two
def l1_loss(input, target, reduction="mean"):
    """Return |input - target|, or its mean or sum. The gradient where they are equal is 0."""
    return (input, target, None), reduction, ("smooth_l1_loss", 0.0)


@_of_two
def smooth_l1_loss(input, target, reduction="mean", beta=1.0):
    """Return d^2 / (2 beta) for d = |input - target| < beta, else d - beta / 2 (Girshick, 2015).

    Raises ValueError for beta < 0.
    """
    beta = _at_least_0("smooth_l1_loss", "beta", beta)
    return (input, target, None), reduction, ("smooth_l1_loss", beta)


@_of_two
def huber_loss(input, target, reduction="mean", delta=1.0):
    """Return d^2 / 2 for d = |input - target| < delta, else delta (d - delta / 2) (Huber, 1964).

    Raises ValueError unless delta > 0.
    """
    delta = number("huber_loss", "delta", delta)
    if not delta > 0:
        raise ValueError(f"huber_loss: delta must be above 0, got {delta}")
    return (input, target, None), reduction, ("huber_loss", delta)


@_of_two
def binary_cross_entropy(input, target, weight=None, reduction="mean"):
    """Return -target log(input) - (1 - target) log(1 - input), logarithms no less than -100.

    input, target: probabilities; ValueError for those outside 0 .. 1. weight: of each loss, broadcast.
    Sigmoid and this in one go, `binary_cross_entropy_with_logits`, is faster, and exact where sigmoid rounds to 0 or 1.
    """
    return (input, target, weight), reduction, ("binary_cross_entropy",)


@_of_logits
def binary_cross_entropy_with_logits(input, target, weight=None, reduction="mean", pos_weight=None):
    """Return binary_cross_entropy(sigmoid(input), target), from the logits themselves.

    pos_weight: how much target = 1 counts against target = 0; a number, or an array that broadcasts to input's shape,
    such as one for each class in the last dimension. weight: of each loss, broadcast.
    """
    name = "binary_cross_entropy_with_logits"
    if pos_weight is None:
        return (input, target, None, weight), reduction, (name, 1.0)
    if isinstance(pos_weight, list | tuple) or getattr(pos_weight, "ndim", 0):
        pos_weight = as_float_array(name, "pos_weight", pos_weight)
    if np.size(pos_weight) == 1:
        pos_weight = number(name, "pos_weight", np.reshape(pos_weight, ()) if np.ndim(pos_weight) else pos_weight)
        return (input, target, None, weight), reduction, (name, pos_weight)
    return (input, target, pos_weight, weight), reduction, (f"{name}__pos_weight",)


@loss(
    _elements, "input target weight", converted="weight", numeric="target",
    reductions=("none", "mean", "sum", "batchmean"),
)  # fmt: skip
def kl_div(input, target, reduction="mean", log_target=False):
    """Return target (log(target) - input), the terms of the Kullback-Leibler divergence; input: log-probabilities.

    log_target: target holds logarithms, too. reduction: also "batchmean", the divergence itself: the sum over the
    length of the first dimension; "mean" is over all elements, as in PyTorch.
    """
    formula = "kl_div__log_target" if flag("kl_div", "log_target", log_target) else "kl_div"
    return (input, target, None), reduction, (formula,)


@_of_two
def hinge_loss(input, target, reduction="mean", margin=1.0):
    """Return max(0, margin - target input) for targets of -1 and 1, as in support vector machines."""
    return (input, target, None), reduction, ("hinge_loss", number("hinge_loss", "margin", margin))


@_of_two
def hinge_embedding_loss(input, target, margin=1.0, reduction="mean"):
    """Return input, a distance, for target 1, max(0, margin - input) for target -1 (Hadsell, Chopra & LeCun, 2006).

    Raises ValueError for other targets.
    """
    return (input, target, None), reduction, ("hinge_embedding_loss", number("hinge_embedding_loss", "margin", margin))


@loss(_elements, "input1 input2 target weight", converted="weight", numeric="target")
def margin_ranking_loss(input1, input2, target, margin=0.0, reduction="mean"):
    """Return max(0, margin - target (input1 - input2)): target 1 wants input1 above input2, -1 below."""
    margin = number("margin_ranking_loss", "margin", margin)
    return (input1, input2, target, None), reduction, ("margin_ranking_loss", margin)


@_of_two
def soft_margin_loss(input, target, reduction="mean"):
    """Return log(1 + e^(-target input)) for targets of -1 and 1."""
    return (input, target, None), reduction, ("soft_margin_loss",)


@_of_two
def poisson_nll_loss(input, target, log_input=True, full=False, eps=1e-8, reduction="mean"):
    """Return the negative log-likelihood of counts under a Poisson distribution, without the term of target alone.

    e^input - target input, input being the logarithm of the rate; with log_input=False input - target log(input + eps).
    full: add Stirling's approximation of log(target!) for targets above 1. Raises ValueError for eps < 0.
    """
    name = "poisson_nll_loss"
    full, log_input = flag(name, "full", full), flag(name, "log_input", log_input)
    eps = () if log_input else (_at_least_0(name, "eps", eps),)
    words = "_".join(["log_input"] * log_input + ["full"] * full)
    return (input, target, None), reduction, (f"{name}__{words}" if words else name, *eps)


@loss(_elements, "input target var weight", converted="weight", numeric="target")
def gaussian_nll_loss(input, target, var, full=False, eps=1e-6, reduction="mean"):
    """Return the negative log-likelihood of target under a normal distribution with mean input and variance var.

    (log(v) + (input - target)^2 / v) / 2 with v = max(var, eps) (Nix & Weigend, 1994); full: add log(2 pi) / 2. var has
    input's shape, or that with a last dimension of 1 or none: one variance for all outputs. Gradients of var are those
    of v, as in PyTorch. Raises ValueError for negative variances and eps <= 0.
    """
    name = "gaussian_nll_loss"
    eps, full = number(name, "eps", eps), flag(name, "full", full)
    if not eps > 0:
        raise ValueError(f"{name}: eps must be above 0, got {eps}")
    formula = f"{name}__full" if full else name
    input, var = as_float_array(name, "input", input), as_float_array(name, "var", var)
    shape = input.shape
    if var.shape == shape:
        return (input, target, var, None), reduction, (formula, eps)
    if var.shape not in (shape[:-1], (*shape[:-1], 1)):
        raise ValueError(f"{name}: var has shape {var.shape} but input has {shape}")
    return (input, target, var.reshape(*shape[:-1], 1), None), reduction, (formula, eps)


@_of_two
def multilabel_soft_margin_loss(input, target, weight=None, reduction="mean"):
    """Return the mean over classes, the last dimension, of binary_cross_entropy_with_logits; weight (C,): of classes.

    input (N, C) or (C,), target the same shape: 0 or 1 -> (N,), its mean or its sum.
    """
    return (input, target, weight), reduction, ("multilabel_soft_margin_loss", 1.0)


mse_loss_backward = mse_loss.backward
l1_loss_backward = l1_loss.backward
smooth_l1_loss_backward = smooth_l1_loss.backward
huber_loss_backward = huber_loss.backward
binary_cross_entropy_backward = binary_cross_entropy.backward
binary_cross_entropy_with_logits_backward = binary_cross_entropy_with_logits.backward
kl_div_backward = kl_div.backward
hinge_loss_backward = hinge_loss.backward
hinge_embedding_loss_backward = hinge_embedding_loss.backward
margin_ranking_loss_backward = margin_ranking_loss.backward
soft_margin_loss_backward = soft_margin_loss.backward
poisson_nll_loss_backward = poisson_nll_loss.backward
gaussian_nll_loss_backward = gaussian_nll_loss.backward
multilabel_soft_margin_loss_backward = multilabel_soft_margin_loss.backward
