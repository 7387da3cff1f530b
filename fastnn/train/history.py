"""What a training run reached, epoch by epoch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np


class History:
    """The figures of a training run, one number per epoch and column.

    Columns are `loss`, the metrics, the same with `val_` in front if there was a validation set, and `seconds`. A
    metric that is not a number (a confusion matrix) has a column of arrays.

    Attributes
    ----------
    columns : dict of str to list
        The figures; `history["loss"]` is short for `history.columns["loss"]`.
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

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw the learning curves (see `fastnn.train.plots.plot_history`); needs matplotlib."""
        from fastnn.train.plots import plot_history

        return plot_history(self, path)
