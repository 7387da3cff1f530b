"""Whole models in one file: `fastnn.save` and `fastnn.load`.

The file is a checkpoint (see `fastnn.train.checkpoint`): named arrays behind a JSON header. The architecture is written
as the names of layers and the arguments they were made with, and only layers of `fastnn.nn` and optimizers of
`fastnn.optim` are made from it: whatever a file says, nothing in it is executed.
"""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastnn import nn, optim
from fastnn import random as streams
from fastnn.nn import Module
from fastnn.optim import Optimizer
from fastnn.train.checkpoint import StrPath, load_checkpoint, save_checkpoint

DEPTH = 50  # of containers in containers; a file that is deeper is no model
# Arguments of layers whose product is the number of their weights (about), which a hostile file could make enormous.
SIZES = (
    "in_features", "out_features", "in_channels", "out_channels", "kernel_size", "num_features", "num_channels",
    "normalized_shape", "num_parameters",
)  # fmt: skip


@dataclass
class Saved:
    """What `fastnn.load` gives."""

    model: Any
    optimizer: Any = None
    config: dict[str, Any] = field(default_factory=dict)


def save(
    model: Module, path: StrPath, *, optimizer: Optimizer | None = None, config: dict[str, Any] | None = None
) -> None:
    """Write a model to a safetensors file, atomically: weights, architecture, random streams, optimizer.

    Parameters
    ----------
    model : Module
        If it is made of layers of `fastnn.nn` only, `load` can make it anew; else it must be given to `load`.
    path : path
        The file. Other programs find the weights in it under their PyTorch names behind `model.`.
    optimizer : Optimizer, optional
        Its settings and state are kept, too.
    config : dict, optional
        Anything else worth keeping: JSON values and arrays, such as the names of classes or the mean of the data.

    Raises
    ------
    TypeError
        If `config` holds something else.
    """
    state = {
        "model": dict(model.state_dict()),
        "architecture": describe(model),
        "optimizer": None if optimizer is None else _written(model, optimizer),
        "config": config or {},
        "random": streams.get_state(),
    }
    save_checkpoint(path, state)


def load(
    path: StrPath, model: Module | None = None, *, optimizer: Optimizer | None = None, random: bool = False
) -> Saved:
    """Read back what `save` wrote.

    Parameters
    ----------
    path : path
        The file.
    model : Module, optional
        Takes the weights. Without it the model is made as the file describes it.
    optimizer : Optimizer, optional
        Takes settings and state. Without it one is made if the file has one.
    random : bool
        Continue the random streams where they were.

    Returns
    -------
    Saved
        With `model` (in eval mode if it was made here), `optimizer` (None if none was saved) and `config`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged, is no file of `save`, does not fit the model, or asks for anything but layers and optimizers
        of this library.

    Examples
    --------
    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "net.safetensors")
    >>> save(nn.Sequential(nn.Linear(3, 2), nn.ReLU()), path, config={"classes": ["cat", "dog"]})
    >>> saved = load(path)
    >>> saved.model(np.ones((1, 3), np.float32)).shape, saved.config["classes"]
    ((1, 2), ['cat', 'dog'])
    """
    state = load_checkpoint(path, function="load")
    if not isinstance(state, dict) or not {"model", "architecture", "optimizer", "config", "random"} <= set(state):
        raise ValueError(f"load: {path} was not written by fastnn.save; for a checkpoint of fit see fit(resume=...)")
    try:
        if model is None:
            model = build(state["architecture"], state["model"])
            model.eval()
        model.load_state_dict(state["model"])
        if optimizer is None and state["optimizer"] is not None:
            optimizer = _optimizer(model, state["optimizer"])
        elif optimizer is not None and state["optimizer"] is not None:
            optimizer.load_state_dict(state["optimizer"]["state"])
        if random:
            streams.set_state(state["random"])
    except (TypeError, KeyError, AttributeError, RecursionError, MemoryError, OverflowError) as error:
        raise ValueError(f"load: {path} does not describe a model: {type(error).__name__}: {error}") from error
    except ValueError as error:
        raise ValueError(f"load: {path}: {error}") from error
    return Saved(model, optimizer, state["config"])


def describe(model: Module, depth: int = 0) -> dict[str, Any] | None:
    """Write a model down as JSON values; None if it cannot be made from them."""
    name = type(model).__name__
    if getattr(nn, name, None) is not type(model) or depth > DEPTH:
        return None
    args, options = model.made_from
    if isinstance(model, nn.Sequential):  # whose layers may have been exchanged since
        names = [child for child, _ in model.named_children()]
        args, options = tuple(model.children()), {}
        if names != [str(i) for i in range(len(names))]:
            return None
    try:
        parts = [_write(value, depth) for value in args], {key: _write(value, depth) for key, value in options.items()}
    except TypeError:
        return None
    dtype = next((str(parameter.dtype) for parameter in model.parameters()), "float32")
    return {"layer": name, "args": parts[0], "options": parts[1], "dtype": dtype}


def _write(value: Any, depth: int) -> Any:
    if isinstance(value, Module):
        part = describe(value, depth + 1)
        if part is None:
            raise TypeError(f"{type(value).__name__} cannot be written down")
        return part
    if isinstance(value, (list, tuple)):
        return [_write(item, depth) for item in value]
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"{type(value).__name__} cannot be written down")


def build(description: Any, weights: dict[str, Any]) -> Module:
    """Make the model that `describe` has written down.

    Raises ValueError if it asks for anything but layers of `fastnn.nn`, or for more weights than there are.
    """
    if description is None:
        raise ValueError("the model is not made of layers of fastnn.nn only: make it, and give it to load(path, model)")
    before = streams.get_state()
    size = sum(np.size(array) for array in weights.values())
    try:
        model = _build(description, [2 * size + (1 << 20)], 0)  # there are layers whose sizes stand for no weights
    finally:
        streams.set_state(before)  # initial weights were drawn that nobody will see
    if not isinstance(model, Module):
        raise ValueError(f"a {type(model).__name__} is no model")
    return model


def _build(part: Any, room: list[int], depth: int) -> Any:
    """Make a part of a model. room[0]: how many weights there may still be."""
    if isinstance(part, list):
        return tuple(_build(item, room, depth) for item in part)
    if not isinstance(part, dict):
        return part
    name = part["layer"]
    kind = getattr(nn, name, None) if isinstance(name, str) and name in nn.__all__ else None
    if not (isinstance(kind, type) and issubclass(kind, Module)) or depth > DEPTH:
        raise ValueError(f"there is no layer {str(name)[:60]!r} in fastnn.nn")
    args = [_build(item, room, depth + 1) for item in part["args"]]
    options = {key: _build(item, room, depth + 1) for key, item in part["options"].items()}
    room[0] -= _weights(kind, inspect.signature(kind).bind(*args, **options).arguments)
    if room[0] < 0:
        raise ValueError(f"a {name} of {', '.join(map(repr, args))} does not belong to so few weights")
    layer = kind(*args, **options)
    return layer.to(part["dtype"]) if part["dtype"] != "float32" else layer


def _weights(kind: type[Module], arguments: dict[str, Any]) -> int:
    """Estimate how many weights a layer has, from its arguments."""
    sizes = []
    for name in SIZES:
        value = arguments.get(name, 1)
        if name == "kernel_size" and isinstance(value, int) and kind.__name__[-2:] in ("2d", "3d"):
            value = (value,) * int(kind.__name__[-2])
        sizes += [abs(side) for side in (value if isinstance(value, tuple) else (value,)) if isinstance(side, int)]
    groups = arguments.get("groups", 1)
    return math.prod(sizes) // (groups if isinstance(groups, int) and groups > 0 else 1)


def _written(model: Module, optimizer: Optimizer) -> dict[str, Any]:
    """Write an optimizer down: its class, which parameters its groups have, its state."""
    number = {id(parameter): i for i, parameter in enumerate(model.parameters())}
    groups = [[number.get(id(parameter), -1) for parameter in group["params"]] for group in optimizer.param_groups]
    return {"type": type(optimizer).__name__, "groups": groups, "state": optimizer.state_dict()}


def _optimizer(model: Module, state: dict[str, Any]) -> Optimizer:
    """Make the optimizer that `_written` has written down."""
    name, parameters = state["type"], list(model.parameters())
    kind = getattr(optim, name, None) if isinstance(name, str) and name in optim.__all__ else None
    if not (isinstance(kind, type) and issubclass(kind, Optimizer)):
        raise ValueError(f"there is no optimizer {str(name)[:60]!r} in fastnn.optim")
    if not all(0 <= i < len(parameters) for group in state["groups"] for i in group):
        raise ValueError(f"{name} has parameters that this model has not: make it, and give it to load(optimizer=...)")
    groups = [{"params": [parameters[i] for i in group]} for group in state["groups"]]
    optimizer: Optimizer = kind(groups)  # type: ignore[call-arg]
    optimizer.load_state_dict(state["state"])
    return optimizer
