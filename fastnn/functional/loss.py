"""Losses: the functions of `fastnn_kernels`, made differentiable; see there for shapes, arguments and errors."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

import fastnn_kernels as kernels
from fastnn.tape import Array, Gradients, Needs, Tensor, WithBackward, differentiable, unwrap, wrap
from fastnn_kernels import checks

from .arithmetic import add, clamp, minimum, sub
from .distance import pairwise_distance
from .matmul import linear
from .reduction import mean
from .reduction import sum as total
from .shaping import broadcast_to, check_array, reshape


def _like(gradient: Any, x: Any) -> Any:
    """Give the gradient of an operand, which may have been given once for all of a row."""
    if gradient is None or gradient.shape == getattr(x, "shape", None) or gradient.shape == np.shape(x):
        return gradient
    return kernels.sum(gradient, -1).reshape(np.shape(x))


def _differentiable(loss: Any, arrays: int) -> Any:
    """Make a differentiable operation of a loss, whose first arguments, `arrays` of them, may be tensors.

    Those that it has no gradient for, such as labels, get none. Where a gradient will be wanted, the forward pass
    computes the loss and it at once, so that operands are read once; single losses have theirs computed backward.
    """

    def operation(*args: Any, needs: Needs = (), **options: Any) -> WithBackward:
        if any(needs):
            y, ready = loss.with_gradient(*args, needs=needs, **options)
        else:
            y, ready = loss(*args, **options), None

        def backward(dy: Array, needs: Needs) -> Gradients:
            if ready is None:
                gradients = loss.backward(dy, *args, needs=needs, **options)
            elif dy == 1:
                gradients = ready
            else:
                gradients = [g if g is None else kernels.mul(g, np.asarray(dy, g.dtype)) for g in ready]
            return tuple([_like(g, x) for g, x in zip(gradients, args, strict=False)])

        return y, backward

    parameters = list(inspect.signature(loss).parameters.values())
    marked = [p.replace(annotation="Array") if i < arrays else p for i, p in enumerate(parameters)]
    needs = inspect.Parameter("needs", inspect.Parameter.KEYWORD_ONLY, default=())
    operation.__signature__ = inspect.Signature([*marked, needs])  # type: ignore[attr-defined]
    operation.__name__ = operation.__qualname__ = loss.__name__
    operation.__doc__, operation.__module__ = loss.__doc__, __name__
    recorded: Any = differentiable(operation)
    recorded.__signature__ = inspect.Signature(marked)
    return recorded


cross_entropy = _differentiable(kernels.cross_entropy, 2)
nll_loss = _differentiable(kernels.nll_loss, 2)
mse_loss = _differentiable(kernels.mse_loss, 2)
l1_loss = _differentiable(kernels.l1_loss, 2)
smooth_l1_loss = _differentiable(kernels.smooth_l1_loss, 2)
huber_loss = _differentiable(kernels.huber_loss, 2)
binary_cross_entropy = _differentiable(kernels.binary_cross_entropy, 2)
binary_cross_entropy_with_logits = _differentiable(kernels.binary_cross_entropy_with_logits, 2)
kl_div = _differentiable(kernels.kl_div, 2)
hinge_loss = _differentiable(kernels.hinge_loss, 2)
hinge_embedding_loss = _differentiable(kernels.hinge_embedding_loss, 2)
margin_ranking_loss = _differentiable(kernels.margin_ranking_loss, 3)
soft_margin_loss = _differentiable(kernels.soft_margin_loss, 2)
poisson_nll_loss = _differentiable(kernels.poisson_nll_loss, 2)
_gaussian_nll_loss = _differentiable(kernels.gaussian_nll_loss, 3)
_multi_margin_loss = _differentiable(kernels.multi_margin_loss, 2)
_multilabel_margin_loss = _differentiable(kernels.multilabel_margin_loss, 2)
multilabel_soft_margin_loss = _differentiable(kernels.multilabel_soft_margin_loss, 2)
cosine_embedding_loss = _differentiable(kernels.cosine_embedding_loss, 3)
_triplet_margin_loss = _differentiable(kernels.triplet_margin_loss, 3)
ctc_loss = _differentiable(kernels.ctc_loss, 4)


def gaussian_nll_loss(
    input: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Any:  # fmt: skip
    """Give the loss of `kernels.gaussian_nll_loss`; var may be a number, too, and input and target are broadcast."""
    shape, wanted = getattr(input, "shape", None), getattr(target, "shape", None)
    if isinstance(var, int | float) and shape is not None:
        var = np.full(shape, var, input.dtype)
    if shape != wanted and shape is not None and wanted is not None:
        try:
            common = np.broadcast_shapes(shape, wanted)
        except ValueError:
            raise ValueError(f"gaussian_nll_loss: input has shape {shape} but target has {wanted}") from None
        input, target = broadcast_to(input, common), broadcast_to(target, common)
    return _gaussian_nll_loss(input, target, var, full, eps, reduction)


def multi_margin_loss(
    input: Any, target: Any, p: int = 1, margin: float = 1.0, weight: Any = None, reduction: str = "mean"
) -> Any:  # fmt: skip
    """Give the loss of `kernels.multi_margin_loss`; input () counts as (1,), and a vector may have a target (1,)."""
    shape = np.shape(unwrap(input))
    if not shape:
        input = reshape(input, 1)
    if len(shape) < 2 and np.shape(unwrap(target)) == (1,):
        input = reshape(input, 1, -1)
    return _multi_margin_loss(input, target, p, margin, weight, reduction)


def multilabel_margin_loss(input: Any, target: Any, reduction: str = "mean") -> Any:
    """Give the loss of `kernels.multilabel_margin_loss`; input () counts as (1,)."""
    if not np.shape(unwrap(input)):
        input, target = reshape(input, 1), np.reshape(unwrap(target), -1)
    return _multilabel_margin_loss(input, target, reduction)


def triplet_margin_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Any:
    """Give the loss of `kernels.triplet_margin_loss`; numbers count as vectors of one element."""
    if not np.shape(unwrap(anchor)):
        anchor, positive, negative = (
            reshape(x, -1) if not np.shape(unwrap(x)) else x for x in (anchor, positive, negative)
        )
    return _triplet_margin_loss(anchor, positive, negative, margin, p, eps, swap, reduction)


def triplet_margin_with_distance_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    *,
    distance_function: Any = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Any:
    """Give max(0, margin + d(anchor, positive) - d(anchor, negative)) of each, or the mean or sum.

    distance_function: of two tensors (N, ...), `pairwise_distance` if none is given. swap: d(positive, negative) counts
    where it is smaller than d(anchor, negative). Raises ValueError for other reductions.
    """
    name = "triplet_margin_with_distance_loss"
    checks.choice(name, "reduction", reduction, ("none", "mean", "sum"))
    for which, x in (("anchor", anchor), ("positive", positive), ("negative", negative)):
        check_array(name, which, x)
    distance = pairwise_distance if distance_function is None else distance_function
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = minimum(far, distance(positive, negative))
    y = clamp(add(sub(near, far), margin), 0.0)
    return y if reduction == "none" else mean(y) if reduction == "mean" else total(y)


def linear_cross_entropy(
    input: Any,
    linear_weight: Any,
    target: Any,
    *,
    linear_bias: Any = None,
    weight: Any = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: Any = None,
) -> Any:
    """Give ``cross_entropy(linear(input, linear_weight, linear_bias), target, ...)``.

    input (N, K) or (K,), linear_weight (C, K), or (C, D, ..., K) for a loss of (N, C, D, ...); the bias has its shape
    without K. `options`, which say how PyTorch cuts the product, are not looked at.
    """
    name = "linear_cross_entropy"
    check_array(name, "input", input)
    check_array(name, "linear_weight", linear_weight)
    shape, inputs = tuple(linear_weight.shape), tuple(input.shape)
    if len(shape) < 2 or not inputs or inputs[-1] != shape[-1] or len(inputs) > 2 or (len(shape) > 2 > len(inputs)):
        raise ValueError(f"{name}: input of shape {inputs} does not fit a linear_weight of shape {shape}")
    bias = linear_bias
    if len(shape) > 2:
        linear_weight = reshape(linear_weight, -1, shape[-1])
        bias = None if bias is None else reshape(bias, -1)
    logits = linear(input, linear_weight, bias)
    if len(shape) > 2:
        logits = reshape(logits, (inputs[0], *shape[:-1]))
    ignored = -100 if ignore_index is None else ignore_index
    return cross_entropy(
        logits, target, weight, ignore_index=ignored, reduction=reduction, label_smoothing=label_smoothing
    )


def one_hot(target: Any, num_classes: int = -1) -> Any:
    """Give 1 at each label and 0 elsewhere, as int64: one-vs-all targets; see `kernels.one_hot`."""
    y = kernels.one_hot(unwrap(target), num_classes)
    return wrap(y) if isinstance(target, Tensor) else y
