"""Losses of single elements, and their gradients: what an entry of `cpu.loss_elementwise` means for whole arrays.

A loss is a function that says by a plan what its arguments mean; the decorator turns it into the loss and into its
gradient, `NAME_backward(dloss, ...the same arguments)`. dloss is a number, or an array of the losses' shape for
reduction "none". It gives the gradient of the first operand; with `needs`, one bool per operand, a tuple with None for
those that are not asked for. `NAME.with_gradient(...the same arguments)` gives a mean or sum and, from the same pass,
the gradient of the first operand for dloss = 1; None with reduction "none" or weights.

Operands are float32 or float64 in any layout (TypeError for others; targets may be integers or booleans) and of one
shape (ValueError); reduction is "none", "mean" or "sum". Sums go over fixed-size blocks in order: the same bits for any
number of threads. NaN and infinity behave as the formulas say. Each loss is right within some ulp, a sum of n within
eps sqrt(n).
"""

import inspect
import math
from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from ..cpu.loss import elementwise as cpu
from ..ground import memory
from ..ground.checks import F4, F8, as_array, as_float_array, flag, number, promote, required
from ..ground.memory import empty
from ..ground.threads import tasks
from .loss import NOTHING, check_reduction, flat, gradient_of_losses, label_array, share, total

GRAIN = 16384  # elements worth waking a second thread for


def with_gradient(plan):
    """Make a loss of a function that returns its plan, and its gradient, which becomes its attribute `backward`."""
    name = plan.__name__

    @wraps(plan)
    def loss(*args, **options):
        return plan(*args, **options).losses(name)

    def backward(dloss, *args, needs=None, **options):
        if not isinstance(needs, tuple | list | None):
            raise TypeError(f"{backward.__name__}: needs must be a tuple of True and False, got {needs!r}")
        gradients = plan(*args, **options).gradients(backward.__name__, dloss, (True,) if needs is None else needs)
        return gradients[0] if needs is None else gradients

    parameters = inspect.signature(plan).parameters.values()
    first = inspect.Parameter("dloss", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    last = inspect.Parameter("needs", inspect.Parameter.KEYWORD_ONLY, default=None)
    backward.__signature__ = inspect.Signature([first, *parameters, last])
    backward.__name__ = backward.__qualname__ = f"{name}_backward"
    backward.__module__ = plan.__module__  # where pickle looks for it
    backward.__doc__ = f"Return the gradient of {name} for its first operand, or for those that `needs` asks for."
    loss.backward = backward
    return loss


def of_elements(plan):
    """Make a loss as `with_gradient` does, of a function that returns a `Plan`, which can give both at once."""
    loss, name = with_gradient(plan), plan.__name__

    def together(*args, **options):
        return plan(*args, **options).both(name)

    together.__signature__, together.__module__ = inspect.signature(plan), plan.__module__
    together.__name__ = together.__qualname__ = f"{name}.with_gradient"
    together.__doc__ = f"Return ({name}, its gradient for the first operand and dloss = 1), None for no mean or sum."
    loss.with_gradient = together
    return loss


class Plan(NamedTuple):
    """What a call of a loss means: an entry, its operands by name, its parameters, and what comes after."""

    entry: str
    operands: dict[str, Any]
    reduction: str
    parameters: tuple[float, ...] = ()
    factor: float = 1.0  # of all losses
    weight: Any = None  # of each, broadcast
    refuse: Callable[..., None] | None = None  # gets the operands of a loss that is NaN: raises if they explain it
    extra: Callable[..., Any] | None = None  # of the operands: what is added to each loss
    extra_slopes: tuple[Callable[..., Any] | None, ...] = ()  # ... of the operands: its slope in each of them

    def arrays(self, function):
        """Return the operands in one dtype and one shape."""
        check_reduction(function, self.reduction)
        made = tuple(self.operands.values())
        x = made[0]
        for other in made:
            if not (type(x) is type(other) is ndarray and other.dtype is x.dtype and other.shape == x.shape):
                return self._promoted(function)
        return made if x.dtype is F4 or x.dtype is F8 else self._promoted(function)

    def _promoted(self, function):
        names, arrays = list(self.operands), dict(self.operands)
        target = label_array(function, "target", arrays["target"])
        if target.dtype.kind in "biu":
            arrays["target"] = target.astype(as_float_array(function, names[0], arrays[names[0]]).dtype)
        required(function, **arrays)
        made = promote(function, **arrays)
        for name, x in zip(names[1:], made[1:], strict=True):
            if x.shape != made[0].shape:
                raise ValueError(f"{function}: {names[0]} has shape {made[0].shape} but {name} has {x.shape}")
        return made

    def losses(self, function):
        """Return the losses, their mean or their sum."""
        arrays = self.arrays(function)
        x = arrays[0]
        if self.reduction != "none" and self.weight is None and self.extra is None:
            return self._reduced(function, arrays, NOTHING[x.dtype], 0.0)
        losses = empty(x.shape, x.dtype)
        self._run(arrays, losses.reshape(-1), NOTHING[x.dtype], NOTHING[x.dtype], 0.0)
        if self.extra is not None:
            losses += self.extra(*arrays)
        if self.factor != 1:
            losses *= self.factor
        if self.weight is not None:
            losses *= _weight(function, self.weight, x)
        return self._checked(
            function, arrays, losses if self.reduction == "none" else total(flat(losses), self.reduction, x.size)
        )

    def both(self, function):
        """Return the mean or the sum of the losses and its gradient for the first operand, if they go together."""
        if self.reduction == "none" or self.weight is not None or self.extra is not None:
            return self.losses(function), None
        arrays = self.arrays(function)
        x = arrays[0]
        dx = empty(x.shape, x.dtype)
        scale = self.factor * share(1.0, self.reduction, x.size)
        return self._reduced(function, arrays, dx.reshape(-1), scale), dx

    def _reduced(self, function, arrays, dx, scale):
        x = arrays[0]
        partial = memory.fresh((-(-x.size // cpu.BLOCK),), x.dtype)
        self._run(arrays, NOTHING[x.dtype], partial, dx, scale)
        return self._checked(function, arrays, total(partial, self.reduction, x.size, self.factor))

    def _run(self, arrays, *results):
        x = arrays[0]
        blocks = -(-x.size // cpu.BLOCK)
        number = 1 if x.size < 2 * GRAIN else tasks(blocks, GRAIN // cpu.BLOCK)
        cpu.blocks[self.entry][x.dtype](*map(flat, arrays), *results, *self.parameters, blocks, number)

    def _checked(self, function, arrays, result):
        if self.refuse is not None and np.isnan(result).any():
            self.refuse(function, *arrays)
        return result

    def gradients(self, function, dloss, needs):
        """Return the gradient of each operand that is needed, None for the others."""
        arrays = self.arrays(function)
        x, slopes = arrays[0], (None, *cpu.slopes[self.entry])
        made: list[Any] = [None] * len(needs)
        single = self.reduction == "none"
        scale = self.factor * (1.0 if single else share(number(function, "dloss", dloss), self.reduction, x.size))
        for i, (needed, slope) in enumerate(zip(needs, slopes, strict=False)):
            if not needed or (i and slope is None):
                continue
            made[i] = out = empty(x.shape, x.dtype)
            if i == 0 or slope is cpu.MINUS:
                self._run(arrays, NOTHING[x.dtype], NOTHING[x.dtype], out.reshape(-1), -scale if i else scale)
            else:
                given = scale, *self.parameters, x.size, tasks(x.size, GRAIN)
                slope[x.dtype](*map(flat, arrays), out.reshape(-1), *given)
            more = self.extra_slopes[i] if i < len(self.extra_slopes) else None
            if more is not None:
                out += x.dtype.type(scale) * more(*arrays)
            if single:
                out *= gradient_of_losses(function, dloss, x.shape)
            if self.weight is not None:
                out *= _weight(function, self.weight, x)
        return tuple(made)


def _weight(function, weight, x):
    """Return weights of losses of x's shape and dtype."""
    weight = as_float_array(function, "weight", weight)
    try:
        return np.broadcast_to(weight, x.shape).astype(x.dtype, copy=False)
    except ValueError:
        raise ValueError(
            f"{function}: weight has shape {weight.shape}, which does not broadcast to {x.shape}"
        ) from None


def _at_least_0(function, name, value):
    value = number(function, name, value)
    if not value >= 0:
        raise ValueError(f"{function}: {name} must not be negative, got {value}")
    return value


@of_elements
def mse_loss(input, target, reduction="mean"):
    """Return (input - target)^2, or its mean or sum over all elements."""
    return Plan("mse", {"input": input, "target": target}, reduction)


@of_elements
def l1_loss(input, target, reduction="mean"):
    """Return |input - target|, or its mean or sum. The gradient where they are equal is 0."""
    return Plan("smooth_l1", {"input": input, "target": target}, reduction, (0.0,))


@of_elements
def smooth_l1_loss(input, target, reduction="mean", beta=1.0):
    """Return d^2 / (2 beta) for d = |input - target| < beta, else d - beta / 2 (Girshick, 2015).

    Raises ValueError for beta < 0.
    """
    beta = _at_least_0("smooth_l1_loss", "beta", beta)
    return Plan("smooth_l1", {"input": input, "target": target}, reduction, (beta,))


@of_elements
def huber_loss(input, target, reduction="mean", delta=1.0):
    """Return d^2 / 2 for d = |input - target| < delta, else delta (d - delta / 2) (Huber, 1964).

    Raises ValueError unless delta > 0.
    """
    delta = number("huber_loss", "delta", delta)
    if not delta > 0:
        raise ValueError(f"huber_loss: delta must be above 0, got {delta}")
    return Plan("smooth_l1", {"input": input, "target": target}, reduction, (delta,), delta)


@of_elements
def binary_cross_entropy(input, target, weight=None, reduction="mean"):
    """Return -target log(input) - (1 - target) log(1 - input), logarithms no less than -100.

    input, target: probabilities; ValueError for those outside 0 .. 1. weight: of each loss, broadcast.
    Sigmoid and this in one go, `binary_cross_entropy_with_logits`, is faster, and exact where sigmoid rounds to 0 or 1.
    """
    return Plan("bce", {"input": input, "target": target}, reduction, weight=weight, refuse=_no_probabilities)


def _no_probabilities(function, input, target):
    for name, x in (("input", input), ("target", target)):
        outside = (x < 0) | (x > 1)
        if outside.any():
            advice = "; for logits there is binary_cross_entropy_with_logits" if name == "input" else ""
            raise ValueError(f"{function}: {name} must be probabilities from 0 to 1, got {x[outside].flat[0]}{advice}")


@of_elements
def binary_cross_entropy_with_logits(input, target, weight=None, reduction="mean", pos_weight=None):
    """Return binary_cross_entropy(sigmoid(input), target), from the logits themselves.

    pos_weight: how much target = 1 counts against target = 0; a number, or an array that broadcasts to input's shape,
    such as one for each class in the last dimension. weight: of each loss, broadcast.
    """
    name, operands = "binary_cross_entropy_with_logits", {"input": input, "target": target}
    if pos_weight is None:
        return Plan("bce_logits", operands, reduction, (1.0,), weight=weight)
    if isinstance(pos_weight, list | tuple) or getattr(pos_weight, "ndim", 0):
        pos_weight = as_float_array(name, "pos_weight", pos_weight)
    if np.size(pos_weight) == 1:
        positive = number(name, "pos_weight", np.reshape(pos_weight, ()) if np.ndim(pos_weight) else pos_weight)
        return Plan("bce_logits", operands, reduction, (positive,), weight=weight)
    x = as_float_array(name, "input", input)
    try:
        operands["pos_weight"] = np.broadcast_to(pos_weight.astype(x.dtype, copy=False), x.shape)
    except ValueError:
        raise ValueError(
            f"{name}: pos_weight has shape {pos_weight.shape}, which does not broadcast to {x.shape}"
        ) from None
    return Plan("bce_logits_weighted", operands, reduction, weight=weight)


@of_elements
def kl_div(input, target, reduction="mean", log_target=False):
    """Return target (log(target) - input), the terms of the Kullback-Leibler divergence; input: log-probabilities.

    log_target: target holds logarithms, too. reduction: also "batchmean", the divergence itself: the sum over the
    length of the first dimension; "mean" is over all elements, as in PyTorch.
    """
    factor, log_target = 1.0, flag("kl_div", "log_target", log_target)
    if isinstance(reduction, str) and reduction == "batchmean":
        length = (as_array("kl_div", "input", input).shape or (1,))[0]
        reduction, factor = "sum", 1 / length if length else math.nan
    return Plan("kl_log" if log_target else "kl", {"input": input, "target": target}, reduction, factor=factor)


@of_elements
def hinge_loss(input, target, reduction="mean", margin=1.0):
    """Return max(0, margin - target input) for targets of -1 and 1, as in support vector machines."""
    margin = number("hinge_loss", "margin", margin)
    return Plan("hinge", {"input": input, "target": target}, reduction, (margin,))


@of_elements
def hinge_embedding_loss(input, target, margin=1.0, reduction="mean"):
    """Return input, a distance, for target 1, max(0, margin - input) for target -1 (Hadsell, Chopra & LeCun, 2006).

    Raises ValueError for other targets.
    """
    margin = number("hinge_embedding_loss", "margin", margin)
    return Plan("hinge_embedding", {"input": input, "target": target}, reduction, (margin,), refuse=_no_signs)


@of_elements
def margin_ranking_loss(input1, input2, target, margin=0.0, reduction="mean"):
    """Return max(0, margin - target (input1 - input2)): target 1 wants input1 above input2, -1 below."""
    operands = {"input1": input1, "input2": input2, "target": target}
    return Plan("ranking", operands, reduction, (number("margin_ranking_loss", "margin", margin),))


def _no_signs(function, input, target):
    wrong = np.abs(target) != 1
    if wrong.any():
        raise ValueError(f"{function}: target must be -1 or 1, got {target[wrong].flat[0]}")


@of_elements
def soft_margin_loss(input, target, reduction="mean"):
    """Return log(1 + e^(-target input)) for targets of -1 and 1."""
    return Plan("soft_margin", {"input": input, "target": target}, reduction)


@of_elements
def poisson_nll_loss(input, target, log_input=True, full=False, eps=1e-8, reduction="mean"):
    """Return the negative log-likelihood of counts under a Poisson distribution, without the term of target alone.

    e^input - target input, input being the logarithm of the rate; with log_input=False input - target log(input + eps).
    full: add Stirling's approximation of log(target!) for targets above 1. Raises ValueError for eps < 0.
    """
    operands = {"input": input, "target": target}
    full = flag("poisson_nll_loss", "full", full)
    more = {"extra": _stirling, "extra_slopes": (None, _stirling_slope)} if full else {}
    if flag("poisson_nll_loss", "log_input", log_input):
        return Plan("poisson_log", operands, reduction, **more)
    return Plan("poisson", operands, reduction, (_at_least_0("poisson_nll_loss", "eps", eps),), **more)


def _stirling(input, target):
    t = np.maximum(target, 1)
    return np.where(target > 1, t * np.log(t) - t + 0.5 * np.log(2 * np.pi * t), 0).astype(target.dtype, copy=False)


def _stirling_slope(input, target):
    t = np.maximum(target, 1)
    return np.where(target > 1, np.log(t) + 0.5 / t, 0).astype(target.dtype, copy=False)


@of_elements
def gaussian_nll_loss(input, target, var, full=False, eps=1e-6, reduction="mean"):
    """Return the negative log-likelihood of target under a normal distribution with mean input and variance var.

    (log(v) + (input - target)^2 / v) / 2 with v = max(var, eps) (Nix & Weigend, 1994); full: add log(2 pi) / 2. var has
    input's shape, or that with a last dimension of 1 or none: one variance for all outputs. Gradients of var are those
    of v, as in PyTorch. Raises ValueError for negative variances and eps <= 0.
    """
    eps, full = number("gaussian_nll_loss", "eps", eps), flag("gaussian_nll_loss", "full", full)
    if not eps > 0:
        raise ValueError(f"gaussian_nll_loss: eps must be above 0, got {eps}")
    required("gaussian_nll_loss", input=input, var=var)
    x, var = promote("gaussian_nll_loss", input=input, var=var)
    if var.shape != x.shape:
        if var.shape not in (x.shape[:-1], (*x.shape[:-1], 1)):
            raise ValueError(f"gaussian_nll_loss: var has shape {var.shape} but input has {x.shape}")
        var = np.broadcast_to(var.reshape(*x.shape[:-1], 1), x.shape)
    operands = {"input": x, "target": target, "var": var}
    extra = _half_log_tau if full else None
    return Plan("gaussian", operands, reduction, (eps,), refuse=_negative_variance, extra=extra)


def _half_log_tau(input, target, var):
    return input.dtype.type(0.5 * math.log(2 * math.pi))


def _negative_variance(function, input, target, var):
    if (var < 0).any():
        raise ValueError(f"{function}: var must not be negative, got {var[var < 0].flat[0]}")


def multilabel_soft_margin_loss(input, target, weight=None, reduction="mean"):
    """Return the mean over classes, the last dimension, of binary_cross_entropy_with_logits; weight (C,): of classes.

    input (N, C) or (C,), target the same shape: 0 or 1 -> (N,), its mean or its sum.
    """
    classes = _classes("multilabel_soft_margin_loss", input, reduction)
    losses = binary_cross_entropy_with_logits(input, target, weight, reduction)
    if reduction == "mean":
        return losses
    with np.errstate(invalid="ignore"):  # without classes 0 / 0
        return (losses.sum(-1) if reduction == "none" else losses) / losses.dtype.type(classes)


def multilabel_soft_margin_loss_backward(dloss, input, target, weight=None, reduction="mean", *, needs=None):
    """Return the gradient of multilabel_soft_margin_loss's input, or of the operands that `needs` asks for."""
    name = "multilabel_soft_margin_loss_backward"
    classes = _classes(name, input, reduction)
    if reduction == "none":
        dloss = gradient_of_losses(name, dloss, as_array(name, "input", input).shape[:-1])
        dloss = np.repeat(dloss[..., None], classes, -1)
    made = binary_cross_entropy_with_logits.backward(
        dloss, input, target, weight, reduction, needs=(True,) if needs is None else needs
    )
    if reduction != "mean":
        made = tuple(None if dx is None else dx / dx.dtype.type(classes or 1) for dx in made)
    return made[0] if needs is None else made


multilabel_soft_margin_loss.backward = multilabel_soft_margin_loss_backward


def _classes(function, input, reduction):
    check_reduction(function, reduction)
    return as_float_array(function, "input", input, (1, 2)).shape[-1]


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
