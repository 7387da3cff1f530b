"""The training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext, suppress
from typing import Any

import numpy as np

import fastnn_kernels as kernels
from fastnn._checks import LARGEST, path_of, shown
from fastnn.data import DataLoader, Dataset
from fastnn.nn.module import modes_kept
from fastnn.optim import LBFGS
from fastnn.tape import unwrap
from fastnn.train.callbacks import Callback, FunctionCallback, Schedule, StopOnNaN
from fastnn.train.checkpoint import StrPath, load_checkpoint
from fastnn.train.compiling import Compiling, compile_step, compiling
from fastnn.train.evaluation import Metrics, check_loss, evaluate, measure, predict, predict_labels
from fastnn.train.feeding import (
    ClassWeight,
    Data,
    Loss,
    apart,
    batches,
    check_model,
    harmless,
    hold_out,
    is_arrays,
    length_of,
    loaders_in,
    number_of,
    owned,
    samples,
    weighted_loss,
    with_weights,
)
from fastnn.train.history import History
from fastnn.train.loading import reading
from fastnn.train.names import loss_of, optimizer_of, with_numbers
from fastnn.train.progress import Progress
from fastnn.train.run import Run, TrainingDiverged
from fastnn.train.streams import Stream, directions, resolve

__all__ = ["Run", "TrainingDiverged", "evaluate", "fit", "predict", "predict_labels"]


def fit(
    model: Any,
    data: Data,
    *,
    loss: Loss | str,
    optimizer: Any,
    lr: float | None = None,
    epochs: int = 1,
    validation: Data | None = None,
    validation_split: float | None = None,
    batch_size: int = 32,
    transform: Callable[..., Any] | None = None,
    prefetch: int = 0,
    class_weight: ClassWeight | None = None,
    sample_weight: Any = None,
    metrics: Metrics = (),
    schedule: Any = None,
    accumulate: int = 1,
    callbacks: Sequence[Callback | Callable[[Run], None]] = (),
    progress: bool = True,
    resume: StrPath | None = None,
    flush_denormal: bool = True,
) -> History:
    """Train a model.

    Parameters
    ----------
    model : Module
        Called with a batch of inputs, in training mode. If the model as a whole is in training mode already, modules in
        it that were put to eval stay so, such as a frozen BatchNorm. Afterwards every module is in the mode it was in.
    data : (x, y), data set of (x, y) items, or iterable of (x, y) batches
        Arrays, paired along the first axis, which are shuffled anew every epoch with the generator that
        `fastnn.manual_seed` sets; a `fastnn.data.Dataset`, such as `TensorDataset`, whose items are shuffled so; or any
        iterable that can be gone through once per epoch, such as a `DataLoader`. A third item holds weights of samples.
        Floating-point arrays are converted to the dtype of the model's parameters: once, or batch by batch if they are
        memory-mapped files. They are never written into, whatever the model does in place. Labels y may be texts:
        classes are numbered in alphabetical order, and the model keeps them as `classes_`, for `evaluate` and
        `predict_labels`.
    loss : str or callable
        (output, target) -> scalar Tensor, the mean over the batch, such as `functional.cross_entropy`, or its name:
        "cross_entropy", "mse", "bce_with_logits" ... With weights it is called with ``reduction="none"``.
    optimizer : str or Optimizer
        Over the model's parameters, or some of them; any but `LBFGS`, which wants to see the loss again and again. Or
        a name, "adam", "sgd" ..., for all parameters.
    lr : float, optional
        The learning rate of an optimizer that is given by name.
    epochs : int
        Epochs in all, those of a resumed checkpoint included.
    validation : like data, optional
        Evaluated after every epoch.
    validation_split : float, optional
        Hold this share of the arrays out for validation instead; every class in its proportion if y holds labels, and
        always the same samples. Both parts are copies in memory, also of memory-mapped files.
    batch_size : int
        For arrays; the last batch of an epoch may be smaller.
    transform : callable, optional
        Augmentation of arrays, such as `fastnn.data.Shift(2)`; see `DataLoader`.
    prefetch : int
        Batches to prepare ahead in a thread; see `DataLoader`.
    class_weight : dict, array or "balanced", optional
        How much samples of each class count in the loss, which becomes sum(w * loss) / sum(w) of a batch. "balanced":
        so that all classes weigh the same.
    sample_weight : array (N,), optional
        How much each sample counts; multiplied with the weight of its class.
    metrics : list of str, functions or streams, or dict of them
        Names such as "accuracy", "top5", "f1_macro", "roc_auc", "confusion_matrix", "r2" (see
        `fastnn.train.streams.STREAMS`), or functions (output, target) -> mean over the batch.
    schedule : learning-rate schedule, optional
        Its `step()` is called after every epoch; after every step of the optimizer if its attribute `every` is "step",
        as that of `OneCycleLR` and `CyclicLR` is, or if it comes as ``Schedule(..., every="step")``.
        Or a function from the share of training that is done, 0 to 1, to a factor of the learning rate.
    accumulate : int
        Batches that make one step of the optimizer, as if they were one: every sample, or every unit of weight, counts
        the same. The last step of an epoch may have fewer.
    callbacks : list of Callback or callables
        For instance `EarlyStopping`, `Checkpoint`, or a function that is called with the run after every epoch.
    progress : bool
        Show a bar in a terminal, or print a line per epoch where there is none.
    resume : path, optional
        A checkpoint to continue from, bit for bit: same data, same arguments, same result as without the break. Loaders
        with a seed go on with the epoch they were in, also where they stand behind other iterables as attributes.
    flush_denormal : bool
        Let kernels flush denormal numbers (below 1.2e-38 in float32) to 0 while training lasts; see
        `fastnn.set_flush_denormal`. A net that has learned its data by heart computes with little else, on many CPUs
        five times slower. False: as the process has it set.

    Returns
    -------
    History
        The figures of every epoch. `history.stopped` says why training ended. Ctrl-C ends it, too, and the history is
        returned as after any other epoch.

    Raises
    ------
    TrainingDiverged
        (a ValueError) if the loss becomes nan or infinite. The step that would have spoilt the weights is not taken,
        and the last checkpoint is the last good state. With the callback `StopOnNaN` training just ends.
    LoadError
        (a ValueError) if `resume` is damaged or belongs to another run; then nothing has been changed.
    ValueError, TypeError
        If arguments do not fit; the message has the shapes.

    Whatever is raised once training has begun has the history of all finished epochs in its attribute `history`.

    Examples
    --------
    >>> from fastnn import nn
    >>> x = np.random.default_rng(0).standard_normal((64, 2)).astype(np.float32)
    >>> y = (x[:, 0] > x[:, 1]).astype(np.int64)
    >>> model = nn.Linear(2, 2)
    >>> history = fit(model, (x, y), loss="cross_entropy", optimizer="sgd", lr=1.0, epochs=20, metrics=["accuracy"],
    ...               progress=False)
    >>> history["accuracy"][-1] > 0.9
    True
    """
    check_model("fit", model)
    for name, value, least in (("epochs", epochs, 0), ("accumulate", accumulate, 1)):
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or not least <= value <= LARGEST:
            raise ValueError(f"fit: {name} must be an integer of at least {least}, got {shown(value)}")
    function = loss_of("fit", loss)
    check_loss("fit", function)
    optimizer = optimizer_of(optimizer, model, lr)
    _check_optimizer(model, optimizer)
    streams, held_streams = resolve(metrics), resolve(metrics)
    data, validation, class_weight = with_numbers(model, data, validation, class_weight=class_weight)
    if validation_split is not None:
        if validation is not None:
            raise ValueError("fit: give validation or validation_split, not both")
        if sample_weight is not None and not is_arrays(data):
            raise ValueError("fit: sample_weight needs the data as arrays (x, y); batches can be (x, y, weights)")
        data, validation = hold_out(data if sample_weight is None else (*data, sample_weight), validation_split)
        if sample_weight is not None:
            data, validation, sample_weight = data[:2], validation[:2], data[2]
    if isinstance(data, Dataset) and class_weight is not None:
        data = batches("fit", "data", data, model, batch_size, shuffle=True)
    data = with_weights(data, class_weight, sample_weight)
    feed = batches("fit", "data", data, model, batch_size, shuffle=True, transform=transform, prefetch=prefetch)
    held_out = None if validation is None else batches("fit", "validation", validation, model, batch_size)
    if not isinstance(callbacks, Iterable):
        raise TypeError(f"fit: callbacks must be a list, got {type(callbacks).__name__}")
    given = [*callbacks]
    if schedule is not None:
        given.insert(0, schedule if isinstance(schedule, Callback) else Schedule(schedule))
    # What writes comes last: what it keeps of the other callbacks must already know the epoch.
    run = Run(model, optimizer, int(epochs), sorted(map(_callback, given), key=lambda callback: callback.order))
    batches_per_epoch = length_of(feed)
    run.steps_per_epoch = None if batches_per_epoch is None else -(-batches_per_epoch // accumulate)
    run.history.directions = directions(streams)
    run.loaders = {"data": loaders_in(feed), "validation": [] if held_out is None else loaders_in(held_out)}
    for callback in run.callbacks:
        if isinstance(callback, Schedule):
            callback.check(optimizer)  # before a checkpoint changes anything
    if resume is not None:
        with reading("", path_of("fit", resume), "fit"):
            run.load_state_dict(load_checkpoint(resume, function="fit"))
    with modes_kept(model), kernels.flush_denormal() if flush_denormal else nullcontext():
        return _run(run, feed, held_out, function, streams, held_streams, progress, accumulate)


def _run(
    run: Run,
    feed: Iterable[tuple[Any, ...]],
    held_out: Iterable[tuple[Any, ...]] | None,
    loss: Loss,
    streams: dict[str, Stream],
    held_streams: dict[str, Stream],
    progress: bool,
    accumulate: int,
) -> History:
    """Go through the epochs; end all callbacks, whatever happens."""
    model = run.model
    bar = Progress(run.epochs, getattr(feed, "samples", None), run.epoch, show=True if progress else None)
    failed = False

    def began(name: str) -> None:
        bar.compiling(name, first=len(watch.names) == 1)

    watching = compiling(began)
    watch = watching.__enter__()
    try:
        for callback in run.callbacks:
            callback.on_train_begin(run)
        while run.epoch < run.epochs and not run.stop:
            started = time.perf_counter()
            bar.begin_epoch()
            if not model.training:  # else what is in eval mode was put there to stay
                model.train()
            if harmless(model, loss):
                _compile_ahead(model, feed, loss, watch)
            figures, seen = _epoch(run, feed, loss, streams, bar, accumulate, watch)
            if held_out is not None:
                for name, value in measure(model, held_out, loss, held_streams).items():
                    figures[f"val_{name}"] = value
            figures["seconds"] = time.perf_counter() - started
            run.epoch += 1
            run.history.append(figures)
            bar.end_epoch(run.epoch, seen, figures, watch.seconds, len(watch.names))
            for callback in run.callbacks:
                callback.on_epoch_end(run)
        run.history.stopped = run.stop or "finished"
    except KeyboardInterrupt:
        run.history.stopped = f"interrupted in epoch {run.epoch + 1} of {run.epochs}"
    except Exception as error:
        run.history.stopped = str(error)
        failed = not (isinstance(error, TrainingDiverged) and any(isinstance(c, StopOnNaN) for c in run.callbacks))
        if failed:
            _keep_history(error, run.history)
            raise
    finally:
        watching.__exit__(None, None, None)
        bar.close()
        errors = _end(run)
        for line in ([] if run.history.stopped == "finished" else [run.history.stopped]) + [*map(str, errors)]:
            bar.line(line)
        if errors and not failed:
            _keep_history(errors[0], run.history)
            raise errors[0]
    return run.history


def _check_optimizer(model: Any, optimizer: Any) -> None:
    """Raise TypeError or ValueError for what cannot train this model."""
    if isinstance(optimizer, LBFGS):
        raise TypeError("fit: LBFGS evaluates the loss many times in a step: call its step(closure) in a loop of yours")
    if isinstance(optimizer, type) or not all(hasattr(optimizer, name) for name in ("step", "zero_grad")):
        got = f"the class {optimizer.__name__}" if isinstance(optimizer, type) else repr(optimizer)
        raise TypeError(f"fit: optimizer must be an optimizer such as optim.Adam(model.parameters()), got {got}")
    own = {id(parameter) for parameter in model.parameters()}
    groups = getattr(optimizer, "param_groups", [])
    if groups and not any(id(parameter) in own for group in groups for parameter in group["params"]):
        raise ValueError("fit: none of the optimizer's parameters belongs to the model; make it of model.parameters()")


def _end(run: Run) -> list[Exception]:
    """Let every callback end, whatever happens in others; give what they raised."""
    errors = []
    for callback in run.callbacks:
        try:
            callback.on_train_end(run)
        except Exception as error:
            errors.append(error)
    return errors


def _keep_history(error: Exception, history: History) -> None:
    with suppress(AttributeError):  # an exception without room for it
        error.history = history  # type: ignore[attr-defined]


def _epoch(
    run: Run,
    feed: Iterable[tuple[Any, ...]],
    loss: Loss,
    streams: dict[str, Stream],
    bar: Progress,
    accumulate: int,
    watch: Compiling,
) -> tuple[dict[str, Any], int]:
    """Go through the training data once; give the figures and the number of samples."""
    model, optimizer = run.model, run.optimizer
    clock, isfinite = time.perf_counter, math.isfinite
    updates = [stream.update for stream in streams.values()]
    for stream in streams.values():
        stream.reset()
    total, weight, seen = 0.0, 0.0, 0
    first = not run.step
    gathered, added = 0, 0.0  # batches since the last step of the optimizer, and their weight
    supposed = 1.0  # ... and what that will be if all of them weigh as much as the first
    private = getattr(feed, "private", False)
    keep_x, keep_y = not (private or harmless(model)), not (private or harmless(loss, *streams.values()))
    # A call per step and callback costs time that shows at 50 us per step: only those that want it.
    before = [c.on_gradients for c in run.callbacks if type(c).on_gradients is not Callback.on_gradients]
    after = [c.on_step_end for c in run.callbacks if type(c).on_step_end is not Callback.on_step_end]

    def figures() -> dict[str, Any]:
        mean = total / weight if weight else math.nan
        return {"loss": mean, **{name: stream.result() for name, stream in streams.items()}}

    def step() -> None:
        if added and added != supposed and accumulate > 1:
            _scale_gradients(optimizer, supposed / added)
        for hook in before:
            hook(run)
        optimizer.step()
        run.step += 1

    for batch in feed:
        x, y, *weights = samples("fit", batch)
        output = model(owned(x) if keep_x else x)
        if keep_y:
            output, y = apart(output, x), owned(y)
        share: float = len(x)
        seen += len(x)
        if weights:
            cost, share = weighted_loss(loss, output, y, *weights)
        else:
            cost = loss(output, y)
        value = number_of("fit", cost)
        if not isfinite(value):
            raise run.bad_loss(value, x, y)
        if not gathered:
            optimizer.zero_grad()
            supposed = accumulate * (share or 1.0)
        (cost if accumulate == 1 else cost / (supposed / share) if share else cost * 0.0).backward()
        gathered += 1
        added += share
        if gathered == accumulate:
            step()
        total += share * value
        weight += share
        for update in updates:
            update(output.numpy(), unwrap(y))
        if gathered == accumulate:
            gathered, added = 0, 0.0
            for hook in after:
                hook(run)
        if first:
            bar.first_batch(seen, watch.seconds)
            first = False
        if clock() >= bar.next_update:
            bar.forget_compiling(watch.seconds)
            bar.update(seen, figures())
    if seen == 0:
        raise ValueError("fit: data gave no batches; an iterable must start anew for every epoch, a generator cannot")
    if gathered:
        step()
        for hook in after:
            hook(run)
    return figures(), seen


def _compile_ahead(model: Any, feed: Any, loss: Loss, watch: Compiling) -> None:
    """Compile what a step on the arrays of a loader needs, unless its transform is somebody's own."""
    arrays = feed.arrays if isinstance(feed, DataLoader) else []
    transform = getattr(feed, "transform", None)
    if len(arrays) == 2 and (transform is None or (harmless(transform) and not getattr(transform, "pairs", False))):
        x, y = (array[: feed.batch_size] for array in arrays)
        x = x.astype(feed.dtype, copy=False) if feed.dtype is not None and x.dtype.kind == "f" else x
        compile_step(model, np.zeros(x.shape, x.dtype), np.array(y), loss, watch, transform)


def _scale_gradients(optimizer: Any, factor: float) -> None:
    """Scale all gradients if a step's batches weigh more or less than was assumed."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.grad is not None:
                parameter.grad *= factor


def _callback(callback: Any) -> Callback:
    if isinstance(callback, Callback):
        return callback
    if isinstance(callback, type) or not callable(callback):
        raise TypeError(f"fit: a callback must be a Callback or a function of the run, got {callback!r}")
    return FunctionCallback(callback)
