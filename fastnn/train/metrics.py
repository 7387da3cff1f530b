"""Figures of merit of a classifier, on plain arrays; over a stream of batches they are in `streams`."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn._checks import numbers, whole

Array = np.ndarray[Any, Any]


def accuracy(output: Array, target: Array, threshold: float = 0.5) -> float:
    """Share of samples whose highest output is the right class.

    Parameters
    ----------
    output : (N, C) or (N, C, ...)
        Logits or probabilities. (N,) or (N, 1): a number that says yes from `threshold` on.
    target : (N,) or (N, ...) integers, or the shape of `output`
        Class indices, or one probability per class (one-hot for instance), of which the highest counts.
    threshold : float
        0.5 is for probabilities; for logits it is 0: ``metrics={"accuracy": partial(accuracy, threshold=0)}``.

    Raises
    ------
    ValueError
        If the shapes do not fit together.
    """
    output, target = _arrays("accuracy", output, target)
    if output.ndim == 1 or output.shape[1] == 1:
        if output.size != target.size:
            raise ValueError(f"accuracy: output {output.shape} and target {target.shape} differ in size")
        return float(np.mean((output.reshape(-1) >= threshold) == (target.reshape(-1) >= 0.5)))
    if target.shape == output.shape:
        target = target.argmax(axis=1)
    predicted = output.argmax(axis=1)
    if predicted.shape != target.shape:
        raise ValueError(f"accuracy: output {output.shape} needs a target of {predicted.shape}, got {target.shape}")
    return float(np.count_nonzero(predicted == target) / max(predicted.size, 1))


def top_k(output: Array, target: Array, k: int = 5) -> float:
    """Share of samples whose right class is among the k highest outputs.

    Of equal outputs those that stand first count as higher. output (N, C), target (N,) integers.

    Raises
    ------
    ValueError
        If the shapes do not fit together, or k is not in 1..C.
    """
    output, target = _arrays("top_k", output, target)
    whole("top_k", "k", k, 1)
    if output.ndim != 2 or target.shape != output.shape[:1]:
        raise ValueError(f"top_k: expected output (N, C) and target (N,), got {output.shape} and {target.shape}")
    if not 1 <= k <= output.shape[1]:
        raise ValueError(f"top_k: k must be in 1..{output.shape[1]} for output {output.shape}, got {k}")
    _check_labels("top_k", target, output.shape[1])
    right = np.take_along_axis(output, target[:, np.newaxis].astype(np.int64, copy=False), axis=1)
    before = np.arange(output.shape[1]) < target[:, np.newaxis]
    rank = np.count_nonzero((output > right) | ((output == right) & before), axis=1)
    # a nan is greater than nothing: without the second condition a row of nan would count as a hit
    return float(np.count_nonzero((rank < k) & ~np.isnan(output).any(axis=1)) / max(len(output), 1))


def confusion_matrix(predicted: Array, target: Array, classes: int | None = None) -> Array:
    """Count how often each class was taken for each.

    Parameters
    ----------
    predicted : (N,) integers or (N, C)
        Class indices, or outputs of which the highest counts.
    target : (N,) integers
        The right classes.
    classes : int, optional
        Number of classes; found from the arguments if not given.

    Returns
    -------
    int64 (classes, classes)
        Row: the right class. Column: what it was taken for.

    Raises
    ------
    ValueError
        If lengths differ, or a class is out of range.
    """
    predicted, target = _arrays("confusion_matrix", predicted, target, "predicted")
    if classes is not None:
        whole("confusion_matrix", "classes", classes, 1, 1 << 24)
    if predicted.ndim == 2:
        classes = classes or predicted.shape[1]
        predicted = predicted.argmax(axis=1)
    if predicted.shape != target.shape or target.ndim != 1:
        raise ValueError(f"confusion_matrix: predicted {predicted.shape} and target {target.shape} must both be (N,)")
    n = int(max(predicted.max(initial=-1), target.max(initial=-1))) + 1 if classes is None else classes
    _check_labels("confusion_matrix", predicted, n)
    _check_labels("confusion_matrix", target, n)
    return np.bincount(target.astype(np.int64) * n + predicted, minlength=n * n).reshape(n, n)


def predictions(where: str, output: Array, target: Array, threshold: float = 0.5) -> tuple[Array, Array, int]:
    """Give (predicted classes, right classes, number of classes) of outputs and targets as `accuracy` takes them.

    Raises ValueError if the shapes do not fit together or a label is out of range.
    """
    output, target = _arrays(where, output, target)
    if output.ndim == 1 or output.shape[1] == 1:
        if output.size != target.size:
            raise ValueError(f"{where}: output {output.shape} and target {target.shape} differ in size")
        if target.size and target.max() > 1:
            raise ValueError(
                f"{where}: output {output.shape} is for two classes, but there is a target of {target.max()}"
            )
        predicted, truth = output.reshape(-1) >= threshold, target.reshape(-1) >= 0.5
        return predicted.astype(np.int64), truth.astype(np.int64), 2
    if target.shape == output.shape:
        target = target.argmax(axis=1)
    predicted = output.argmax(axis=1)
    if predicted.shape != target.shape:
        raise ValueError(f"{where}: output {output.shape} needs a target of {predicted.shape}, got {target.shape}")
    _check_labels(where, target, output.shape[1])
    return predicted.reshape(-1), target.reshape(-1).astype(np.int64, copy=False), output.shape[1]


def _arrays(where: str, output: Any, target: Any, name: str = "output") -> tuple[Array, Array]:
    """Give outputs and targets as arrays of at least one dimension."""
    pair = numbers(where, name, output), numbers(where, "target", target)
    for argument, array in zip((name, "target"), pair, strict=True):
        if not array.ndim:
            raise ValueError(f"{where}: {argument} must be an array of samples, got the number {array}")
    return pair


def _check_labels(where: str, labels: Array, classes: int) -> None:
    if labels.dtype.kind not in "iub":
        raise ValueError(f"{where}: class labels must be integers, got {labels.dtype}")
    if labels.size and not (0 <= labels.min() and labels.max() < classes):
        raise ValueError(f"{where}: labels must be in 0..{classes - 1}, got {labels.min()}..{labels.max()}")
