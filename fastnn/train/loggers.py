"""Callbacks that write the history to a file while training goes on."""

from __future__ import annotations

import csv
import io
import json
import os
import socket
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from fastnn._checks import path_of
from fastnn.train.callbacks import Callback
from fastnn.train.checkpoint import StrPath, write_atomically

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
        self.files: dict[str, BinaryIO] = {}

    def on_train_begin(self, run: Run) -> None:
        """Make the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)

    def on_epoch_end(self, run: Run) -> None:
        """Append a record per figure."""
        for name, value in run.history.last.items():
            if np.ndim(value):
                continue
            part, tag = ("validation", name[4:]) if name.startswith("val_") else ("training", name)
            self._file(part).write(_record(_event(run.epoch, tag, float(value))))
        for file in self.files.values():
            file.flush()

    def on_train_end(self, run: Run) -> None:
        """Close the files."""
        for file in self.files.values():
            file.close()
        self.files = {}

    def _file(self, part: str) -> BinaryIO:
        if part not in self.files:
            folder = self.folder / part
            folder.mkdir(exist_ok=True)
            name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{id(self)}"
            self.files[part] = open(folder / name, "ab")
            self.files[part].write(_record(_time() + _text(3, b"brain.Event:2")))
        return self.files[part]


# An event is a protocol buffer: fields of (number << 3 | kind), kind 1: 8 bytes, 5: 4 bytes, 0: an integer in groups of
# seven bits, 2: a length and as many bytes.


def _integer(value: int) -> bytes:
    groups = []
    while value > 127:
        groups.append(value & 127 | 128)
        value >>= 7
    return bytes([*groups, value])


def _text(field: int, content: bytes) -> bytes:
    return _integer(field << 3 | 2) + _integer(len(content)) + content


def _time() -> bytes:
    return _integer(1 << 3 | 1) + struct.pack("<d", time.time())


def _event(step: int, tag: str, value: float) -> bytes:
    scalar = _text(1, tag.encode()) + _integer(2 << 3 | 5) + struct.pack("<f", value)
    return _time() + _integer(2 << 3) + _integer(step) + _text(5, _text(1, scalar))


def _record(content: bytes) -> bytes:
    """Frame an event: its length and itself, each followed by a checksum."""
    length = struct.pack("<Q", len(content))
    return length + _checksum(length) + content + _checksum(content)


def _checksum(content: bytes) -> bytes:
    """Give the masked CRC-32C: reflected, of the polynomial 0x1EDC6F41 (Castagnoli et al., 1993)."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x82F63B78 * (crc & 1)
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8) & 0xFFFFFFFF)
