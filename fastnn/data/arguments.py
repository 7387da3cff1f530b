"""What a loader is given, checked."""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastnn._checks import numbers, shown
from fastnn.data.datasets import IterableDataset, Paired
from fastnn.data.gathering import Source
from fastnn.data.samplers import WeightedRandomSampler
from fastnn.tape import Tensor

Array = np.ndarray[Any, Any]


def balanced_weights(labels: Any) -> Array:
    """Give every sample a weight so that all classes weigh the same, and the mean is 1: N / (classes * count).

    labels (N,) integers -> float64 (N,). What scikit-learn calls ``class_weight="balanced"`` (King & Zeng, 2001).
    Raises ValueError for other labels.
    """
    labels = numbers("balanced_weights", "labels", labels)
    if labels.ndim != 1 or labels.dtype.kind not in "iub" or not len(labels):
        raise ValueError(f"balanced_weights: labels must be integers (N,), got {labels.dtype} {labels.shape}")
    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    weights: Array = (len(labels) / (len(counts) * counts))[inverse]
    return weights


def dataset_of(data: Any) -> Any:
    """Give a data set: arrays are paired, what has items or can be gone through stays as it is."""
    if isinstance(data, np.ndarray | Tensor | tuple | Mapping):
        return Paired(data)
    if hasattr(data, "iloc") and hasattr(data, "shape"):  # a table, whose items would be columns
        return Paired(np.asarray(data))
    plain = isinstance(data, str | bytes | type | np.generic)
    if isinstance(data, IterableDataset) or (hasattr(data, "__getitem__") and not plain):
        return data
    advice = "; what can only be gone through must be an IterableDataset" if hasattr(data, "__next__") else ""
    raise TypeError(
        "DataLoader: data must be an array, or a tuple or dict of arrays, or a data set with __getitem__ and __len__, "
        f"got {type(data).__name__}{advice}"
    )


def weighted_sampler(weights: Any, dataset: Any, source: Source | None) -> WeightedRandomSampler:
    """Give the sampler of `weights`."""
    count = len(dataset)
    if isinstance(weights, str):
        if weights != "balanced":
            raise ValueError(f"DataLoader: weights must be numbers or 'balanced', got {weights!r}")
        if source is None:
            raise ValueError("DataLoader: weights='balanced' needs arrays; of items it cannot see the labels")
        labels = source.arrays[-1]
        weights = balanced_weights(labels if source.rows is None else labels[source.rows])
    given: Array = numbers("DataLoader", "weights", weights).astype(np.float64)
    if given.shape != (count,) or not (np.isfinite(given).all() and (given >= 0).all() and given.any()):
        raise ValueError(
            f"DataLoader: weights must be {count} finite numbers from 0, not all 0; got shape {given.shape}"
        )
    return WeightedRandomSampler(given, count)


def within(order: Array, count: int) -> Array:
    """Give indices from 0, counted from the end where they are negative. Raises IndexError for others."""
    if order.size and not (-count <= order.min() and order.max() < count):
        raise IndexError(f"DataLoader: the sampler gave indices {order.min()}..{order.max()} of {count} samples")
    return np.where(order < 0, order + count, order)


def context_of(context: Any) -> Any:
    """Give a context of `multiprocessing`, or None for threads."""
    if context is None or hasattr(context, "Process"):
        return context
    methods = multiprocessing.get_all_start_methods()
    if context not in methods:
        got = shown(context)
        raise ValueError(
            f"DataLoader: multiprocessing_context must be a context or one of {', '.join(methods)}, got {got}"
        )
    return multiprocessing.get_context(context)


def check_switches(**given: Any) -> None:
    """Raise TypeError for what is not True or False."""
    for name, value in given.items():
        if not isinstance(value, bool | np.bool_ | int):
            raise TypeError(f"DataLoader: {name} must be True or False, got {shown(value)}")


def check_counts(**given: Any) -> None:
    """Raise ValueError for what is no number of batches, or of workers."""
    for name, value in given.items():
        if not is_count(value, 0):
            what = "batches" if name == "prefetch" else "workers"
            raise ValueError(f"DataLoader: {name} must be a number of {what} from 0, got {shown(value)}")


def check_functions(**given: Any) -> None:
    """Raise TypeError for what is neither a function nor None."""
    for name, value in given.items():
        if value is not None and not callable(value):
            raise TypeError(f"DataLoader: {name} must be a function, got {type(value).__name__}")


def is_count(value: Any, least: int) -> bool:
    """Say whether a value is an integer of at least `least`."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and int(value) >= least
