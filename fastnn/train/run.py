"""A training run, as callbacks see it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import random
from fastnn.data import DataLoader
from fastnn.train.history import History
from fastnn.train.loading import LoadError, all_or_nothing, count, mapping, reading, real

if TYPE_CHECKING:
    from fastnn.train.callbacks import Callback

Array = np.ndarray[Any, Any]


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
    steps_per_epoch: int | None = None  # if that is known
    loaders: dict[str, list[DataLoader]] = field(default_factory=dict)  # of "data" and "validation"

    @property
    def done(self) -> float:
        """The share of training that is done, 0 to 1; by steps if their number is known, else by epochs."""
        steps = self.epochs * (self.steps_per_epoch or 0)
        return min(self.step / steps if steps else self.epoch / max(self.epochs, 1), 1.0)

    def state_dict(self) -> dict[str, Any]:
        """Give all that is needed to continue bit for bit."""
        return {
            "model": {name: np.asarray(value) for name, value in self.model.state_dict().items()},
            "optimizer": self.optimizer.state_dict(),
            "callbacks": [callback.state_dict() for callback in self.callbacks],
            "random": random.get_state(),
            "epoch": self.epoch,
            "step": self.step,
            "history": self.history.columns,
            "loaders": {name: [loader.epoch for loader in loaders] for name, loaders in self.loaders.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` gave. Callbacks take their states in the order they were given.

        Raises LoadError, with nothing changed, for the state of something else, such as a file of `fastnn.save`.
        """
        if not isinstance(state, dict) or not {"callbacks", "epoch", "history"} <= set(state):
            raise LoadError(
                "does not fit: resume needs a file of the callback Checkpoint; for one of fastnn.save see fastnn.load"
            )
        mapping("", state, "model", "optimizer", "random", "step")
        epoch, step, history = count("epoch", state["epoch"]), count("step", state["step"]), _history(state["history"])
        if not isinstance(state["callbacks"], list | tuple):
            raise LoadError(f"must be a list, got {type(state['callbacks']).__name__}", "callbacks")
        given = mapping("loaders", state.get("loaders", {}))
        epochs = {
            name: _epochs(f"loaders.{name}", given.get(name), len(loaders), epoch)
            for name, loaders in self.loaders.items()
        }
        with all_or_nothing(self.model, self.optimizer, self.callbacks):
            with reading("model"):
                self.model.load_state_dict(state["model"])
            with reading("optimizer"):
                self.optimizer.load_state_dict(state["optimizer"])
            with reading("random"):
                random.set_state(state["random"])
            for number, (callback, saved) in enumerate(zip(self.callbacks, state["callbacks"], strict=False)):
                with reading(f"callbacks.{number}"):
                    callback.load_state_dict(dict(mapping("", saved)))
                    callback.check_state(self)
        self.epoch, self.step, self.history.columns = epoch, step, history
        for name, loaders in self.loaders.items():
            for loader, begun in zip(loaders, epochs[name], strict=True):
                loader.epoch = begun

    def check_finite(self) -> None:
        """Raise TrainingDiverged if a parameter is nan or infinite."""
        for name, array in self.model.state_dict().items():
            if not np.isfinite(array).all():
                raise self.diverged(f"{name} is no longer finite after epoch {self.epoch}; {self.advice()}")

    def diverged(self, what: str) -> TrainingDiverged:
        """Give the error to raise."""
        return TrainingDiverged(f"fit: {what}", self.history)

    def bad_loss(self, value: float, x: Any, y: Any) -> TrainingDiverged:
        """Give the error for a loss that is not finite, with what can be known about it."""
        where = f"the loss became {value} in epoch {self.epoch + 1}, step {self.step + 1}"
        for name, array in (("input", np.asarray(x)), ("target", np.asarray(y))):
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                bad = np.count_nonzero(~np.isfinite(array))
                return self.diverged(
                    f"{where}: the {name} batch (shape {array.shape}) holds {bad} values that are nan or infinite"
                )
        return self.diverged(f"{where}; {self.advice()}")

    def advice(self) -> str:
        """Say what one could do."""
        written = [str(path) for callback in self.callbacks if (path := getattr(callback, "written", None))]
        kept = f"; the last good state is in {', '.join(written)}" if written else ""
        rate = getattr(self.optimizer, "lr", None)
        return f"try a smaller learning rate{'' if rate is None else f' (now {rate:g})'}{kept}"


def _history(columns: Any) -> dict[str, list[Any]]:
    """Check the columns of a history: numbers or arrays, as many in each."""
    lengths = set()
    for name, values in mapping("history", columns).items():
        where = f"history.{name}"
        if not isinstance(name, str) or not isinstance(values, list):
            raise LoadError("must be a list of figures", where)
        for value in values:
            if not (isinstance(value, np.ndarray | list) or value is None):
                real(where, value, finite=False)
        lengths.add(len(values))
    if len(lengths) > 1:
        raise LoadError(f"has columns of different lengths: {', '.join(map(str, sorted(lengths)))}", "history")
    return {name: list(values) for name, values in columns.items()}


def _epochs(field: str, given: Any, loaders: int, epoch: int) -> list[int]:
    """Give the number of the next epoch of each loader; where the file does not say, all began with the run."""
    if not isinstance(given, list | tuple) or len(given) != loaders:
        return [epoch] * loaders
    return [count(field, value) for value in given]
