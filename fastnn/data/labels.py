"""Class labels of any kind as integers, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn._checks import array_of

Array = np.ndarray[Any, Any]


class LabelEncoder:
    """Number the classes among labels, in ascending order; the methods and `classes_` are scikit-learn's.

    Attributes
    ----------
    classes_ : array (C,)
        The classes. Number i stands for ``classes_[i]``.

    Examples
    --------
    >>> encoder = LabelEncoder()
    >>> encoder.fit_transform(["cat", "dog", "cat"]).tolist()
    [0, 1, 0]
    >>> encoder.inverse_transform([1, 0]).tolist()
    ['dog', 'cat']
    """

    classes_: Array

    def fit(self, y: Any) -> LabelEncoder:
        """Find the classes among labels (N,). Raises ValueError for other shapes."""
        self.classes_ = np.unique(_labels(y))
        return self

    def transform(self, y: Any) -> Array:
        """Give the number of each label, int64 (N,). Raises ValueError for labels that `fit` has not seen."""
        labels, classes = _labels(y), self._fitted()
        if not len(classes):
            numbers = np.zeros(len(labels), np.int64)
            known = np.zeros(len(labels), bool)
        else:
            numbers = np.minimum(np.searchsorted(classes, labels), len(classes) - 1).astype(np.int64)
            known = classes[numbers] == labels
        if not np.all(known):
            new = np.unique(labels[~known])[:10].tolist()
            raise ValueError(f"LabelEncoder: there are labels that fit has not seen: {new}")
        return numbers

    def fit_transform(self, y: Any) -> Array:
        """Find the classes, and give the number of each label."""
        return self.fit(y).transform(y)

    def inverse_transform(self, y: Any) -> Array:
        """Give the labels of numbers (N,). Raises ValueError for numbers that stand for no class."""
        numbers, classes = array_of("LabelEncoder", "y", y), self._fitted()
        if numbers.ndim != 1 or (numbers.size and numbers.dtype.kind not in "iub"):
            raise ValueError(f"LabelEncoder: y must be integers (N,), got {numbers.dtype} {numbers.shape}")
        if numbers.size and not (0 <= numbers.min() and numbers.max() < len(classes)):
            raise ValueError(f"LabelEncoder: y must be in 0..{len(classes) - 1}, got {numbers.min()}..{numbers.max()}")
        labels: Array = classes[numbers.astype(np.intp)]
        return labels

    def _fitted(self) -> Array:
        if not hasattr(self, "classes_"):
            raise ValueError("LabelEncoder: call fit first")
        return self.classes_


def _labels(y: Any) -> Array:
    labels = array_of("LabelEncoder", "y", y)
    if labels.dtype.kind == "O" and all(isinstance(label, str) for label in labels.reshape(-1)):
        labels = labels.astype(str)
    if labels.ndim != 1 or labels.dtype.kind == "O":
        raise ValueError(f"LabelEncoder: labels must be texts or numbers (N,), got {labels.dtype} {labels.shape}")
    return labels


def are_texts(y: Any) -> bool:
    """Say whether labels are texts."""
    if isinstance(y, list | tuple):
        return bool(y) and all(isinstance(label, str) for label in y)
    array = np.asarray(y) if hasattr(y, "__array__") else None
    if array is None or array.ndim != 1:
        return False
    return array.dtype.kind in "UT" or (
        array.dtype.kind == "O" and array.size > 0 and all(isinstance(label, str) for label in array)
    )
