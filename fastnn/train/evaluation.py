"""What a model gives and how good that is, without learning from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from fastnn.data import DataLoader
from fastnn.tensor import Tensor, no_grad
from fastnn.train.feeding import Data, Loss, batches, dtype_of, floating, samples, weighted_loss
from fastnn.train.streams import Function, Stream, resolve

Array = np.ndarray[Any, Any]
Metrics = Iterable[str | Function | Stream] | Mapping[str, Function | Stream]


def evaluate(
    model: Any, data: Data, *, loss: Loss | None = None, metrics: Metrics = (), batch_size: int = 256
) -> dict[str, Any]:
    """Compute loss and metrics of a model on a data set, in eval mode; arguments as for `fit`."""
    return measure(model, batches("data", data, model, batch_size), loss, resolve(metrics))


def predict(model: Any, x: Array, *, batch_size: int = 256) -> Array:
    """Compute a model's outputs for x (N, ...), in eval mode and in batches; arrays in, array out.

    x may be memory-mapped: what is kept is the outputs. Raises ValueError for no samples.
    """
    x = floating(x, model)
    if x.ndim == 0 or len(x) == 0:
        raise ValueError(f"predict: x needs at least one sample, got shape {x.shape}")
    was_training = getattr(model, "training", True)
    model.eval()
    try:
        with no_grad():
            return np.concatenate([plain(model(part)) for part in DataLoader(x, batch_size, dtype=dtype_of(model))])
    finally:
        model.train(was_training)


def measure(
    model: Any, data: Iterable[tuple[Any, ...]], loss: Loss | None, streams: dict[str, Stream]
) -> dict[str, Any]:
    """Go through a data set once; give loss and metrics by name."""
    total, weight, seen = 0.0, 0.0, 0
    for stream in streams.values():
        stream.reset()
    was_training = getattr(model, "training", True)
    model.eval()
    try:
        with no_grad():
            for batch in data:
                x, y, *weights = samples("evaluate", batch)
                output = model(x)
                if loss is not None:
                    value, share = weighted_loss(loss, output, y, *weights) if weights else (loss(output, y), len(x))
                    total += share * float(value.item())
                    weight += share
                for stream in streams.values():
                    stream.update(plain(output), y)
                seen += len(x)
    finally:
        model.train(was_training)
    if seen == 0:
        raise ValueError("evaluate: the data gave no batches")
    figures = {"loss": total / weight if weight else float("nan")} if loss is not None else {}
    return figures | {name: stream.result() for name, stream in streams.items()}


def plain(output: Any) -> Array:
    """Give what a model gave as an array."""
    return output.numpy() if isinstance(output, Tensor) else output
