"""Callbacks that write the history to a file while training goes on."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn._checks import path_of
from fastnn.train.callbacks import Callback
from fastnn.train.checkpoint import StrPath, write_atomically
from fastnn.train.event_file import EventFile

if TYPE_CHECKING:
    from fastnn.train.history import History
    from fastnn.train.run import Run


class _Log(Callback):
    """A file that holds the whole history, written anew after every epoch: it is complete whenever the process dies."""

    order = 1

    def __init__(self, path: StrPath) -> None:
        self.path = Path(path_of(type(self).__name__, path))

    def text(self, history: History) -> str:
        """Give the content of the file."""
        raise NotImplementedError

    def on_train_begin(self, run: Run) -> None:
        """Make the folder now: that it cannot be made should show before hours of training."""
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def on_epoch_end(self, run: Run) -> None:
        """Write."""
        write_atomically(self.path, self.text(run.history).encode())

    def on_train_end(self, run: Run) -> None:
        """Write why training ended."""
        self.on_epoch_end(run)


class CSVLog(_Log):
    """Write the history as comma-separated values, a row per epoch; columns of arrays are left out."""

    def text(self, history: History) -> str:
        """Give the table."""
        columns = history.numbers
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["epoch", *columns])
        writer.writerows([epoch, *row] for epoch, row in enumerate(zip(*columns.values(), strict=True), start=1))
        return stream.getvalue()


class JSONLog(_Log):
    """Write the history as JSON: {"stopped": ..., "columns": {name: [figure of each epoch]}}."""

    def text(self, history: History) -> str:
        """Give the object; what is not finite becomes null, as JSON knows no nan."""
        return json.dumps({"stopped": history.stopped, "columns": _finite(history.columns)}, indent=1) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, (list, np.ndarray)):
        return [_finite(item) for item in value]
    value = value.item() if isinstance(value, np.generic) else value
    return value if np.isfinite(value) else None


class TensorBoardLog(Callback):
    """Write the figures of every epoch as scalars to a folder that TensorBoard shows: ``tensorboard --logdir FOLDER``.

    The format is written directly, so TensorBoard need not be installed here. Columns named `val_...` go to a run of
    their own, so that TensorBoard draws them beside those of training.
    """

    order = 1

    def __init__(self, folder: StrPath) -> None:
        self.folder = Path(path_of(type(self).__name__, folder))
        self.files: dict[str, EventFile] = {}

    def on_train_begin(self, run: Run) -> None:
        """Make the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)

    def on_epoch_end(self, run: Run) -> None:
        """Append a record per figure."""
        for name, value in run.history.last.items():
            if np.ndim(value):
                continue
            part, tag = ("validation", name[4:]) if name.startswith("val_") else ("training", name)
            self._file(part).write(tag, float(value), run.epoch)
        for file in self.files.values():
            file.flush()

    def on_train_end(self, run: Run) -> None:
        """Close the files."""
        for file in self.files.values():
            file.close()
        self.files = {}

    def _file(self, part: str) -> EventFile:
        if part not in self.files:
            self.files[part] = EventFile(self.folder / part)
        return self.files[part]
