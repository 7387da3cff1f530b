"""Losses of class labels, and their gradients; what these are called with: see `protocol`.

Arrays are float32 or float64 in any layout (TypeError for others); reduction is "none", "mean" or "sum". A reduced
loss is a NumPy scalar. Sums go over fixed-size blocks in order, so they have the same bits for any number of threads.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy import ndarray

from ..ground.checks import I8, INT_LIMIT, as_array, integer, number
from ..ground.operation import Layout, operation
from .protocol import Asked, loss

__all__ = [
    "cross_entropy", "cross_entropy_backward", "cross_entropy_with_gradient", "nll_loss", "nll_loss_backward",
    "one_hot",
]  # fmt: skip

LARGEST = np.iinfo(I8).max


class ClassLoss(NamedTuple):
    """Losses of logits or log-probabilities (B, C, ...) or (C,).

    target: probabilities of the input's shape, or None where there are labels, of that shape without C: `shape`.
    """

    asked: Asked
    input: Layout
    target: Layout | None
    labels: Layout | None
    weight: Layout | None
    ignore_index: int
    smoothing: float
    classes: int
    shape: tuple[int, ...]

    def refuse(self, labels):
        """Raise ValueError if a label is out of range."""
        refuse_labels(self.asked.function, labels[labels != self.ignore_index], self.classes)


def _class_loss(asked, options, input, weight, labels, target=None):
    function, (ignore_index, *smoothing) = asked.function, options
    if input.ndim == 0:
        raise ValueError(f"{function}: input must have at least 1 dimension, got shape ()")
    shape, classes = input.shape[:1] + input.shape[2:] if input.ndim > 1 else (), input.shape[min(1, input.ndim - 1)]
    if target is not None and target.shape != input.shape:
        raise ValueError(
            f"{function}: target has shape {target.shape} but input has {input.shape}; probabilities need the same "
            "shape, labels an integer dtype"
        )
    check_labels(function, labels, input.shape, shape)
    check_weight(function, weight, classes)
    return ClassLoss(asked, input, target, labels, weight, ignore_index, *(smoothing or (0.0,)), classes, shape)


@loss(_class_loss, "input target weight labels", optional="target labels", integers="labels", converted="weight")
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
    if type(label_smoothing) is not float:
        label_smoothing = number("cross_entropy", "label_smoothing", label_smoothing)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing must be from 0 to 1, got {label_smoothing}")
    options, labels = (_ignore("cross_entropy", ignore_index), label_smoothing), None
    if type(target) is not ndarray or target.dtype is not I8:
        target = label_array("cross_entropy", "target", target)
    if target.dtype.kind != "f":
        target, labels = None, as_labels("cross_entropy", "target", target, "integer labels or float probabilities")
    return (input, target, weight, labels), reduction, options


cross_entropy_backward = cross_entropy.backward
cross_entropy_with_gradient = cross_entropy.with_gradient


@loss(_class_loss, "input weight labels", integers="labels", converted="weight")
def nll_loss(input, target, weight=None, ignore_index=-100, reduction="mean"):
    """Return -input[target], input being log-probabilities, or its mean or sum.

    Shapes, weight (C,), ignore_index and errors are those of cross_entropy with labels.
    """
    labels = as_labels("nll_loss", "target", target)
    return (input, weight, labels), reduction, (_ignore("nll_loss", ignore_index),)


nll_loss_backward = nll_loss.backward


def _ignore(function, ignore_index):
    if type(ignore_index) is int and -INT_LIMIT <= ignore_index < INT_LIMIT:
        return ignore_index
    return integer(function, "ignore_index", ignore_index, -INT_LIMIT)


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
        num_classes = max(int(labels.max()) + 1, 1)
    return _one_hot.run(None, as_labels("one_hot", "target", labels), num_classes)


class OneHot(NamedTuple):
    """Labels of any shape, and the number of classes."""

    labels: Layout
    classes: int

    def refuse(self, labels):
        """Raise ValueError if a label is out of range."""
        refuse_labels("one_hot", labels, self.classes)


@operation(integers="target")
def _one_hot(target, num_classes):
    return OneHot(target, integer("one_hot", "num_classes", num_classes, 1))


def as_labels(function, name, target, wanted="integer labels"):
    """Return labels as an int64 array. TypeError unless they are integers, ValueError beyond int64."""
    if type(target) is ndarray and target.dtype is I8:
        return target
    labels = label_array(function, name, target)
    if labels.dtype.kind not in "iu":
        raise TypeError(f"{function}: {name} must be {wanted}, got {labels.dtype}")
    if labels.dtype.kind == "u" and labels.dtype.itemsize == 8 and labels.size and labels.max() > LARGEST:
        raise ValueError(f"{function}: label {labels.max()} is out of range")
    return np.array(labels, I8, order="C")


def label_array(function, name, x):
    """Return labels (array, list or tensor) as an array; an empty list becomes an array of integers."""
    if type(x) is ndarray:
        return x
    array = as_array(function, name, x)
    return array if array.size or hasattr(x, "dtype") else array.astype(I8)


def check_labels(function, labels, input_shape, shape):
    """Raise ValueError unless labels have the shape that an input wants."""
    if labels is not None and labels.shape != shape:
        raise ValueError(f"{function}: target has shape {labels.shape} but labels for input {input_shape} have {shape}")


def check_weight(function, weight, classes):
    """Raise ValueError unless there is one weight for each class."""
    if weight is not None and weight.shape != (classes,):
        raise ValueError(f"{function}: weight has shape {weight.shape}, expected ({classes},): one for each class")


def refuse_labels(function, labels, classes):
    """Raise ValueError if a label is out of range."""
    bad = (labels < 0) | (labels >= classes)
    if bad.any():
        raise ValueError(f"{function}: label {labels[bad].flat[0]} is out of range for {classes} classes")
