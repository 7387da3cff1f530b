"""Metrics over a stream of batches: figures of the whole data set, not means of the figures of its batches.

Names and results are scikit-learn's. Every metric can also be called on whole arrays: ``F1("macro")(output, target)``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np

from fastnn import functional, nn
from fastnn._checks import closest, numbers, shown
from fastnn.train.metrics import accuracy, confusion_matrix, predictions, top_k

Array = np.ndarray[Any, Any]
Function = Callable[[Array, Array], float]
AVERAGES = ("binary", "macro", "micro", "weighted")


class Stream:
    """Base of metrics: `reset`, `update` with each batch, `result` in the end.

    Outputs and targets are as for `accuracy`: (N, C) of which the highest counts, or (N,) or (N, 1) that say yes from a
    threshold on (0.5 for probabilities, 0 for logits), against class labels (N,) or one probability per class.

    direction: "min" or "max", whichever is good: what watches a metric (`EarlyStopping`, `Checkpoint`) asks for it.
    None: it has to be told.
    """

    direction: str | None = None

    def reset(self) -> None:
        """Forget what was seen."""
        raise NotImplementedError

    def update(self, output: Array, target: Array) -> None:
        """Take a batch in."""
        raise NotImplementedError

    def result(self) -> Any:
        """Give the figure of all that was seen; nan of nothing."""
        raise NotImplementedError

    def __call__(self, output: Any, target: Any) -> Any:
        """Give the figure of whole arrays."""
        name = getattr(self, "name", "") or type(self).__name__
        whole = copy.copy(self)
        whole.reset()
        whole.update(numbers(name, "output", output), numbers(name, "target", target))
        return whole.result()


class Mean(Stream):
    """The mean of a function (output, target) -> mean over a batch, weighted by the lengths of the batches."""

    def __init__(self, function: Function) -> None:
        self.function = function
        plain: Any = function
        while isinstance(plain, partial):
            plain = plain.func
        losses = isinstance(plain, nn.loss._Loss) or getattr(plain, "__module__", "") == functional.loss.__name__
        self.direction = "max" if plain in (accuracy, top_k) else "min" if losses else getattr(plain, "direction", None)
        self.reset()

    def reset(self) -> None:
        """Forget what was seen."""
        self.total, self.count = 0.0, 0

    def update(self, output: Array, target: Array) -> None:
        """Take a batch in."""
        n = len(output)
        self.total += n * self.function(output, target)
        self.count += n

    def result(self) -> float:
        """Give the mean."""
        return self.total / self.count if self.count else float("nan")


class ConfusionMatrix(Stream):
    """How often each class (row) was taken for each (column), int64 (classes, classes)."""

    name = "confusion_matrix"  # what messages call it

    def __init__(self, threshold: float = 0.5) -> None:
        self.threshold = threshold
        self.reset()

    def reset(self) -> None:
        """Forget what was seen."""
        self.counts: Array = np.zeros((0, 0), np.int64)

    def update(self, output: Array, target: Array) -> None:
        """Take a batch in."""
        predicted, truth, classes = predictions(self.name, output, target, self.threshold)
        counts = confusion_matrix(predicted, truth, classes)
        if counts.shape != self.counts.shape:
            if self.counts.size:
                raise ValueError(f"{self.name}: {len(counts)} classes after batches of {len(self.counts)}")
            self.counts = counts
        else:
            self.counts += counts

    def result(self) -> Any:
        """Give the matrix."""
        return self.counts.copy()


class _Score(ConfusionMatrix):
    """A figure of each class from its hits, how often it was predicted, and how often it was right; and their mean."""

    direction = "max"

    def __init__(self, average: str = "binary", threshold: float = 0.5) -> None:
        if average not in AVERAGES:
            raise ValueError(f"{self.name}: average must be one of {', '.join(AVERAGES)}, got {average!r}")
        self.average = average
        super().__init__(threshold)

    def update(self, output: Array, target: Array) -> None:
        """Take a batch in."""
        super().update(output, target)
        if self.average == "binary" and len(self.counts) != 2:
            raise ValueError(
                f"{self.name}: there are {len(self.counts)} classes; choose average 'macro', 'micro' or 'weighted', "
                f"by name for instance '{self.name}_macro'"
            )

    def figure(self, hits: Array, predicted: Array, right: Array) -> Array:
        """Give the figure of each class; 0 where it has none."""
        raise NotImplementedError

    def result(self) -> float:
        """Give the mean of the classes that occur, or the figure of class 1 for "binary"."""
        hits, predicted, right = self.counts.diagonal(), self.counts.sum(axis=0), self.counts.sum(axis=1)
        if not hits.size:
            return float("nan")
        if self.average == "micro":
            return float(self.figure(*(part.sum(keepdims=True) for part in (hits, predicted, right)))[0])
        figures = self.figure(hits, predicted, right)
        if self.average == "binary":
            return float(figures[1])
        weights = right if self.average == "weighted" else (right + predicted > 0)
        return float(np.average(figures, weights=weights)) if weights.any() else float("nan")


def _share(part: Array, whole: Array) -> Array:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)


class Precision(_Score):
    """Of what was taken for a class, the share that belongs to it; `average` over classes as in scikit-learn."""

    name = "precision"

    def figure(self, hits: Array, predicted: Array, right: Array) -> Array:
        """Give it by class."""
        return _share(hits, predicted)


class Recall(_Score):
    """Of what belongs to a class, the share that was found; `average` over classes as in scikit-learn."""

    name = "recall"

    def figure(self, hits: Array, predicted: Array, right: Array) -> Array:
        """Give it by class."""
        return _share(hits, right)


class F1(_Score):
    """The harmonic mean of precision and recall; `average` over classes as in scikit-learn."""

    name = "f1"

    def figure(self, hits: Array, predicted: Array, right: Array) -> Array:
        """Give it by class."""
        return _share(2 * hits, predicted + right)


class BalancedAccuracy(ConfusionMatrix):
    """The mean recall of the classes that occur."""

    name = "balanced_accuracy"
    direction = "max"

    def result(self) -> float:
        """Give it."""
        right = self.counts.sum(axis=1)
        return float(np.mean(self.counts.diagonal()[right > 0] / right[right > 0])) if right.any() else float("nan")


class RocAuc(Stream):
    """The area under the receiver operating characteristic: how often a yes is rated above a no, ties counting half.

    Outputs are scores (N,) or (N, 1) of a yes, or one per class (N, C) as logits or probabilities. Of two classes the
    second is the yes; of more, each is rated against the rest, and `average` is "macro" or "weighted" (by frequency).
    Exact, and so all scores are kept: 8 bytes each. nan if a class, or its rest, does not occur.
    """

    direction = "max"

    def __init__(self, average: str = "macro") -> None:
        if average not in ("macro", "weighted"):
            raise ValueError(f"roc_auc: average must be 'macro' or 'weighted', got {average!r}")
        self.average = average
        self.reset()

    def reset(self) -> None:
        """Forget what was seen."""
        self.scores: list[Array] = []
        self.truth: list[Array] = []

    def update(self, output: Array, target: Array) -> None:
        """Take a batch in."""
        _, truth, classes = predictions("roc_auc", output, target)
        scores = np.array(output, np.float64)  # a copy: it must outlive the batch
        if classes == 2:
            scores = scores[:, 1] - scores[:, 0] if output.ndim == 2 and output.shape[1] == 2 else scores.reshape(-1)
        elif (scores < 0).any() or not np.allclose(scores.sum(axis=1), 1, atol=1e-4):  # logits
            scores = np.exp(scores - scores.max(axis=1, keepdims=True))
            scores /= scores.sum(axis=1, keepdims=True)
        self.scores.append(scores)
        self.truth.append(np.array(truth))

    def result(self) -> float:
        """Give the area, or the mean of the areas."""
        if not self.scores:
            return float("nan")
        scores, truth = np.concatenate(self.scores), np.concatenate(self.truth)
        if scores.ndim == 1:
            return _area(scores, truth == 1)
        areas = [_area(scores[:, k], truth == k) for k in range(scores.shape[1])]
        weights = np.bincount(truth, minlength=len(areas)) if self.average == "weighted" else None
        return float(np.average(areas, weights=weights))


def _area(scores: Array, yes: Array) -> float:
    """Give the area from the ranks of the yeses (Mann & Whitney, 1947); equal scores share their mean rank."""
    hits = np.count_nonzero(yes)
    misses = len(yes) - hits
    if not hits or not misses or np.isnan(scores).any():
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    rank = np.cumsum(counts) - (counts - 1) / 2
    return float((rank[inverse][yes].sum() - hits * (hits + 1) / 2) / (hits * misses))


class _Error(Stream):
    """Base of figures of predicted numbers; output and target of the same shape, or (N, 1) against (N,)."""

    name = ""
    direction = "min"

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget what was seen."""
        self.total, self.count = 0.0, 0

    def update(self, output: Array, target: Array) -> None:
        """Take a batch in."""
        difference = self.columns(output, target)[0]
        self.total += float(self.each(difference).sum())
        self.count += difference.size

    def each(self, difference: Array) -> Array:
        """Give the error of each number."""
        raise NotImplementedError

    def columns(self, output: Array, target: Array) -> tuple[Array, Array]:
        """Give (target - output, target) as (N, D)."""
        if output.size != target.size or output.shape[:1] != target.shape[:1] or not output.ndim:
            raise ValueError(f"{self.name}: output {output.shape} and target {target.shape} do not fit together")
        shape = len(output), -1 if len(output) else 1
        wide = target.reshape(shape).astype(np.float64)
        return wide - output.reshape(shape), wide

    def result(self) -> float:
        """Give the mean."""
        return self.total / self.count if self.count else float("nan")


class MeanAbsoluteError(_Error):
    """The mean of |target - output|."""

    name = "mean_absolute_error"

    def each(self, difference: Array) -> Array:
        """Give the error of each number."""
        return np.abs(difference)


class MeanSquaredError(_Error):
    """The mean of (target - output)^2."""

    name = "mean_squared_error"

    def each(self, difference: Array) -> Array:
        """Give the error of each number."""
        return difference * difference


class R2(_Error):
    """The share of the targets' variance that is explained, 1 - sum of squared errors / sum of squared deviations.

    The mean over columns, if there are several. The spread is gathered by the pairwise update of Chan, Golub & LeVeque
    (1983), which keeps its digits where the mean is large. Constant targets: 1 if met exactly, else 0.
    """

    name = "r2"
    direction = "max"

    def reset(self) -> None:
        """Forget what was seen."""
        self.count, self.mean, self.spread, self.error = 0, np.zeros(1), np.zeros(1), np.zeros(1)

    def update(self, output: Array, target: Array) -> None:
        """Take a batch in."""
        difference, target = self.columns(output, target)
        n = len(target)
        if not n:
            return
        mean = target.mean(axis=0)
        delta, whole = mean - self.mean, self.count + n
        self.spread = self.spread + ((target - mean) ** 2).sum(axis=0) + delta**2 * (self.count * n / whole)
        self.mean = self.mean + delta * (n / whole)
        self.error = self.error + (difference**2).sum(axis=0)
        self.count = whole

    def result(self) -> float:
        """Give it; nan of fewer than two samples."""
        if self.count < 2:
            return float("nan")
        unexplained = np.divide(self.error, self.spread, out=np.zeros_like(self.error), where=self.spread > 0)
        return float(np.mean(np.where(self.spread > 0, 1 - unexplained, self.error == 0)))


_SCORES = {"precision": Precision, "recall": Recall, "f1": F1}
STREAMS: dict[str, Callable[[], Stream]] = {
    "accuracy": lambda: Mean(accuracy),
    "balanced_accuracy": BalancedAccuracy,
    "confusion_matrix": ConfusionMatrix,
    "roc_auc": RocAuc,
    "roc_auc_ovr": RocAuc,
    "roc_auc_ovr_weighted": lambda: RocAuc("weighted"),
    "r2": R2,
    "mae": MeanAbsoluteError,
    "mean_absolute_error": MeanAbsoluteError,
    "mse": MeanSquaredError,
    "mean_squared_error": MeanSquaredError,
    **{name: score for name, score in _SCORES.items()},
    **{
        f"{name}_{average}": (lambda score=score, average=average: score(average))  # type: ignore[misc]
        for name, score in _SCORES.items()
        for average in AVERAGES[1:]
    },
}


SMALL_IS_GOOD = ("loss", "error", "perplexity", "mse", "mae", "nll", "cross_entropy")


def direction_of(name: str) -> str | None:
    """Say by the name of a column whether small ("min") or large ("max") is good; None if the name does not say."""
    name = name.removeprefix("val_")
    if name.endswith(SMALL_IS_GOOD) or name == "seconds":
        return "min"
    if name in STREAMS or (name.startswith("top") and name[3:].isdigit()):
        return _stream(name).direction
    return "max" if name.endswith(("accuracy", "auc")) or name == "top_k" else None


def directions(streams: Mapping[str, Stream]) -> dict[str, str | None]:
    """Give the direction of the columns of each metric; None where it does not say it."""
    return {start + name: stream.direction for name, stream in streams.items() for start in ("", "val_")}


def resolve(metrics: Iterable[str | Function | Stream] | Mapping[str, Function | Stream]) -> dict[str, Stream]:
    """Turn what `fit` takes as metrics into streams by name, none of them shared with the caller.

    Names are those of STREAMS and "top" with a number ("top5"). A function takes output and target arrays and gives the
    mean of its figure over the batch.

    Raises
    ------
    ValueError
        If a name is unknown, or stands for two columns of the history.
    """
    if isinstance(metrics, (str, bytes)):
        raise TypeError(f"fit: metrics must be a list such as [{metrics!r}], got the string {metrics!r}")
    if not isinstance(metrics, Iterable):
        raise TypeError(f"fit: metrics must be a list or a dictionary, got {type(metrics).__name__}")
    named = metrics.items() if isinstance(metrics, Mapping) else [(_name(metric), metric) for metric in metrics]
    streams: dict[str, Stream] = {}
    for name, metric in named:
        if not isinstance(name, str):
            raise TypeError(f"fit: names of metrics must be strings, got {shown(name)}")
        if name in streams or name in ("loss", "seconds"):
            taken = "two metrics are" if name in streams else "the history has a column"
            raise ValueError(f"fit: {taken} called {name!r}; give metrics names of their own in a dictionary")
        streams[name] = _stream(metric)
    return streams


def _name(metric: Any) -> Any:
    return metric if isinstance(metric, str) else getattr(metric, "__name__", type(metric).__name__.lower())


def _stream(metric: Any) -> Stream:
    if isinstance(metric, Stream):
        made = copy.deepcopy(metric)
        made.reset()
        return made
    if callable(metric):
        return Mean(metric)
    if isinstance(metric, str) and metric in STREAMS:
        return STREAMS[metric]()
    if isinstance(metric, str) and metric.startswith("top") and metric[3:].isdigit():
        k = int(metric[3:])
        return Mean(partial(top_k, k=k))
    raise ValueError(
        f"fit: unknown metric {metric!r}; known are 'top5' (any number), "
        f"{', '.join(map(repr, STREAMS))}, or pass a function (output, target) -> float"
        f"{closest(metric, STREAMS)}"
    )
