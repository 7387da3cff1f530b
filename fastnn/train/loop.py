"""The training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from fastnn import random
from fastnn.data import DataLoader
from fastnn.tensor import Tensor, no_grad
from fastnn.train.callbacks import Callback, Checkpoint, FunctionCallback
from fastnn.train.checkpoint import StrPath, load_checkpoint
from fastnn.train.history import History
from fastnn.train.metrics import Metric, resolve
from fastnn.train.progress import Progress

Array = np.ndarray[Any, Any]
Data = tuple[Array, Array] | Iterable[tuple[Array, Array]]
Loss = Callable[[Any, Any], Any]


class TrainingDiverged(ValueError):
    """The loss or the weights stopped being finite. `history` has the epochs that were completed."""

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history


@dataclass
class Run:
    """A training run, as callbacks see it."""

    model: Any
    optimizer: Any
    epochs: int
    callbacks: list[Callback]
    epoch: int = 0  # finished epochs
    step: int = 0  # finished steps of the optimizer, over all epochs
    history: History = field(default_factory=History)
    stop: str = ""  # set it to a reason to end the training after this epoch

    def state_dict(self) -> dict[str, Any]:
        """Give all that is needed to continue bit for bit."""
        return {
            "model": dict(self.model.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "callbacks": [callback.state_dict() for callback in self.callbacks],
            "random": random.get_state(),
            "epoch": self.epoch,
            "step": self.step,
            "history": self.history.columns,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` gave. Callbacks take their states in the order they were given."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        for callback, saved in zip(self.callbacks, state["callbacks"], strict=False):
            callback.load_state_dict(saved)
        random.set_state(state["random"])
        self.epoch, self.step = state["epoch"], state["step"]
        self.history.columns = state["history"]

    def check_finite(self) -> None:
        """Raise TrainingDiverged if a parameter is nan or infinite."""
        for name, array in self.model.state_dict().items():
            if not np.isfinite(array).all():
                raise TrainingDiverged(
                    f"fit: {name} is no longer finite after epoch {self.epoch}; {_advice(self)}", self.history
                )


def fit(
    model: Any,
    data: Data,
    *,
    loss: Loss,
    optimizer: Any,
    epochs: int = 1,
    validation: Data | None = None,
    batch_size: int = 32,
    metrics: Iterable[str | Metric] | Mapping[str, Metric] = (),
    callbacks: Sequence[Callback | Callable[[Run], None]] = (),
    progress: bool = True,
    resume: StrPath | None = None,
) -> History:
    """Train a model.

    Parameters
    ----------
    model : Module
        Called with a batch of inputs. In training mode afterwards as before.
    data : (x, y) or iterable of (x, y) batches
        Arrays, paired along the first axis, which are shuffled anew every epoch with the generator that
        `fastnn.manual_seed` sets; or any iterable that can be gone through once per epoch. Floating-point arrays are
        converted to the dtype of the model's parameters once.
    loss : callable
        (output, target) -> scalar Tensor, the mean over the batch, such as `functional.cross_entropy`.
    optimizer : Optimizer
        Over the model's parameters.
    epochs : int
        Epochs in all, those of a resumed checkpoint included.
    validation : like data, optional
        Evaluated after every epoch.
    batch_size : int
        For arrays; the last batch of an epoch may be smaller.
    metrics : list of str or callables, or dict of callables
        "accuracy", "top5" (any number), or functions (output, target) -> mean over the batch.
    callbacks : list of Callback or callables
        For instance `EarlyStopping`, `Checkpoint`, or a function that is called with the run after every epoch.
    progress : bool
        Show a bar in a terminal, or print a line per epoch where there is none.
    resume : path, optional
        A checkpoint to continue from, bit for bit: same data, same arguments, same result as without the break.

    Returns
    -------
    History
        The figures of every epoch. `history.stopped` says why training ended. Ctrl-C ends it, too, and the history is
        returned as after any other epoch.

    Raises
    ------
    TrainingDiverged
        (a ValueError) if the loss becomes nan or infinite. The step that would have spoilt the weights is not taken,
        and the last checkpoint is the last good state.
    ValueError, TypeError
        If arguments do not fit; the message has the shapes.

    Examples
    --------
    >>> from fastnn import functional, nn, optim
    >>> x = np.random.default_rng(0).standard_normal((64, 2)).astype(np.float32)
    >>> y = (x[:, 0] > x[:, 1]).astype(np.int64)
    >>> model = nn.Linear(2, 2)
    >>> history = fit(model, (x, y), loss=functional.cross_entropy, epochs=20, progress=False,
    ...               optimizer=optim.SGD(model.parameters(), lr=1.0), metrics=["accuracy"])
    >>> history["accuracy"][-1] > 0.9
    True
    """
    if not isinstance(epochs, (int, np.integer)) or epochs < 0:
        raise ValueError(f"fit: epochs must be an integer of at least 0, got {epochs!r}")
    if not callable(loss):
        raise TypeError(f"fit: loss must be a function (output, target) -> Tensor, got {type(loss).__name__}")
    functions = resolve(metrics)
    batches = _batches("data", data, model, batch_size, shuffle=True)
    held_out = None if validation is None else _batches("validation", validation, model, batch_size, shuffle=False)
    # Checkpoints come last: what they keep of the other callbacks must already know the epoch.
    ordered = sorted((_callback(callback) for callback in callbacks), key=lambda c: isinstance(c, Checkpoint))
    run = Run(model, optimizer, int(epochs), ordered)
    if resume is not None:
        run.load_state_dict(load_checkpoint(resume))
    was_training = getattr(model, "training", True)
    bar = Progress(run.epochs, getattr(batches, "samples", None), run.epoch, show=True if progress else None)
    try:
        for callback in run.callbacks:
            callback.on_train_begin(run)
        while run.epoch < run.epochs and not run.stop:
            started = time.perf_counter()
            model.train()
            figures, seen = _epoch(run, batches, loss, functions, bar)
            if held_out is not None:
                for name, value in _evaluate(model, held_out, loss, functions).items():
                    figures[f"val_{name}"] = value
            figures["seconds"] = time.perf_counter() - started
            run.epoch += 1
            run.history.append(figures)
            bar.end_epoch(run.epoch, seen, figures)
            for callback in run.callbacks:
                callback.on_epoch_end(run)
        run.history.stopped = run.stop or "finished"
    except KeyboardInterrupt:
        run.history.stopped = f"interrupted in epoch {run.epoch + 1} of {run.epochs}"
    except TrainingDiverged as error:
        run.history.stopped = str(error)
        raise
    finally:
        bar.close()
        for callback in run.callbacks:
            callback.on_train_end(run)
        model.train(was_training)
        if run.history.stopped != "finished":
            bar.line(run.history.stopped)
    return run.history


def evaluate(
    model: Any,
    data: Data,
    *,
    loss: Loss | None = None,
    metrics: Iterable[str | Metric] | Mapping[str, Metric] = (),
    batch_size: int = 256,
) -> dict[str, float]:
    """Compute loss and metrics of a model on a data set, in eval mode; arguments as for `fit`."""
    return _evaluate(model, _batches("data", data, model, batch_size, shuffle=False), loss, resolve(metrics))


def predict(model: Any, x: Array, *, batch_size: int = 256) -> Array:
    """Compute a model's outputs for x (N, ...), in eval mode and in batches; arrays in, array out."""
    x = _floating(np.asarray(x), model)
    if x.ndim == 0 or len(x) == 0:
        raise ValueError(f"predict: x needs at least one sample, got shape {x.shape}")
    was_training = getattr(model, "training", True)
    model.eval()
    try:
        with no_grad():
            return np.concatenate([_array(model(x[i : i + batch_size])) for i in range(0, len(x), batch_size)])
    finally:
        model.train(was_training)


def _epoch(
    run: Run, batches: Iterable[tuple[Array, Array]], loss: Loss, metrics: dict[str, Metric], bar: Progress
) -> tuple[dict[str, float], int]:
    """Go through the training data once; give the mean figures and the number of samples."""
    model, optimizer = run.model, run.optimizer
    clock, isfinite = time.perf_counter, math.isfinite
    functions = list(metrics.values())
    sums = [0.0] * len(functions)
    total, seen = 0.0, 0
    # A call per step and callback costs time that shows at 50 us per step: only those that want it.
    hooks = [c.on_step_end for c in run.callbacks if type(c).on_step_end is not Callback.on_step_end]

    def means() -> dict[str, float]:
        return {"loss": total / seen, **{name: s / seen for name, s in zip(metrics, sums, strict=True)}}

    for x, y in batches:
        output = model(x)
        cost = loss(output, y)
        value = cost.item()
        if not isfinite(value):
            raise TrainingDiverged(_divergence(run, value, x, y), run.history)
        optimizer.zero_grad()
        cost.backward()
        optimizer.step()
        run.step += 1
        n = len(x)
        seen += n
        total += n * value
        for i, function in enumerate(functions):
            sums[i] += n * function(output.numpy(), y)
        for hook in hooks:
            hook(run)
        if clock() >= bar.next_update:
            bar.update(seen, means())
    if seen == 0:
        raise ValueError("fit: data gave no batches; an iterable must start anew for every epoch, a generator cannot")
    return means(), seen


def _evaluate(
    model: Any, batches: Iterable[tuple[Array, Array]], loss: Loss | None, metrics: dict[str, Metric]
) -> dict[str, float]:
    names = ["loss", *metrics] if loss is not None else list(metrics)
    sums = [0.0] * len(names)
    seen = 0
    was_training = getattr(model, "training", True)
    model.eval()
    try:
        with no_grad():
            for x, y in batches:
                output = model(x)
                values = [metric(_array(output), y) for metric in metrics.values()]
                if loss is not None:
                    values.insert(0, float(loss(output, y).item()))
                sums = [s + len(x) * value for s, value in zip(sums, values, strict=True)]
                seen += len(x)
    finally:
        model.train(was_training)
    if seen == 0:
        raise ValueError("evaluate: the data gave no batches")
    return {name: s / seen for name, s in zip(names, sums, strict=True)}


def _batches(argument: str, data: Data, model: Any, batch_size: int, *, shuffle: bool) -> Iterable[tuple[Array, Array]]:
    """Turn (x, y) into batches; leave iterables alone."""
    if not hasattr(data, "__iter__"):
        raise TypeError(f"fit: {argument} must be (x, y) or an iterable of batches, got {type(data).__name__}")
    pair: Any = data
    if not (isinstance(pair, tuple) or (isinstance(pair, list) and all(hasattr(item, "shape") for item in pair))):
        return cast("Iterable[tuple[Array, Array]]", data)
    if len(pair) != 2:
        raise ValueError(f"fit: {argument} must be a pair (x, y), got {len(pair)} items")
    x, y = (_floating(np.asarray(array), model) for array in pair)
    if x.ndim == 0 or y.ndim == 0 or len(x) != len(y):
        raise ValueError(f"fit: {argument}: x has shape {x.shape} but y has shape {y.shape}; lengths must agree")
    if len(x) == 0:
        raise ValueError(f"fit: {argument} is empty: x has shape {x.shape}, y has shape {y.shape}")
    return DataLoader((x, y), batch_size, shuffle=shuffle)


def _floating(array: Array, model: Any) -> Array:
    """Give a floating-point array the dtype of the model's parameters: float64 data would train at half the speed."""
    if array.dtype.kind == "O":
        raise TypeError(f"fit: the data is an array of objects, shape {array.shape}; numbers are needed")
    parameter = next(iter(model.parameters()), None)
    if array.dtype.kind != "f" or parameter is None:
        return array
    return array.astype(parameter.dtype, copy=False)


def _array(output: Any) -> Array:
    return output.numpy() if isinstance(output, Tensor) else output


def _callback(callback: Callback | Callable[[Run], None]) -> Callback:
    if isinstance(callback, Callback):
        return callback
    if isinstance(callback, type) or not callable(callback):
        raise TypeError(f"fit: a callback must be a Callback or a function of the run, got {callback!r}")
    return FunctionCallback(callback)


def _divergence(run: Run, value: float, x: Array, y: Array) -> str:
    """Say what can be known about a loss that is not finite."""
    where = f"fit: the loss became {value} in epoch {run.epoch + 1}, step {run.step + 1}"
    for name, array in (("input", x), ("target", y)):
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            bad = np.count_nonzero(~np.isfinite(array))
            return f"{where}: the {name} batch (shape {array.shape}) holds {bad} values that are nan or infinite"
    return f"{where}; {_advice(run)}"


def _advice(run: Run) -> str:
    written = [str(c.written) for c in run.callbacks if isinstance(c, Checkpoint) and c.written]
    kept = f"; the last good state is in {', '.join(written)}" if written else ""
    rate = getattr(run.optimizer, "lr", None)
    return f"try a smaller learning rate{'' if rate is None else f' (now {rate:g})'}{kept}"
