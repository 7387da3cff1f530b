"""What a training run reached, epoch by epoch."""

from __future__ import annotations

import os
from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import Any

import numpy as np

from fastnn._html import table
from fastnn.train.streams import direction_of

SHOWN = 60  # epochs of a long run, half from either end


class History:
    """The figures of a training run, one number per epoch and column; a mapping, of which ``dict(history)`` is a copy.

    Its length is the number of epochs. Columns are `loss`, the metrics, the same with `val_` in front if there was a
    validation set, and `seconds`. A metric that is not a number (a confusion matrix) has a column of arrays.

    Attributes
    ----------
    columns : dict of str to list
        The figures; `history["loss"]` is short for `history.columns["loss"]`.
    directions : dict of str to "min", "max" or None
        Whether small or large figures are good, by column of the metrics; None for those that do not say it.
    stopped : str
        Why the run ended: "finished", or for instance "early stopping: ...", "interrupted ...".

    Examples
    --------
    >>> history = History()
    >>> history.append({"loss": 0.5, "accuracy": 0.75})
    >>> history["loss"], len(history), history.last["accuracy"]
    ([0.5], 1, 0.75)
    """

    def __init__(self, columns: Mapping[str, list[Any]] | None = None, stopped: str = "") -> None:
        self.columns: dict[str, list[Any]] = {name: list(values) for name, values in (columns or {}).items()}
        self.stopped = stopped
        self.directions: dict[str, str | None] = {}

    def direction(self, name: str) -> str | None:
        """Say whether small ("min") or large ("max") figures of a column are good; None if it is not known.

        Metrics and losses of fastnn know it. Columns of your own functions are known by the usual names only.
        """
        return self.directions.get(name) or direction_of(name)

    def best(self, name: str, mode: str = "auto") -> tuple[int, float]:
        """Give (epoch, figure) of the best figure of a column; epochs count from 1, of equal figures the first wins.

        mode: "min" or "max" is best; "auto": as `direction` says.

        Raises KeyError for a column that is not there, ValueError where the direction is not known, where the column
        holds arrays, and where there is no figure but nan.
        """
        values = self[name]
        sign = sign_of("History", name, mode, self)
        if name not in self.numbers:
            raise ValueError(f"History: {name!r} holds arrays, which have no order")
        epochs = [epoch for epoch, value in enumerate(values) if value == value]
        if not epochs:
            raise ValueError(f"History: {name!r} has no figure but nan")
        epoch = max(epochs, key=lambda epoch: sign * values[epoch])
        return epoch + 1, values[epoch]

    def append(self, row: Mapping[str, Any]) -> None:
        """Add the figures of one epoch. A column that was not there before is filled up with nan."""
        before = len(self)
        for name in {**self.columns, **row}:
            value = row.get(name, float("nan"))
            self.columns.setdefault(name, [float("nan")] * before).append(
                float(value) if np.ndim(value) == 0 else value
            )

    def record(self, name: str, value: Any) -> None:
        """Add a figure to the last epoch, or replace it."""
        self.columns.setdefault(name, [float("nan")] * len(self))[-1] = value

    @property
    def numbers(self) -> dict[str, list[float]]:
        """The columns of numbers, without those of arrays."""
        return {name: values for name, values in self.columns.items() if all(np.ndim(value) == 0 for value in values)}

    def __getitem__(self, name: str) -> list[Any]:
        """Give one column."""
        try:
            return self.columns[name]
        except KeyError:
            raise KeyError(f"History: no column {name!r}; there are {', '.join(self.columns) or 'none yet'}") from None

    def __contains__(self, name: object) -> bool:
        """Say whether there is such a column."""
        return name in self.columns

    def __iter__(self) -> Iterator[str]:
        """Go through the names of the columns."""
        return iter(self.columns)

    def keys(self) -> KeysView[str]:
        """Give the names of the columns."""
        return self.columns.keys()

    def values(self) -> ValuesView[list[Any]]:
        """Give the columns."""
        return self.columns.values()

    def items(self) -> ItemsView[str, list[Any]]:
        """Give (name, column) of all columns."""
        return self.columns.items()

    def get(self, name: str, default: Any = None) -> Any:
        """Give one column, or `default` if it is not there."""
        return self.columns.get(name, default)

    @property
    def history(self) -> dict[str, list[Any]]:
        """The columns, under the name that they have in Keras."""
        return self.columns

    def __len__(self) -> int:
        """Count the epochs."""
        return max((len(values) for values in self.columns.values()), default=0)

    @property
    def last(self) -> dict[str, Any]:
        """The figures of the last epoch."""
        return {name: values[-1] for name, values in self.columns.items()}

    def __str__(self) -> str:
        """Give the figures as a table."""
        rows = ["epoch  " + "  ".join(f"{name:>12}" for name in self.numbers)]
        for epoch, values in enumerate(zip(*self.numbers.values(), strict=True), start=1):
            rows.append(f"{epoch:5d}  " + "  ".join(f"{value:12.5g}" for value in values))
        return "\n".join(rows)

    def __repr__(self) -> str:
        """Give the figures as a table, and why the run ended."""
        if not len(self):
            return "History(no epoch was finished)"
        lines = str(self).splitlines()
        if len(lines) > SHOWN + 1:
            lines[1 + SHOWN // 2 : -(SHOWN // 2)] = ["  ..."]
        return "\n".join([*lines, *([] if self.stopped in ("", "finished") else [self.stopped])])

    def _repr_html_(self) -> str:
        """Give the table for notebooks."""
        names = list(self.numbers)
        rows = [
            [epoch, *(f"{value:.5g}" for value in values)]
            for epoch, values in enumerate(zip(*self.numbers.values(), strict=True), start=1)
        ]
        if len(rows) > SHOWN:
            rows[SHOWN // 2 : -(SHOWN // 2)] = [["..."] * (1 + len(names))]
        return table(["epoch", *names], rows, "" if self.stopped == "finished" else self.stopped)

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw the learning curves (see `fastnn.train.plots.plot_history`); needs matplotlib."""
        from fastnn.train.plots import plot_history

        return plot_history(self, path)


Mapping.register(History)


def sign_of(where: str, name: str, mode: str, history: History) -> float:
    """Give -1.0 where small figures of a column are good, 1.0 where large ones are.

    Raises ValueError for an unknown mode, and for "auto" where the direction of the column is not known.
    """
    if mode not in ("auto", "min", "max"):
        raise ValueError(f"{where}: mode must be 'auto', 'min' or 'max', got {mode!r}")
    found = history.direction(name) if mode == "auto" else mode
    if found is None:
        raise ValueError(
            f"{where}: it is not known whether small or large values of {name!r} are better; give mode='min' or 'max'"
        )
    return -1.0 if found == "min" else 1.0
