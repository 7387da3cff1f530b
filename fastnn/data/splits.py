"""Splitting a data set into training, validation and test parts, once or in turns."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from fastnn._checks import array_of, shown, whole

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
    x, y = array_of("split", "x", x), array_of("split", "y", y)
    whole("split", "seed", seed)
    if x.ndim == 0 or y.ndim == 0 or len(x) != len(y):
        raise ValueError(f"split: x and y must pair along the first axis, got shapes {x.shape} and {y.shape}")
    counts = _counts(len(x), sizes)
    rng = np.random.default_rng(seed)
    order = _spread("split", y, rng) if stratify else rng.permutation(len(x))
    parts, start = [], 0
    for count in counts:
        chosen = rng.permutation(order[start : start + count])
        parts.append((x[chosen], y[chosen]))
        start += count
    return parts


def train_test_split(
    *arrays: Any,
    test_size: int | float | None = None,
    train_size: int | float | None = None,
    random_state: int = 0,
    shuffle: bool = True,
    stratify: Any = None,
) -> list[Array]:
    """Cut arrays, paired along the first axis, into a training and a test part; the arguments are scikit-learn's.

    Parameters
    ----------
    arrays : arrays
        One or more, of the same length.
    test_size, train_size : int or float, optional
        A number of samples or a share of all; what is not given is the rest, and a quarter is tested by default. Sizes
        are rounded as scikit-learn rounds them: the test part up, the training part down.
    random_state : int
        The same seed gives the same parts (others than scikit-learn's). The default is a seed, too.
    shuffle : bool
        Without it the test part is the end of the data.
    stratify : integer labels (N,), optional
        Give both parts each class in the proportion of the whole.

    Returns
    -------
    list of arrays
        ``x_train, x_test, y_train, y_test, ...``

    Raises
    ------
    ValueError
        If lengths differ, a part would be empty, the sizes ask for more than there is, or `stratify` comes without
        `shuffle`.
    """
    where = "train_test_split"
    kept = [array_of(where, f"array {i}", array) for i, array in enumerate(arrays)]
    whole(where, "random_state", random_state)
    if not kept or any(array.ndim == 0 or len(array) != len(kept[0]) for array in kept):
        shapes = ", ".join(str(array.shape) for array in kept) or "none"
        raise ValueError(f"{where}: arrays must pair along the first axis, got shapes {shapes}")
    n = len(kept[0])
    test = None if test_size is None else _size(where, "test_size", test_size, n, math.ceil)
    train = None if train_size is None else _size(where, "train_size", train_size, n, math.floor)
    if test is None:
        test = math.ceil(0.25 * n) if train is None else n - train
    train = n - test if train is None else train
    if train < 1 or test < 1 or train + test > n:
        raise ValueError(f"{where}: {train} training and {test} test samples cannot be had from {n}")
    if not shuffle:
        if stratify is not None:
            raise ValueError(f"{where}: stratify needs shuffle=True")
        order = np.arange(n)
        chosen = order[:train], order[train : train + test]
    else:
        rng = np.random.default_rng(random_state)
        order = rng.permutation(n) if stratify is None else _spread(where, _labels(where, stratify, n), rng)
        chosen = rng.permutation(order[test : test + train]), rng.permutation(order[:test])
    return [array[part] for array in kept for part in chosen]


class KFold:
    """Cut a data set into `n_splits` parts, each of which is the test part once; as scikit-learn's class of that name.

    Without `shuffle` the parts are stretches of the data, the first ones longer by one where the length does not
    divide; with it they are random, the same for the same `random_state`.

    Examples
    --------
    >>> [test.tolist() for train, test in KFold(3).split(np.zeros(7))]
    [[0, 1, 2], [3, 4], [5, 6]]
    """

    def __init__(self, n_splits: int = 5, *, shuffle: bool = False, random_state: int = 0) -> None:
        if isinstance(n_splits, bool) or not isinstance(n_splits, (int, np.integer)) or n_splits < 2:
            raise ValueError(f"{type(self).__name__}: n_splits must be an integer of at least 2, got {shown(n_splits)}")
        whole(type(self).__name__, "random_state", random_state)
        self.n_splits, self.shuffle, self.random_state = int(n_splits), shuffle, random_state

    def __len__(self) -> int:
        """Count the parts."""
        return self.n_splits

    def split(self, x: Any, y: Any = None) -> Iterator[tuple[Array, Array]]:
        """Yield (indices to train on, indices to test on), both in ascending order.

        Raises ValueError if there are fewer samples than parts.
        """
        if not hasattr(x, "__len__"):
            raise TypeError(f"{type(self).__name__}: x must be an array, got {shown(x)}")
        n = len(x)
        if n < self.n_splits:
            raise ValueError(f"{type(self).__name__}: {n} samples cannot be cut into {self.n_splits} parts")
        place = self._parts(n, y)
        for number in range(self.n_splits):
            yield np.flatnonzero(place != number), np.flatnonzero(place == number)

    def _parts(self, n: int, y: Any) -> Array:
        """Give the number of the part that each sample belongs to."""
        cuts = [len(part) for part in np.array_split(np.arange(n), self.n_splits)]
        part = np.repeat(np.arange(self.n_splits), cuts)
        if self.shuffle:
            np.random.default_rng(self.random_state).shuffle(part)
        return part


class StratifiedKFold(KFold):
    """Like `KFold`, but each part has each class in the proportion of the whole, to within one sample."""

    def _parts(self, n: int, y: Any) -> Array:
        labels = _labels("StratifiedKFold", y, n)
        counts = np.unique(labels, return_counts=True)[1]
        if counts.max() < self.n_splits:
            raise ValueError(f"StratifiedKFold: no class has {self.n_splits} samples, one for each part")
        rng = np.random.default_rng(self.random_state)
        # dealt out like cards: class after class, every sample to the next part
        order = rng.permutation(n) if self.shuffle else np.arange(n)
        order = order[np.argsort(labels[order], kind="stable")]
        parts = np.empty(n, int)
        parts[order] = np.arange(n) % self.n_splits
        return parts


def _labels(where: str, labels: Any, n: int) -> Array:
    array = np.empty(0) if labels is None else array_of(where, "labels", labels)
    if array.shape != (n,):
        got = "none" if labels is None else array.shape
        raise ValueError(f"{where}: {n} samples need labels of shape ({n},), got {got}")
    return array


def _size(where: str, name: str, size: int | float, n: int, rounded: Callable[[float], int]) -> int:
    if isinstance(size, (int, np.integer)) and not isinstance(size, bool) and size > 0:
        return int(size)
    if isinstance(size, (float, np.floating)) and 0 < size < 1:
        return rounded(size * n)
    raise ValueError(f"{where}: {name} must be a number of samples or a share between 0 and 1, got {shown(size)}")


def _counts(n: int, sizes: Sequence[int | float]) -> list[int]:
    """Turn sizes (all integers, or all fractions) into numbers of samples."""
    if not isinstance(sizes, (tuple, list, np.ndarray)):
        raise TypeError(f"split: sizes must be a sequence of numbers, got {shown(sizes)}")
    if not len(sizes):
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


def _spread(where: str, labels: Array, rng: np.random.Generator) -> Array:
    """Order the samples so that every stretch of the order holds the classes in their overall proportions.

    The n samples of a class take the places 1/2n, 3/2n, 5/2n ... on a line from 0 to 1; read off the line from left to
    right. Which sample takes which place, and who goes first at equal places, is random.
    """
    if labels.ndim != 1 or labels.dtype.kind not in "iub":
        raise ValueError(
            f"{where}: stratify needs integer labels (N,), got {labels.dtype} {labels.shape}"
            + "; pass stratify=False" * (where == "split")
        )
    order = rng.permutation(len(labels))
    shuffled = labels[order]
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = np.flatnonzero(shuffled == label)
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    return order[np.argsort(place, kind="stable")]
