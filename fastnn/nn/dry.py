"""Running a model for its shapes, or for the names of its kernels, without computing anything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import fastnn_kernels as kernels

from .module import Module


@contextmanager
def dry_run(model: Module) -> Iterator[Any]:
    """Let nothing be computed in this thread inside a `with` block; give the record of `fastnn_kernels.dry_run`.

    Outputs have their shapes and are zeros. What layers have packed on the way is thrown away.
    """
    try:
        with kernels.dry_run() as record:
            yield record
    finally:
        for module in model.modules():
            vars(module).pop("_prepared", None)
