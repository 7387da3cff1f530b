"""Losses of whole batches, and their gradients.

Arrays are float32 or float64 in any layout (TypeError for others); reduction is "none", "mean" or "sum". A reduced
loss is a NumPy scalar. Sums go over fixed-size blocks in order, so they have the same bits for any number of threads.
"""

import numpy as np
from numpy import ndarray

from ._memory import empty
from ._parallel import tasks
from ._shapes import F4, F8, as_float_array, contiguous, promote
from .cpu import loss as cpu

GRAIN = 32768  # elements worth waking a second thread for
REDUCTIONS = ("none", "mean", "sum")
FLOATS, I8 = (F4, F8), np.dtype(np.int64)


def cross_entropy(input, target, reduction="mean"):
    """Return -log softmax(input)[target], or its mean or sum over the batch.

    input (B, C), (B, C, d1, ...) or (C,): logits. target: integer labels of input's shape without C, or probabilities
    of input's shape. -> (B, d1, ...) or a scalar; the mean is over labels, as in PyTorch. The logarithm is fused with
    the softmax, so that nothing overflows or underflows. Infinite or NaN logits give NaN or inf, as the formula says.

    Raises ValueError for shapes that do not fit and labels outside 0 .. C - 1, TypeError for other dtypes.
    """
    logits, goal, shape, count = _operands("cross_entropy", input, target, reduction)
    losses = empty((len(logits),), logits.dtype)
    kernel = cpu.cross_entropy__labels if goal.ndim == 1 else cpu.cross_entropy__probabilities
    kernel[logits.dtype](logits, goal, losses, *_split(logits))
    return _reduce("cross_entropy", losses, goal, logits.shape[1], shape, reduction, count)


def cross_entropy_backward(dloss, input, target, reduction="mean"):
    """Return the gradient of cross_entropy's input: (softmax(input) - target) dloss, over B for the mean.

    dloss: a number, or for reduction "none" an array of the losses' shape. Raises as cross_entropy does.
    """
    logits, goal, shape, count = _operands("cross_entropy_backward", input, target, reduction)
    if reduction == "none":
        dloss = as_float_array("cross_entropy_backward", "dloss", dloss)
        if dloss.shape != shape:
            raise ValueError(f"cross_entropy_backward: dloss has shape {dloss.shape}, expected {shape}")
        _, dx = _with_gradient("cross_entropy_backward", logits, goal, 1.0)
        dx *= dloss.reshape(-1, 1)
    else:
        _, dx = _with_gradient("cross_entropy_backward", logits, goal, _scale(float(dloss), reduction, count))
    return _restore(dx, np.shape(input))


def cross_entropy_with_gradient(input, target, reduction="mean"):
    """Return (cross_entropy, its gradient for dloss = 1) from one pass over the logits; reduction "mean" or "sum"."""
    logits, goal, shape, count = _operands("cross_entropy", input, target, reduction)
    losses, dx = _with_gradient("cross_entropy", logits, goal, _scale(1.0, reduction, count))
    loss = _reduce("cross_entropy", losses, goal, logits.shape[1], shape, reduction, count)
    return loss, _restore(dx, np.shape(input))


def mse_loss(input, target, reduction="mean"):
    """Return (input - target)^2, or its mean or sum over all elements.

    input, target (any shape, the same) -> that shape or a scalar. Raises ValueError if shapes differ, TypeError for
    dtypes other than float32 and float64.
    """
    x, target = _pair("mse_loss", input, target, reduction)
    if reduction == "none":
        difference = x - target
        difference *= difference
        return difference
    blocks = -(-x.size // cpu.BLOCK)
    partial = empty((blocks,), x.dtype)
    cpu.squared_error__blocks[x.dtype](
        _flat(x), _flat(target), partial, blocks, 1 if blocks < 16 else tasks(blocks, GRAIN // cpu.BLOCK)
    )
    return _total(partial, reduction, x.size)


def mse_loss_backward(dloss, input, target, reduction="mean"):
    """Return the gradient of mse_loss's input: 2 (input - target) dloss, over the number of elements for the mean.

    dloss: a number, or for reduction "none" an array of input's shape.
    """
    x, target = _pair("mse_loss_backward", input, target, reduction)
    scale = 2.0 if reduction == "none" else _scale(2.0 * float(dloss), reduction, x.size)
    dx = empty(x.shape, x.dtype)
    cpu.mse_loss_backward__vector[x.dtype](_flat(x), _flat(target), scale, dx.reshape(-1), x.size, tasks(x.size, GRAIN))
    if reduction == "none":
        dx *= dloss
    return dx


def _operands(function, input, target, reduction):
    """Return logits (R, C), labels (R,) or probabilities (R, C), the shape of losses and what a mean divides by."""
    if reduction not in REDUCTIONS:
        _refuse_reduction(function, reduction)
    if type(input) is type(target) is ndarray and target.dtype is I8 and input.ndim == 2:  # the common case
        shape = target.shape
        if (
            input.dtype in FLOATS
            and shape == input.shape[:1]
            and input.flags.c_contiguous
            and target.flags.c_contiguous
        ):
            return input, target, shape, shape[0]
    x = as_float_array(function, "input", input)
    target = np.asarray(target)
    if x.ndim == 0:
        raise ValueError(f"{function}: input must have at least 1 dimension, got shape ()")
    classes = x.shape[min(1, x.ndim - 1)]
    shape = x.shape[:1] + x.shape[2:] if x.ndim > 1 else ()
    if x.ndim > 2:
        x = np.moveaxis(x, 1, -1)
    kind = target.dtype.kind
    if kind in "iu":
        if target.shape != shape:
            raise ValueError(
                f"{function}: target has shape {target.shape} but labels for input {np.shape(input)} have {shape}"
            )
        goal = target.astype(np.int64, order="C", copy=False).reshape(-1)
    elif kind == "f":
        if target.shape != np.shape(input):
            raise ValueError(
                f"{function}: target has shape {target.shape} but input has {np.shape(input)}; probabilities need the "
                "same shape, labels an integer dtype"
            )
        target = np.moveaxis(target, 1, -1) if x.ndim > 2 else target
        x, goal = promote(function, input=x, target=target)
        goal = contiguous(goal).reshape(-1, classes)
    else:
        raise TypeError(f"{function}: target must be integer labels or float probabilities, got {target.dtype}")
    count = len(goal)
    return contiguous(x).reshape(count, classes), goal, shape, count


def _split(logits):
    """Return the range of rows and its number of tasks."""
    rows, classes = logits.shape
    return rows, 1 if rows * classes < 2 * GRAIN else tasks(rows, -(-GRAIN // classes))


def _with_gradient(function, logits, goal, scale):
    losses, dx = empty((len(logits),), logits.dtype), empty(logits.shape, logits.dtype)
    if goal.ndim == 1:
        kernel = cpu.cross_entropy_with_gradient__labels
    else:
        kernel = cpu.cross_entropy_with_gradient__probabilities
    kernel[logits.dtype](logits, goal, scale, losses, dx, *_split(logits))
    if goal.ndim == 1 and function.endswith("backward"):
        _check_labels(function, goal, logits.shape[1])
    return losses, dx


def _reduce(function, losses, goal, classes, shape, reduction, count):
    """Return the loss. A label out of range has made it NaN, so labels are looked at only then."""
    total = losses.reshape(shape) if reduction == "none" else _total(losses, reduction, count)
    if goal.ndim == 1 and (np.isnan(losses).any() if reduction == "none" else total != total):
        _check_labels(function, goal, classes)
    return total


def _check_labels(function, labels, classes):
    bad = (labels < 0) | (labels >= classes)
    if bad.any():
        raise ValueError(f"{function}: label {labels[bad][0]} is out of range for {classes} classes")


def _total(parts, reduction, count):
    total = empty((1,), parts.dtype)
    # the mean of nothing is NaN, as 0 / 0
    scale = 1.0 if reduction == "sum" else (1.0 / count if count else float("nan"))
    cpu.total__scaled[parts.dtype](parts, scale, total)
    return total[0]


def _scale(dloss, reduction, count):
    return dloss / max(1, count) if reduction == "mean" else dloss


def _restore(dx, shape):
    """Return a gradient of rows (R, C) in the shape of the logits."""
    if dx.shape == shape:
        return dx
    if len(shape) <= 2:
        return dx.reshape(shape)
    return np.moveaxis(dx.reshape(shape[:1] + shape[2:] + shape[1:2]), -1, 1)


def _pair(function, input, target, reduction):
    if reduction not in REDUCTIONS:
        _refuse_reduction(function, reduction)
    x, target = promote(function, input=input, target=target)
    if x.shape != target.shape:
        raise ValueError(f"{function}: input has shape {x.shape} but target has {target.shape}")
    return x, target


def _refuse_reduction(function, reduction):
    raise ValueError(f"{function}: reduction must be 'none', 'mean' or 'sum', got {reduction!r}")


def _flat(x):
    return x.ravel() if x.flags.c_contiguous else x.copy(order="C").ravel()
