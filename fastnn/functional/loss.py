"""Losses: the functions of `fastnn_kernels`, made differentiable; see there for shapes, arguments and errors."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

import fastnn_kernels as kernels
from fastnn.tensor import (
    Array,
    Gradients,
    Needs,
    Tensor,
    WithBackward,
    differentiable,
    is_grad_enabled,
    unwrap,
    wrap,
)


@differentiable
def cross_entropy(
    input: Array,
    target: Array,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> WithBackward:
    """Give the cross entropy of logits and labels, -log softmax(input)[target].

    input (B, C), (B, C, d1, ...) or (C,); target: integer labels of that shape without C, or probabilities of that
    shape. Arguments and errors are those of `kernels.cross_entropy`.
    """
    options = (weight, ignore_index, reduction, label_smoothing)
    if reduction == "none" or not is_grad_enabled():
        y, ready = kernels.cross_entropy(input, target, *options), None
    else:  # logits are read once for both
        y, ready = kernels.cross_entropy_with_gradient(input, target, *options)

    def backward(dy: Array, needs: Needs) -> Gradients:
        dinput = dtarget = None
        if needs[0]:
            if ready is None:
                dinput = kernels.cross_entropy_backward(dy, input, target, *options)
            else:
                dinput = ready if dy == 1 else ready * dy
        if needs[1]:
            dim = min(1, input.ndim - 1)
            dtarget = -kernels.log_softmax(input, dim)
            if weight is not None:
                dtarget *= np.reshape(np.asarray(weight), (-1, *[1] * max(0, input.ndim - 2)))
            dtarget *= dy if reduction != "none" else dy.reshape(*dy.shape[:dim], 1, *dy.shape[dim:])
            dtarget *= (1 - label_smoothing) / (input.size // input.shape[dim] if reduction == "mean" else 1)
        return dinput, dtarget

    return y, backward


def _differentiable(loss: Callable[..., Any], arrays: int, gradient: Callable[..., Any] | None = None) -> Any:
    """Make a differentiable operation of a loss, whose first arguments, `arrays` of them, may be tensors.

    Those that it has no gradient for, such as labels, get none. `gradient` gives that of the first alone.
    """
    together: Callable[..., Any] | None = getattr(loss, "with_gradient", None)

    def operation(*args: Any, **options: Any) -> WithBackward:
        if together is None or not is_grad_enabled():
            y, ready = loss(*args, **options), None
        else:  # operands are read once for both
            y, ready = together(*args, **options)

        def backward(dy: Array, needs: Needs) -> Gradients:
            if gradient is not None:
                return (gradient(dy, *args, **options), *[None] * (len(needs) - 1))
            if ready is not None and needs[0]:
                first, needs = ready if dy == 1 else ready * dy, (False, *needs[1:])
                if not any(needs):
                    return (first, *[None] * (len(needs) - 1))
            else:
                first = None
            gradients = loss.backward(dy, *args, needs=needs, **options)  # type: ignore[attr-defined]
            if first is not None:
                gradients = (first, *gradients[1:])
            gradients += (None,) * (len(needs) - len(gradients))
            # one operand may be given once for all of a row
            return tuple(
                g if g is None or g.shape == np.shape(x) else kernels.sum(g, -1).reshape(np.shape(x))
                for g, x in zip(gradients, args, strict=False)
            )

        return y, backward

    parameters = list(inspect.signature(loss).parameters.values())
    marked = [p.replace(annotation="Array") if i < arrays else p for i, p in enumerate(parameters)]
    operation.__signature__ = inspect.Signature(marked)  # type: ignore[attr-defined]
    operation.__name__ = operation.__qualname__ = loss.__name__
    operation.__doc__, operation.__module__ = loss.__doc__, __name__
    return differentiable(operation)


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
gaussian_nll_loss = _differentiable(kernels.gaussian_nll_loss, 3)
multi_margin_loss = _differentiable(kernels.multi_margin_loss, 2)
multilabel_margin_loss = _differentiable(kernels.multilabel_margin_loss, 2)
cosine_embedding_loss = _differentiable(kernels.cosine_embedding_loss, 3)
triplet_margin_loss = _differentiable(kernels.triplet_margin_loss, 3)
ctc_loss = _differentiable(kernels.ctc_loss, 4)
multilabel_soft_margin_loss = _differentiable(kernels.multilabel_soft_margin_loss, 2)
nll_loss = _differentiable(kernels.nll_loss, 2, kernels.nll_loss_backward)


def one_hot(target: Any, num_classes: int = -1) -> Any:
    """Give 1 at each label and 0 elsewhere, as int64: one-vs-all targets; see `kernels.one_hot`."""
    y = kernels.one_hot(unwrap(target), num_classes)
    return wrap(y) if isinstance(target, Tensor) else y
