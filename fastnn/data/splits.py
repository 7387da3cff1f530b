"""Splitting a data set into training, validation and test parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def split(
    x: Array, y: Array, sizes: Sequence[int | float] = (0.8, 0.2), *, seed: int = 0, stratify: bool = True
) -> list[tuple[Array, Array]]:
    """Cut a data set into parts that share no sample, in random order.

    Parameters
    ----------
    x, y : arrays
        Samples and their labels, paired along the first axis.
    sizes : sequence of int or of float
        Numbers of samples, or fractions of the whole. What they leave over is left out.
    seed : int
        The same seed gives the same parts, on any machine.
    stratify : bool
        Give every part each class in the proportion of the whole (to within about one sample). Needs integer labels.

    Returns
    -------
    list of (x, y)
        One pair of new arrays per entry of `sizes`.

    Raises
    ------
    ValueError
        If x and y differ in length, sizes ask for more than there is or would leave a part empty, or labels cannot
        be stratified.

    Examples
    --------
    >>> x, y = np.arange(10.0), np.repeat([0, 1], 5)
    >>> train, validation, test = split(x, y, (6, 2, 2))
    >>> train[1].sum(), validation[1].sum(), test[1].sum()
    (np.int64(3), np.int64(1), np.int64(1))
    """
    x, y = np.asarray(x), np.asarray(y)
    if x.ndim == 0 or y.ndim == 0 or len(x) != len(y):
        raise ValueError(f"split: x and y must pair along the first axis, got shapes {x.shape} and {y.shape}")
    counts = _counts(len(x), sizes)
    rng = np.random.default_rng(seed)
    order = _spread(y, rng) if stratify else rng.permutation(len(x))
    parts, start = [], 0
    for count in counts:
        chosen = rng.permutation(order[start : start + count])
        parts.append((x[chosen], y[chosen]))
        start += count
    return parts


def _counts(n: int, sizes: Sequence[int | float]) -> list[int]:
    """Turn sizes (all integers, or all fractions) into numbers of samples."""
    if not sizes:
        raise ValueError("split: sizes is empty")
    if all(isinstance(size, (int, np.integer)) and not isinstance(size, bool) for size in sizes):
        counts = [int(size) for size in sizes]
    elif all(isinstance(size, (float, np.floating)) and 0 < size <= 1 for size in sizes):
        if sum(sizes) > 1 + 1e-9:
            raise ValueError(f"split: the fractions {tuple(sizes)} add up to {sum(sizes):g}, more than 1")
        # Round the cuts, not the parts: then 0.8 and 0.2 of anything use every sample.
        cuts = np.rint(np.cumsum([0.0, *sizes]) * n).astype(int)
        counts = [int(count) for count in np.diff(cuts)]
    else:
        raise ValueError(f"split: sizes must be all integers or all fractions in (0, 1], got {tuple(sizes)}")
    if min(counts) < 1:
        raise ValueError(f"split: sizes {tuple(sizes)} of {n} samples leave a part empty: {counts}")
    if sum(counts) > n:
        raise ValueError(f"split: sizes {tuple(sizes)} ask for {sum(counts)} samples, there are {n}")
    return counts


def _spread(labels: Array, rng: np.random.Generator) -> Array:
    """Order the samples so that every stretch of the order holds the classes in their overall proportions.

    The n samples of a class take the places 1/2n, 3/2n, 5/2n ... on a line from 0 to 1; read off the line from left to
    right. Which sample takes which place, and who goes first at equal places, is random.
    """
    if labels.ndim != 1 or labels.dtype.kind not in "iub":
        raise ValueError(
            f"split: stratify needs integer labels (N,), got {labels.dtype} {labels.shape}; pass stratify=False"
        )
    order = rng.permutation(len(labels))
    shuffled = labels[order]
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = np.flatnonzero(shuffled == label)
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    return order[np.argsort(place, kind="stable")]
