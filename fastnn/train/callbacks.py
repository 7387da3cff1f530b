"""What happens around the epochs of `fit`: stopping early, writing checkpoints, anything of your own."""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import _checks
from fastnn.optim import clip_grad_norm_, clip_grad_value_
from fastnn.optim.lr_scheduler import ReduceLROnPlateau
from fastnn.train.checkpoint import save_checkpoint
from fastnn.train.history import sign_of
from fastnn.train.loading import LoadError, count, mapping, real

if TYPE_CHECKING:
    from fastnn.train.run import Run


class Callback:
    """Base of all callbacks: override what you need.

    Each method gets the `Run`: its model, optimizer, history, epoch (finished so far) and step. Setting `run.stop` to a
    reason ends the training after this epoch. A plain function given to `fit` is called as `on_epoch_end`. Callbacks of
    the same `order` are called in the order given; what writes files has a higher one, to see what the others did.
    """

    order = 0

    def on_train_begin(self, run: Run) -> None:
        """Before the first epoch (after a resumed checkpoint was loaded)."""

    def on_gradients(self, run: Run) -> None:
        """Before every step of the optimizer, when the gradients are there. Steps may take 50 us: be quick."""

    def on_step_end(self, run: Run) -> None:
        """After every step of the optimizer. Steps may take 50 us: be quick."""

    def on_epoch_end(self, run: Run) -> None:
        """After every epoch; `run.history.last` has its figures."""

    def on_train_end(self, run: Run) -> None:
        """After the last epoch, also when the run was interrupted or diverged."""

    def state_dict(self) -> dict[str, Any]:
        """Give what a checkpoint must keep of this callback: arrays and JSON values."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` gave. What is raised here undoes the whole of the loading."""

    def check_state(self, run: Run) -> None:
        """Raise ValueError if what was loaded does not belong to this run; `load_state_dict` cannot know that."""


class FunctionCallback(Callback):
    """A function, called with the run after every epoch."""

    def __init__(self, function: Callable[[Run], None]) -> None:
        self.function = function

    def on_epoch_end(self, run: Run) -> None:
        """Call the function."""
        self.function(run)


def latest(run: Run, column: str) -> float:
    """Give the last figure of a column of the history. Raises ValueError if there is none."""
    if column not in run.history:
        raise ValueError(
            f"fit: there is no {column!r} to monitor, only {', '.join(run.history.columns)}"
            + ("; give fit a validation set" if column.startswith("val_") else "")
        )
    figure = run.history[column][-1]
    if np.ndim(figure):
        raise ValueError(f"fit: {column!r} cannot be monitored: its figures are arrays of shape {np.shape(figure)}")
    return float(figure)


class Best:
    """Watch one column of the history and say when it improves."""

    def __init__(self, callback: str, monitor: str, min_delta: float = 0.0, mode: str = "auto") -> None:
        if not isinstance(monitor, str):
            raise TypeError(f"{callback}: monitor must be the name of a column, got {type(monitor).__name__}")
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"{callback}: mode must be 'auto', 'min' or 'max', got {mode!r}")
        self.min_delta = _checks.real(callback, "min_delta", min_delta)
        if not self.min_delta >= 0:
            raise ValueError(f"{callback}: min_delta must be at least 0, got {min_delta}")
        self.callback, self.monitor, self.mode = callback, monitor, mode
        self.value: float | None = None  # the best so far
        self.epoch, self.better = 0, False  # the last epoch that was looked at, and whether it was better

    def begin(self, run: Run) -> None:
        """Start anew, unless the run is continued. Raises ValueError if the direction of `monitor` is not known."""
        if self.monitor in run.history.directions:
            sign_of(self.callback, self.monitor, self.mode, run.history)
        self.epoch = run.epoch
        if run.epoch == 0:
            self.value = None

    def improved(self, run: Run) -> bool:
        """Say whether the epoch that has just ended is better than all before, and remember it if so."""
        if self.epoch != run.epoch:
            value = latest(run, self.monitor)
            sign = sign_of(self.callback, self.monitor, self.mode, run.history)
            first = self.value is None and not math.isnan(value)
            self.better = first or (self.value is not None and sign * (value - self.value) > self.min_delta)
            self.epoch = run.epoch
            if self.better:
                self.value = value
        return self.better

    def load(self, value: Any) -> None:
        """Continue with the best figure of a checkpoint; old ones have an infinite number where there was none."""
        number = None if value is None else real("best", value, finite=False)
        self.value = number if number is not None and math.isfinite(number) else None


class EarlyStopping(Callback):
    """Stop when a figure has not improved for some epochs, and go back to the weights that were best.

    Parameters
    ----------
    monitor : str
        A column of the history, such as "val_loss" or "val_accuracy".
    patience : int
        Epochs without improvement after which training stops.
    min_delta : float
        How much better counts as better.
    mode : {"auto", "min", "max"}
        Whether small or large is good; "auto": as the metric says, which all of fastnn do (see `History.direction`).
        For a function of your own whose name does not say it, training does not begin without "min" or "max".
    restore_best : bool
        Leave the model with the weights of the best epoch, however the training ends.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 5,
        *,
        min_delta: float = 0.0,
        mode: str = "auto",
        restore_best: bool = True,
    ) -> None:
        _checks.whole("EarlyStopping", "patience", patience, 1)
        self.best = Best("EarlyStopping", monitor, min_delta, mode)
        self.patience, self.restore_best = patience, restore_best
        self.best_epoch = self.waited = 0
        self.weights: dict[str, Any] = {}

    def on_train_begin(self, run: Run) -> None:
        """Forget an earlier run, unless it is continued."""
        self.best.begin(run)
        if run.epoch == 0:
            self.best_epoch = self.waited = 0
            self.weights = {}

    def on_epoch_end(self, run: Run) -> None:
        """Keep the weights if the figure improved; stop if it has not for too long."""
        if self.best.improved(run):
            self.best_epoch, self.waited = run.epoch, 0
            if self.restore_best:
                self.weights = {name: np.array(array) for name, array in run.model.state_dict().items()}
            return
        self.waited += 1
        if self.waited >= self.patience:
            run.stop = f"early stopping: {self.best.monitor} has not improved for {self.waited} epochs; " + (
                f"best {self.best.value:.5g} in epoch {self.best_epoch}" if self.best.value is not None else "all nan"
            )

    def on_train_end(self, run: Run) -> None:
        """Put the best weights back."""
        if self.weights:
            run.model.load_state_dict(self.weights)

    def state_dict(self) -> dict[str, Any]:
        """Keep the best weights and the count of epochs waited."""
        return {
            "best": self.best.value,
            "best_epoch": self.best_epoch,
            "waited": self.waited,
            "weights": self.weights,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue counting. Raises LoadError, with nothing changed, for the state of something else."""
        mapping("", state, "best", "best_epoch", "waited", "weights")
        best_epoch, waited = count("best_epoch", state["best_epoch"]), count("waited", state["waited"])
        weights = dict(mapping("weights", state["weights"]))
        self.best.load(state["best"])
        self.best_epoch, self.waited, self.weights = best_epoch, waited, weights

    def check_state(self, run: Run) -> None:
        """Raise ValueError if the best weights are those of another model."""
        if self.weights:
            run.model.fitting(self.weights)


class StopOnNaN(Callback):
    """End the training when loss or weights are no longer finite, instead of raising TrainingDiverged.

    The model keeps the weights it had after the last epoch in which they were finite; `history.stopped` has the reason.
    """

    def __init__(self) -> None:
        self.weights: dict[str, Any] = {}

    def on_train_begin(self, run: Run) -> None:
        """Keep the weights it starts from."""
        self.weights = {}
        self.on_epoch_end(run)

    def on_epoch_end(self, run: Run) -> None:
        """Keep the weights, if they are fit to be kept."""
        run.check_finite()
        self.weights = run.model.state_dict()

    def on_train_end(self, run: Run) -> None:
        """Put the weights back if they were spoilt."""
        if self.weights and not all(np.isfinite(array).all() for array in run.model.state_dict().values()):
            run.model.load_state_dict(self.weights)


class ClipGradients(Callback):
    """Limit the gradients before every step of the optimizer (Pascanu et al., 2013).

    Parameters
    ----------
    norm : float, optional
        The most that the norm of all gradients together may be; see `optim.clip_grad_norm_`.
    value : float, optional
        The most that each of their elements may be, in size; see `optim.clip_grad_value_`. Comes first.
    """

    def __init__(self, norm: float | None = None, *, value: float | None = None) -> None:
        if norm is None and value is None:
            raise ValueError("ClipGradients: give norm, value, or both")
        for name, limit in (("norm", norm), ("value", value)):
            if limit is not None and not _checks.real("ClipGradients", name, limit) > 0:
                raise ValueError(f"ClipGradients: {name} must be above 0, got {limit}")
        self.norm, self.value = norm, value

    def on_gradients(self, run: Run) -> None:
        """Limit them."""
        parameters = [parameter for group in run.optimizer.param_groups for parameter in group["params"]]
        if self.value is not None:
            clip_grad_value_(parameters, self.value)
        if self.norm is not None:
            clip_grad_norm_(parameters, self.norm)


class LearningRateMonitor(Callback):
    """Write the learning rate of the end of every epoch to the history: column "lr", and "lr1" ... for more groups."""

    order = -1  # before a schedule moves on

    def on_epoch_end(self, run: Run) -> None:
        """Write it."""
        for number, group in enumerate(run.optimizer.param_groups):
            run.history.record(f"lr{number or ''}", float(group["lr"]))


class Schedule(Callback):
    """Change the learning rate in the course of training: what `fit(schedule=...)` makes of a schedule.

    Parameters
    ----------
    schedule : schedule with a `step()`, or function
        The schedule steps after every epoch or optimizer step. A function gets the share of training that is done, 0 to
        1, and gives the factor by which the optimizer's own learning rates are multiplied, after every step where the
        number of batches is known: ``Schedule(lambda done: 1 - done)``.
    every : "epoch" or "step", optional
        When a schedule steps; its attribute `every` if it has one, else "epoch".
    monitor : str, optional
        A column of the history whose last figure `step` is called with, as a schedule needs that waits for a plateau;
        its attribute `monitor` if it has one. A `ReduceLROnPlateau` with mode="min", its default, follows the metric:
        "max" where large figures are known to be good. mode="max" with a figure that should be small is a ValueError.
    """

    def __init__(self, schedule: Any, *, every: str | None = None, monitor: str | None = None) -> None:
        if isinstance(schedule, type) or not callable(getattr(schedule, "step", schedule)):
            raise TypeError(f"Schedule: expected a schedule with step(), or a function, got {schedule!r}")
        self.schedule = schedule
        self.every = every or getattr(schedule, "every", "epoch")
        self.monitor = monitor or getattr(schedule, "monitor", None)
        if self.every not in ("epoch", "step"):
            raise ValueError(f"Schedule: every must be 'epoch' or 'step', got {self.every!r}")
        self.rates: list[float] = []

    def check(self, optimizer: Any) -> None:
        """Raise ValueError if the schedule is that of another optimizer."""
        if getattr(self.schedule, "optimizer", optimizer) is not optimizer:
            raise ValueError(f"Schedule: this {type(self.schedule).__name__} belongs to another optimizer")

    def on_train_begin(self, run: Run) -> None:
        """Set the first learning rate. Raises ValueError for the schedule of another optimizer."""
        self.check(run.optimizer)
        if isinstance(self.schedule, ReduceLROnPlateau) and self.monitor is not None:
            self._turn(self.schedule, self.monitor, run.history.direction(self.monitor))
        if not hasattr(self.schedule, "step"):
            if run.epoch == 0:
                self.rates = [group["lr"] for group in run.optimizer.param_groups]
            self._set(run)

    def on_step_end(self, run: Run) -> None:
        """Step, if it is time."""
        if not hasattr(self.schedule, "step"):
            self._set(run)
        elif self.every == "step":
            self.schedule.step()

    def on_epoch_end(self, run: Run) -> None:
        """Step, if it is time."""
        if not hasattr(self.schedule, "step"):
            self._set(run)
        elif self.every == "epoch":
            self.schedule.step(*(() if self.monitor is None else (latest(run, self.monitor),)))

    def _turn(self, schedule: ReduceLROnPlateau, monitor: str, direction: str | None) -> None:
        """Set a ReduceLROnPlateau's mode to the direction of the figure it watches."""
        if direction == "min" and schedule.mode == "max":
            raise ValueError(f"Schedule: small {monitor!r} is better, but this ReduceLROnPlateau has mode='max'")
        if direction == "max" and schedule.mode == "min":
            schedule.mode = "max"
            if schedule.best == math.inf:  # nothing seen so far
                schedule.best = -math.inf

    def _set(self, run: Run) -> None:
        for group, rate in zip(run.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * float(self.schedule(run.done))

    def state_dict(self) -> dict[str, Any]:
        """Keep where the schedule is."""
        own = self.schedule.state_dict() if hasattr(self.schedule, "state_dict") else {}
        return {"rates": self.rates, "schedule": own}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from there. Raises LoadError for the state of something else."""
        mapping("", state, "rates", "schedule")
        if not isinstance(state["rates"], list | tuple):
            raise LoadError("must be a list of numbers", "rates")
        rates = [real("rates", rate) for rate in state["rates"]]
        if hasattr(self.schedule, "load_state_dict"):
            self.schedule.load_state_dict(dict(mapping("schedule", state["schedule"])))
        self.rates = rates

    def check_state(self, run: Run) -> None:
        """Raise ValueError if the optimizer has other groups."""
        groups = len(run.optimizer.param_groups)
        if len(self.rates) != groups and not hasattr(self.schedule, "step"):
            raise LoadError(f"has {len(self.rates)} numbers for {groups} groups of parameters", "rates")


class Checkpoint(Callback):
    """Write the whole state of the run to a file: weights, optimizer, random streams, history, other callbacks.

    `fit(..., resume=path)` continues from it bit for bit. The file is replaced atomically: whenever the process is
    killed, the last complete checkpoint is there. Weights that are not finite are never written.

    Parameters
    ----------
    path : path
        The file; "{epoch}" in it is replaced, to keep several.
    every : int
        Write after every so many epochs, and after the last.
    monitor : str, optional
        Write only when this column of the history is better than ever, such as "val_accuracy".
    mode : {"auto", "min", "max"}
        As for `EarlyStopping`.
    """

    order = 2

    def __init__(
        self, path: str | os.PathLike[str], *, every: int = 1, monitor: str | None = None, mode: str = "auto"
    ) -> None:
        _checks.whole("Checkpoint", "every", every, 1)
        self.path, self.every = _checks.path_of("Checkpoint", path), every
        self.best = Best("Checkpoint", monitor, mode=mode) if monitor is not None else None
        self.written: Path | None = None

    def on_train_begin(self, run: Run) -> None:
        """Make the folder now: that nothing can be written there should show before hours of training."""
        if self.best:
            self.best.begin(run)
        path = Path(self.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "Checkpoint: path is a folder, not a file", self.path)
        if not os.access(path.parent, os.W_OK):
            raise PermissionError(errno.EACCES, "Checkpoint: the folder cannot be written to", self.path)
        if run.epoch == 0:
            self.written = None

    def on_epoch_end(self, run: Run) -> None:
        """Write if it is time."""
        for other in run.callbacks:  # the file must hold the best figures of all Checkpoint callbacks
            if isinstance(other, Checkpoint) and other.best:
                other.best.improved(run)
        last = run.epoch == run.epochs or bool(run.stop)
        if self.best.improved(run) if self.best else (last or run.epoch % self.every == 0):
            run.check_finite()
            path = Path(self.path.replace("{epoch}", str(run.epoch)))
            save_checkpoint(path, run.state_dict())
            self.written = path

    def state_dict(self) -> dict[str, Any]:
        """Keep the best figure so far."""
        return {"best": self.best.value} if self.best else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from the best figure so far."""
        if self.best and "best" in state:
            self.best.load(state["best"])
