"""Softmax over many classes, of which few are frequent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fastnn import functional as F
from fastnn.tape import unwrap
from fastnn_kernels import checks

from .container import ModuleList, Sequential
from .linear import Linear
from .module import Buffer, Module


class Adapted(NamedTuple):
    """What `AdaptiveLogSoftmaxWithLoss` gives: the log-probabilities of the targets, and minus their mean."""

    output: Any
    loss: Any


class AdaptiveLogSoftmaxWithLoss(Module):
    """Log-softmax over n_classes, numbered by falling frequency, in clusters (Grave et al., 2017), and its loss.

    input (B, in_features) or (in_features,), target (B,) or () -> `output` of the target's shape and `loss`, a number.
    cutoffs: where clusters begin, increasing. The first has a matrix of its own; the rest share one more row in it per
    cluster, and have matrices of in_features / div_value**i columns each.

    Raises ValueError for cutoffs that do not increase or lie outside 1 .. n_classes - 1, and for wrong shapes and
    targets.
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        name = "AdaptiveLogSoftmaxWithLoss"
        ends = [checks.integer(name, "cutoffs", n, 1) for n in cutoffs]
        if not ends or ends != sorted(set(ends)) or ends[-1] >= n_classes:
            raise ValueError(f"{name}: cutoffs must increase within 1 .. {n_classes - 1}, got {list(cutoffs)}")
        self.in_features, self.n_classes, self.div_value, self.head_bias = in_features, n_classes, div_value, head_bias
        self.cutoffs = [*ends, n_classes]
        self.shortlist_size, self.n_clusters = ends[0], len(ends)
        self.head_size = self.shortlist_size + self.n_clusters
        made = {"device": device, "dtype": dtype}
        self.head = Linear(in_features, self.head_size, head_bias, **made)
        self.tail = ModuleList()
        for i in range(self.n_clusters):
            hidden = max(1, int(in_features // div_value ** (i + 1)))
            size = self.cutoffs[i + 1] - self.cutoffs[i]
            self.tail.append(
                Sequential(Linear(in_features, hidden, False, **made), Linear(hidden, size, False, **made))
            )

    def reset_parameters(self) -> None:
        """Draw all weights again."""
        for module in (self.head, *[layer for part in self.tail for layer in part]):  # type: ignore[attr-defined]
            module.reset_parameters()

    def forward(self, input: Any, target: Any) -> Adapted:
        """Compute the log-probabilities of the targets, and the loss."""
        labels = np.asarray(unwrap(target))
        if labels.ndim > 1 or tuple(input.shape) != (*labels.shape, self.in_features):
            raise ValueError(
                f"AdaptiveLogSoftmaxWithLoss: input (B, {self.in_features}) and target (B,) expected, got shapes "
                f"{tuple(input.shape)} and {labels.shape}"
            )
        if labels.size and not (labels.min() >= 0 and labels.max() < self.n_classes):
            raise ValueError(
                f"AdaptiveLogSoftmaxWithLoss: targets must be from 0 to {self.n_classes - 1}, got "
                f"{labels.min()} to {labels.max()}"
            )
        if not labels.ndim:
            output, loss = self.forward(F.reshape(input, (1, -1)), labels.reshape(1))
            return Adapted(F.reshape(output, ()), loss)
        cluster = np.searchsorted(self.cutoffs, labels, "right")
        chosen = np.where(cluster == 0, labels, self.shortlist_size + cluster - 1)
        output = _chosen(F.log_softmax(self.head(input), 1), chosen)
        for i, tail in enumerate(self.tail):
            rows = np.flatnonzero(cluster == i + 1)
            if len(rows):
                within = F.log_softmax(tail(F.index_select(input, 0, rows)), 1)
                output = F.index_add(output, 0, rows, _chosen(within, labels[rows] - self.cutoffs[i]))
        return Adapted(output, F.neg(F.mean(output)))

    def log_prob(self, input: Any) -> Any:
        """Give the log-probabilities of all classes: (B, n_classes) for input (B, in_features)."""
        head = F.log_softmax(self.head(input), 1)
        parts = [head[:, : self.shortlist_size]]
        for i, tail in enumerate(self.tail):
            place = self.shortlist_size + i
            parts.append(F.add(F.log_softmax(tail(input), 1), head[:, place : place + 1]))
        return F.cat(parts, 1)

    def predict(self, input: Any) -> Any:
        """Give the most probable class of each of B inputs."""
        return F.argmax(self.log_prob(input), 1)


def _chosen(x: Any, columns: Any) -> Any:
    """Give one column of each row."""
    return F.reshape(F.gather(x, 1, columns[:, None]), (-1,))


class LinearCrossEntropyLoss(Module):
    """A linear layer and the cross entropy of its outputs with labels; see `functional.linear_cross_entropy`.

    input (..., in_features), target (...) -> the loss; the layer is `linear`, its weight (num_classes, in_features).
    Raises ValueError for `out_features` and `options`, which PyTorch has for losses of several dimensions.
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        out_features: tuple[int, ...] = (),
        bias: bool = False,
        device: Any = None,
        dtype: Any = None,
        reduction: str = "mean",
        weight: Any = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        options: Any = None,
    ) -> None:
        super().__init__()
        if tuple(out_features) or options is not None:
            raise ValueError("LinearCrossEntropyLoss: out_features and options are not supported")
        self.linear = Linear(in_features, num_classes, bias, device, dtype)
        self.in_features, self.num_classes = in_features, num_classes
        self.reduction, self.ignore_index, self.label_smoothing = reduction, ignore_index, label_smoothing
        self.weight = None if weight is None else Buffer(unwrap(weight))

    def forward(self, input: Any, target: Any) -> Any:
        """Compute the loss."""
        return F.linear_cross_entropy(
            input,
            self.linear.weight,
            target,
            linear_bias=self.linear.bias,
            weight=self.weight,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
        )
