"""Losses of class labels, and their gradients; those of single elements are in `loss_elementwise`.

Arrays are float32 or float64 in any layout (TypeError for others); reduction is "none", "mean" or "sum". A reduced
loss is a NumPy scalar. Sums go over fixed-size blocks in order, so they have the same bits for any number of threads.
"""

from math import prod

import numpy as np
from numpy import ndarray

from ..cpu.loss import cross_entropy as cpu
from ..ground.checks import F4, F8, I8, INT_LIMIT, as_array, as_float_array, contiguous, integer, number, promote
from ..ground.memory import empty, zeros
from ..ground.threads import tasks

GRAIN = 32768  # elements worth waking a second thread for
FLOATS = (F4, F8)
LARGEST = np.iinfo(I8).max
NOTHING = {dtype: np.empty(0, dtype) for dtype in FLOATS}


def cross_entropy(input, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    """Return -log softmax(input)[target], or its mean or sum over the batch.

    input (B, C), (B, C, d1, ...) or (C,): logits. target: integer labels of input's shape without C, or probabilities
    of input's shape. -> (B, d1, ...) or a scalar. weight (C,): of each class; the mean over labels is divided by the
    weights of all labels, over probabilities by their number, as in PyTorch. Labels of ignore_index count for nothing.
    label_smoothing, 0 to 1: the share of the target that goes to all classes alike (Szegedy et al., 2016). The
    logarithm is fused with the softmax, so that nothing overflows or underflows. Infinite or NaN logits give NaN or
    inf, as the formula says.

    Raises ValueError for shapes that do not fit and labels outside 0 .. C - 1, TypeError for other dtypes.
    """
    call = _Call("cross_entropy", input, target, weight, ignore_index, reduction, label_smoothing)
    return call.reduce(call.run(1.0, False)[0])


def cross_entropy_backward(dloss, input, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    """Return the gradient of cross_entropy's input: (softmax(input) - target) dloss, over B for the mean.

    dloss: a number, or for reduction "none" an array of the losses' shape. Raises as cross_entropy does.
    """
    function = "cross_entropy_backward"
    call = _Call(function, input, target, weight, ignore_index, reduction, label_smoothing)
    if reduction != "none":
        return call.restore(call.run(share(number(function, "dloss", dloss), reduction, call.divisor), True)[1])
    dx = call.run(1.0, True)[1]
    dx *= gradient_of_losses(function, dloss, call.shape).reshape(-1, 1)
    return call.restore(dx)


def cross_entropy_with_gradient(input, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    """Return (cross_entropy, its gradient for dloss = 1) from one pass over the logits; reduction "mean" or "sum"."""
    call = _Call("cross_entropy", input, target, weight, ignore_index, reduction, label_smoothing)
    losses, dx = call.run(share(1.0, reduction, call.divisor), True)
    return call.reduce(losses), call.restore(dx)


class _Call:
    """What the arguments mean: logits (R, C), labels (R,) or probabilities (R, C), the losses' shape, the divisor."""

    def __init__(self, function, input, target, weight, ignore_index, reduction, smoothing):
        check_reduction(function, reduction)
        self.function, self.reduction = function, reduction
        if type(smoothing) is not float:
            smoothing = number(function, "label_smoothing", smoothing)
        if smoothing and not 0 <= smoothing <= 1:
            raise ValueError(f"{function}: label_smoothing must be from 0 to 1, got {smoothing}")
        if type(ignore_index) is not int or not -INT_LIMIT <= ignore_index < INT_LIMIT:
            ignore_index = integer(function, "ignore_index", ignore_index, -INT_LIMIT)
        self.logits, self.goal, self.shape = operands(function, input, target)
        rows, classes = self.logits.shape
        self.input_shape = (*self.shape[:1], classes, *self.shape[1:])
        dtype = self.logits.dtype
        self.weight = NOTHING[dtype] if weight is None else class_weights(function, weight, classes, dtype)
        self.smoothing, self.ignore, self.divisor = smoothing, ignore_index, rows
        if self.goal.ndim == 1:
            self.divisor = used(function, self.goal, classes, self.weight, ignore_index)
        elif weight is not None or smoothing:
            self.goal = self.goal * dtype.type(1 - smoothing) + dtype.type(smoothing / max(1, classes))
            if weight is not None:
                self.goal *= self.weight

    def run(self, scale, gradient):
        """Return losses (R,) and, if asked for, the gradient (R, C) times scale."""
        logits, goal = self.logits, self.goal
        rows, classes = logits.shape
        losses, dx = empty((rows,), logits.dtype), empty((rows if gradient else 0, classes), logits.dtype)
        split = rows, 1 if rows * classes < 2 * GRAIN else tasks(rows, -(-GRAIN // classes))
        if goal.ndim == 2:
            cpu.cross_entropy__probabilities[logits.dtype](logits, goal, scale, losses, dx, *split)
        else:
            kernel = cpu.cross_entropy__few if classes <= cpu.FEW and rows >= 16 else cpu.cross_entropy__labels
            kernel[logits.dtype](logits, goal, self.weight, self.ignore, self.smoothing, scale, losses, dx, *split)
        return losses, dx

    def reduce(self, losses):
        """Return losses in their shape, or their mean or sum."""
        return losses.reshape(self.shape) if self.reduction == "none" else total(losses, self.reduction, self.divisor)

    def restore(self, dx):
        """Return a gradient of rows (R, C) in the shape of the logits."""
        shape = self.input_shape
        if dx.shape == shape:
            return dx
        if len(shape) <= 2:
            return dx.reshape(shape)
        return np.moveaxis(dx.reshape(shape[:1] + shape[2:] + shape[1:2]), -1, 1)


def nll_loss(input, target, weight=None, ignore_index=-100, reduction="mean"):
    """Return -input[target], input being log-probabilities, or its mean or sum.

    Shapes, weight (C,), ignore_index and errors are those of cross_entropy with labels.
    """
    losses, _, _, shape, divisor = _nll("nll_loss", input, target, weight, ignore_index, reduction)
    return losses.reshape(shape) if reduction == "none" else total(losses, reduction, divisor)


def nll_loss_backward(dloss, input, target, weight=None, ignore_index=-100, reduction="mean"):
    """Return the gradient of nll_loss's input: -weight dloss at the labels, 0 elsewhere."""
    function = "nll_loss_backward"
    _, weights, index, shape, divisor = _nll(function, input, target, weight, ignore_index, reduction)
    if reduction == "none":
        slope = gradient_of_losses(function, dloss, shape).reshape(-1) * weights
    else:
        slope = weights * weights.dtype.type(share(number(function, "dloss", dloss), reduction, divisor))
    dx = zeros(as_array(function, "input", input).shape, weights.dtype)
    rows = np.moveaxis(dx, 1, -1) if dx.ndim > 2 else dx
    np.put_along_axis(rows, index.reshape(*shape, 1), -slope.reshape(*shape, 1).astype(dx.dtype, copy=False), -1)
    return dx


def _nll(function, input, target, weight, ignore_index, reduction):
    check_reduction(function, reduction)
    ignore_index = integer(function, "ignore_index", ignore_index, -INT_LIMIT)
    x = as_float_array(function, "input", input)
    shape = label_shape(function, x)
    labels = integer_labels(function, target, x, shape)
    classes = x.shape[min(1, x.ndim - 1)]
    weight = NOTHING[x.dtype] if weight is None else class_weights(function, weight, classes, x.dtype)
    divisor = used(function, labels, classes, weight, ignore_index)
    ignored = labels == ignore_index
    index = np.where(ignored, 0, labels)
    weights = (weight[index] if weight.size else np.ones(labels.shape, x.dtype)) * ~ignored
    picked = np.take_along_axis(np.moveaxis(x, 1, -1) if x.ndim > 2 else x, index.reshape(*shape, 1), -1)
    losses = np.where(ignored, 0, -picked.reshape(-1) * weights).astype(x.dtype, copy=False)
    return losses, weights, index, shape, divisor


def one_hot(target, num_classes=-1):
    """Return 1 at each label and 0 elsewhere: one-vs-all targets. target (...) integers -> (..., num_classes) int64.

    num_classes -1: one more than the largest label. Raises TypeError for other dtypes, ValueError for labels outside
    0 .. num_classes - 1, and for no labels without num_classes.
    """
    labels = label_array("one_hot", "target", target)
    if labels.dtype.kind not in "iu":
        raise TypeError(f"one_hot: target must be integers, got {labels.dtype}")
    if isinstance(num_classes, int | np.integer) and num_classes == -1:
        if not labels.size:
            raise ValueError("one_hot: num_classes must be given if there are no labels")
        num_classes = int(labels.max()) + 1
    num_classes = integer("one_hot", "num_classes", num_classes, 1)
    refuse_labels("one_hot", labels, num_classes)
    made = zeros((*labels.shape, num_classes), I8)
    np.put_along_axis(made, labels[..., None].astype(np.int64, copy=False), 1, -1)
    return made


def operands(function, input, target):
    """Return logits (R, C), labels (R,) or probabilities (R, C), and the shape of the losses."""
    if type(input) is type(target) is ndarray and target.dtype is I8 and input.ndim == 2:  # the common case
        if (input.dtype is F4 or input.dtype is F8) and target.shape == input.shape[:1]:
            one, other = input.flags, target.flags
            if one.c_contiguous and one.aligned and other.c_contiguous and other.aligned:
                return input, target, target.shape
    x = as_float_array(function, "input", input)
    shape = label_shape(function, x)
    classes = x.shape[min(1, x.ndim - 1)]
    target = label_array(function, "target", target)
    if target.dtype.kind == "f":
        if target.shape != x.shape:
            raise ValueError(
                f"{function}: target has shape {target.shape} but input has {x.shape}; probabilities need the same "
                "shape, labels an integer dtype"
            )
        x, goal = promote(function, input=x, target=target)
        if x.ndim > 2:
            x, goal = np.moveaxis(x, 1, -1), np.moveaxis(goal, 1, -1)
        goal = contiguous(goal).reshape(prod(goal.shape[:-1]), classes)
    else:
        goal = integer_labels(function, target, x, shape)
        x = np.moveaxis(x, 1, -1) if x.ndim > 2 else x
    return contiguous(x).reshape(len(goal), classes), goal, shape


def label_shape(function, x):
    """Return the shape of labels for logits."""
    if x.ndim == 0:
        raise ValueError(f"{function}: input must have at least 1 dimension, got shape ()")
    return x.shape[:1] + x.shape[2:] if x.ndim > 1 else ()


def integer_labels(function, target, x, shape):
    """Return labels as int64 (R,)."""
    target = label_array(function, "target", target)
    if target.dtype.kind not in "iu":
        raise TypeError(f"{function}: target must be integer labels or float probabilities, got {target.dtype}")
    if target.shape != shape:
        raise ValueError(f"{function}: target has shape {target.shape} but labels for input {x.shape} have {shape}")
    return as_int64(function, target).reshape(-1)


def as_int64(function, labels):
    """Return integers as int64; ValueError for those beyond it, which a cast would wrap."""
    if labels.dtype.kind == "u" and labels.dtype.itemsize == 8 and labels.size and labels.max() > LARGEST:
        raise ValueError(f"{function}: label {labels.max()} is out of range")
    same = labels.dtype is I8 and labels.flags.c_contiguous and labels.flags.aligned
    return labels if same else np.array(labels, I8, order="C")


def label_array(function, name, x):
    """Return labels (array, list or tensor) as an array; an empty list becomes an array of integers."""
    if type(x) is ndarray:
        return x
    array = as_array(function, name, x)
    return array if array.size or hasattr(x, "dtype") else array.astype(I8)


def class_weights(function, weight, classes, dtype):
    """Return the weights of classes in the dtype of the logits."""
    weight = as_float_array(function, "weight", weight)
    if weight.shape != (classes,):
        raise ValueError(f"{function}: weight has shape {weight.shape}, expected ({classes},): one for each class")
    return contiguous(weight.astype(dtype, copy=False))


def used(function, labels, classes, weight, ignore):
    """Return the weights of all labels that are not ignored; ValueError for labels out of range."""
    found = empty((2,), F8)
    cpu.count__labels[weight.dtype](labels, classes, weight, ignore, found)
    if found[1]:
        refuse_labels(function, labels[labels != ignore], classes)
    return found[0]


def refuse_labels(function, labels, classes):
    """Raise ValueError if there are labels out of range."""
    bad = (labels < 0) | (labels >= classes)
    if bad.any():
        raise ValueError(f"{function}: label {labels[bad].flat[0]} is out of range for {classes} classes")


def total(parts, reduction, count, factor=1.0):
    """Return factor times the sum of parts, or times their sum over count; the mean of nothing is NaN, as 0 / 0."""
    made = empty((1,), parts.dtype)
    scale = factor if reduction == "sum" else (factor / count if count else float("nan"))
    cpu.total__scaled[parts.dtype](parts, scale, made)
    return made[0]


def flat(x):
    """Return the elements of an array as a 1-d array, without a copy if it is contiguous and aligned."""
    flags = x.flags
    return x.ravel() if flags.c_contiguous and flags.aligned else x.copy(order="C").ravel()


def share(dloss, reduction, count):
    """Return the gradient of each of `count` losses, from that of their mean or sum."""
    return dloss / (count or 1) if reduction == "mean" else dloss


def gradient_of_losses(function, dloss, shape):
    """Return the gradients of single losses; ValueError unless they have this shape."""
    dloss = as_float_array(function, "dloss", dloss)
    if dloss.shape != shape:
        raise ValueError(f"{function}: dloss has shape {dloss.shape}, expected {shape}")
    return dloss


def check_reduction(function, reduction):
    """Raise ValueError for a reduction that is none."""
    if not isinstance(reduction, str) or reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{function}: reduction must be 'none', 'mean' or 'sum', got {reduction!r}")
