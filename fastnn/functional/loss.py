"""Losses: the functions of `fastnn_kernels`, made differentiable; see there for shapes, arguments and errors."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

import fastnn_kernels as kernels
from fastnn.tape import Array, Gradients, Needs, Tensor, WithBackward, differentiable, unwrap, wrap


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
gaussian_nll_loss = _differentiable(kernels.gaussian_nll_loss, 3)
multi_margin_loss = _differentiable(kernels.multi_margin_loss, 2)
multilabel_margin_loss = _differentiable(kernels.multilabel_margin_loss, 2)
multilabel_soft_margin_loss = _differentiable(kernels.multilabel_soft_margin_loss, 2)
cosine_embedding_loss = _differentiable(kernels.cosine_embedding_loss, 3)
triplet_margin_loss = _differentiable(kernels.triplet_margin_loss, 3)
ctc_loss = _differentiable(kernels.ctc_loss, 4)


def one_hot(target: Any, num_classes: int = -1) -> Any:
    """Give 1 at each label and 0 elsewhere, as int64: one-vs-all targets; see `kernels.one_hot`."""
    y = kernels.one_hot(unwrap(target), num_classes)
    return wrap(y) if isinstance(target, Tensor) else y
