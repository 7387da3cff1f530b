"""What loading has in common: one error, checks of what a file says, and everything or nothing."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from fastnn import random
from fastnn._checks import LARGEST, shown


class LoadError(ValueError):
    """A file that cannot be loaded: damaged, hostile, or of something else. Nothing has been changed.

    Attributes
    ----------
    path : str
        The file.
    field : str
        What in it does not fit, such as "optimizer" or "model.0.weight"; "" for the file as a whole.
    """

    def __init__(self, problem: str, field: str = "", path: str = "", function: str = "") -> None:
        super().__init__(problem, field, path, function)
        self.problem, self.field, self.path, self.function = problem, field, path, function

    def __str__(self) -> str:
        where = ": ".join(filter(None, (self.function, self.path, self.field)))
        return f"{where} {self.problem}"


@contextmanager
def reading(field: str = "", path: Any = "", function: str = "") -> Iterator[None]:
    """Turn whatever goes wrong inside into a LoadError that names the field, the file and the function."""
    try:
        yield
    except OSError:  # of the file system: it names the file
        raise
    except LoadError as error:
        inner = f"{field}.{error.field}" if field and error.field else field or error.field
        raise LoadError(error.problem, inner, error.path or shown_path(path), error.function or function) from error
    except Exception as error:
        reason = str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"
        raise LoadError(f"cannot be loaded: {reason}", field, shown_path(path), function) from error


def shown_path(path: Any) -> str:
    """Give a path, or the name of a file that is open, for a message."""
    if hasattr(path, "read"):
        return str(getattr(path, "name", "") or type(path).__name__)
    return str(os.fsdecode(path)) if isinstance(path, str | bytes | os.PathLike) else ""


def count(field: str, value: Any) -> int:
    """Give a number of epochs, steps ... as it is. Raises LoadError for anything but an integer from 0."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or not 0 <= value <= LARGEST:
        raise LoadError(f"must be an integer from 0, got {shown(value)}", field)
    return int(value)


def real(field: str, value: Any, finite: bool = True) -> float:
    """Give a number as a float. Raises LoadError for anything else, and unless told otherwise for nan and infinity."""
    if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.nan
            finite = True
        if math.isfinite(number) or not finite:
            return number
    raise LoadError(f"must be a{' finite' if finite else ''} number, got {shown(value)}", field)


def mapping(field: str, value: Any, *keys: str) -> Mapping[str, Any]:
    """Give a dictionary that has these keys. Raises LoadError for anything else."""
    if not isinstance(value, Mapping):
        raise LoadError(f"must be a dictionary, got {shown(value)}", field)
    for key in keys:
        if key not in value:
            raise LoadError("is missing", f"{field}.{key}" if field else key)
    return value


@contextmanager
def all_or_nothing(model: Any, optimizer: Any = None, callbacks: Iterable[Any] = ()) -> Iterator[None]:
    """Put model, optimizer, callbacks (with the schedules they hold) and random streams back if the block fails."""
    parts = [
        part for each in callbacks for part in (each, getattr(each, "schedule", None), getattr(each, "best", None))
    ]
    tables = [vars(part) for part in parts if hasattr(part, "__dict__") and not isinstance(part, type)]
    tables += [] if optimizer is None else optimizer.param_groups  # a file may bring settings that were not there
    kept = [(table, dict(table)) for table in tables]
    weights = model.state_dict()
    memory = copy.deepcopy(optimizer.state_dict()) if optimizer is not None else None
    streams = random.get_state()
    try:
        yield
    except BaseException:
        random.set_state(streams)
        model.load_state_dict(weights)
        if optimizer is not None:
            optimizer.load_state_dict(memory)
        for table, values in kept:
            table.clear()
            table.update(values)
        raise
