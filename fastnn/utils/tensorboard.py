"""PyTorch's writer of curves for TensorBoard: scalars only."""

from __future__ import annotations

import socket
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from fastnn._checks import path_of
from fastnn.train.event_file import EventFile

__all__ = ["SummaryWriter"]


class SummaryWriter:
    """Write scalars to a folder that TensorBoard shows: ``tensorboard --logdir FOLDER``.

    `log_dir` is the folder; without it a new one is made in `runs`, named by the time, the machine and `comment`.
    PyTorch's other options are accepted and change nothing. Images, histograms, graphs and the like are refused with
    NotImplementedError.
    """

    def __init__(self, log_dir: Any = None, comment: str = "", *options: Any, **named: Any) -> None:
        if log_dir is None:
            log_dir = Path("runs") / f"{datetime.now():%b%d_%H-%M-%S}_{socket.gethostname()}{comment}"
        self.log_dir = path_of("SummaryWriter", log_dir)
        self._files: dict[str, EventFile] = {}

    def add_scalar(
        self,
        tag: str,
        scalar_value: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        new_style: bool = False,
        double_precision: bool = False,
    ) -> None:
        """Append a number, or a tensor of one, to the curve `tag`; it is kept as a float32."""
        self._write("", tag, scalar_value, global_step, walltime)

    def add_scalars(
        self,
        main_tag: str,
        tag_scalar_dict: dict[str, Any],
        global_step: int | None = None,
        walltime: float | None = None,
    ) -> None:
        """Append to several curves that are drawn together: each is a run of its own in the folder, as in PyTorch."""
        for name, value in tag_scalar_dict.items():
            self._write(f"{main_tag}/{name}".replace("/", "_"), main_tag, value, global_step, walltime)

    def flush(self) -> None:
        """Hand what was written to the file system."""
        for file in self._files.values():
            file.flush()

    def close(self) -> None:
        """Close the files; a later value opens new ones."""
        for file in self._files.values():
            file.close()
        self._files = {}

    def get_logdir(self) -> str:
        """Give the folder."""
        return str(self.log_dir)

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("add_"):
            raise NotImplementedError(f"SummaryWriter.{name}: only scalars are written, by add_scalar and add_scalars")
        raise AttributeError(f"SummaryWriter has no attribute {name!r}")

    def _write(self, part: str, tag: str, value: Any, step: int | None, when: float | None) -> None:
        if part not in self._files:
            self._files[part] = EventFile(Path(self.log_dir) / part)
        self._files[part].write(str(tag), float(value), int(step or 0), when)
