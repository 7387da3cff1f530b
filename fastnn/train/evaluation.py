"""What a model gives and how good that is, without learning from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from fastnn.data import DataLoader
from fastnn.nn.module import modes_kept
from fastnn.tape import Tensor, no_grad
from fastnn.train.feeding import (
    Data,
    Loss,
    apart,
    batches,
    check_model,
    dtype_of,
    floating,
    harmless,
    number_of,
    owned,
    samples,
    weighted_loss,
    whole_batches,
)
from fastnn.train.names import loss_of, numbers_for
from fastnn.train.streams import Function, Stream, resolve

Array = np.ndarray[Any, Any]
Metrics = Iterable[str | Function | Stream] | Mapping[str, Function | Stream]


def evaluate(
    model: Any, data: Data, *, loss: Loss | str | None = None, metrics: Metrics = (), batch_size: int = 256
) -> dict[str, Any]:
    """Compute loss and metrics of a model on a data set, in eval mode; arguments as for `fit`.

    Every module is left in its own mode, and the data are never written into, whatever the model does in place.
    """
    check_model("evaluate", model)
    data, function = numbers_for(model, data), loss_of("evaluate", loss)
    if function is not None:
        check_loss("evaluate", function)
    return measure(model, batches("evaluate", "data", data, model, batch_size), function, resolve(metrics))


def check_loss(where: str, loss: Any) -> None:
    """Raise TypeError unless `loss` is a loss function."""
    if not callable(loss) or isinstance(loss, type):
        got = f"the class {loss.__name__}, not an object of it" if isinstance(loss, type) else type(loss).__name__
        raise TypeError(f"{where}: loss must be a function (output, target) -> Tensor, got {got}")


def predict(model: Any, x: Array, *, batch_size: int = 256) -> Array:
    """Compute a model's outputs for x (N, ...), in eval mode and in batches; arrays in, array out.

    x may be memory-mapped: what is kept is the outputs. Every module is left in its own mode, and x is never written
    into, whatever the model does in place. Raises ValueError for no samples.
    """
    check_model("predict", model)
    x = floating("predict", "x", x, model)
    if x.ndim == 0 or len(x) == 0:
        raise ValueError(f"predict: x needs at least one sample, got shape {x.shape}")
    whole_batches(batch_size)
    loader = DataLoader(x, batch_size, dtype=dtype_of(model))
    parts = loader if harmless(model) else map(owned, loader)
    with modes_kept(model), no_grad():
        model.eval()
        return np.concatenate([plain(model(part)) for part in parts])


def predict_labels(model: Any, x: Array, *, batch_size: int = 256, threshold: float = 0.5) -> Array:
    """Give the class of each sample of x (N, ...): its number, or its name if the model was trained on texts.

    The class of the highest output (N, C). Of a single output, (N,) or (N, 1), class 1 from `threshold` on: 0.5 is for
    probabilities, 0 for logits. Raises ValueError for outputs of other shapes.
    """
    output = predict(model, x, batch_size=batch_size)
    if output.ndim == 1 or (output.ndim == 2 and output.shape[1] == 1):
        numbers = (output.reshape(-1) >= threshold).astype(np.int64)
    elif output.ndim == 2:
        numbers = output.argmax(axis=1)
    else:
        raise ValueError(f"predict_labels: outputs must be (N, C), (N, 1) or (N,), got shape {output.shape}")
    classes = getattr(model, "classes_", None)
    labels: Array = numbers if classes is None else classes[numbers]
    return labels


def measure(
    model: Any, data: Iterable[tuple[Any, ...]], loss: Loss | None, streams: dict[str, Stream]
) -> dict[str, Any]:
    """Go through a data set once; give loss and metrics by name."""
    total, weight, seen = 0.0, 0.0, 0
    for stream in streams.values():
        stream.reset()
    private = getattr(data, "private", False)
    keep_x = not (private or harmless(model))
    keep_y = not (private or harmless(*([] if loss is None else [loss]), *streams.values()))
    with modes_kept(model), no_grad():
        model.eval()
        for batch in data:
            x, y, *weights = samples("evaluate", batch)
            output = model(owned(x) if keep_x else x)
            if keep_y:
                output, y = apart(output, x), owned(y)
            if loss is not None:
                value, share = weighted_loss(loss, output, y, *weights) if weights else (loss(output, y), len(x))
                total += share * number_of("evaluate", value, recorded=False)
                weight += share
            for stream in streams.values():
                stream.update(plain(output), plain(y))
            seen += len(x)
    if seen == 0:
        raise ValueError("evaluate: the data gave no batches")
    figures = {"loss": total / weight if weight else float("nan")} if loss is not None else {}
    return figures | {name: stream.result() for name, stream in streams.items()}


def plain(output: Any) -> Array:
    """Give what a model gave as an array."""
    return output.numpy() if isinstance(output, Tensor) else output
