"""`fastnn.save` and `fastnn.load`: state dicts and other trees of data, or whole models, in one file.

The file is a checkpoint (see `fastnn.train.checkpoint`): named arrays behind a JSON header. The architecture of a model
is written as the names of layers and the arguments they were made with, and only layers of `fastnn.nn` and optimizers
of `fastnn.optim` are made from it: whatever a file says, nothing in it is executed. `load` also reads the files of
PyTorch (see `fastnn.train.torch_file`).
"""

from __future__ import annotations

import inspect
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastnn import nn, optim
from fastnn import random as streams
from fastnn._checks import path_of
from fastnn.nn import Module
from fastnn.nn.module import KNOWN, as_made, at_most
from fastnn.optim import Optimizer
from fastnn.tape import Tensor
from fastnn.train import torch_file
from fastnn.train.checkpoint import File, bytes_of, packed, unpacked, unsealed, write
from fastnn.train.loading import LoadError, all_or_nothing, mapping, reading

DEPTH = 50  # of containers in containers; a file that is deeper is no model


@dataclass
class Saved:
    """What `fastnn.load` gives."""

    model: Any
    optimizer: Any = None
    config: dict[str, Any] = field(default_factory=dict)


def save(
    obj: Any,
    f: File,
    pickle_module: Any = None,
    pickle_protocol: Any = None,
    *,
    optimizer: Optimizer | None = None,
    config: dict[str, Any] | None = None,
) -> None:
    """Write data, or a model, to a safetensors file.

    Data are tensors, arrays, numbers, texts, bools, None, dtypes, and dicts, lists and tuples of them, such as a
    state_dict, or a dictionary of the state_dicts of model, optimizer and schedule. `load` gives them back as they are.
    Nothing is pickled.

    Of a model are written: weights, architecture, random streams, optimizer. Layers are written with what their
    attributes say now, and what is shared (a layer used twice, one parameter of two layers) is shared again after
    `load`.

    Parameters
    ----------
    obj : data or Module
        If a model is made of layers of `fastnn.nn` only, `load` can make it anew; else it must be given to `load`.
    f : path or file
        A file under a path is replaced atomically. A file that is open for writing bytes is written to. Other programs
        find the arrays in it under their dotted names, those of a model behind `model.`.
    pickle_module, pickle_protocol
        Accepted for PyTorch's sake, and without effect.
    optimizer : Optimizer, optional
        With a model: its settings and state are kept, too.
    config : dict, optional
        With a model: anything else worth keeping, such as the names of classes or the mean of the data.

    Raises
    ------
    TypeError
        If there is something else to write, such as an object of a class of your own. Nothing is written then.
    """
    if not hasattr(f, "write"):
        path_of("save", f)
    if not isinstance(obj, Module):
        if optimizer is not None or config is not None:
            raise TypeError(f"save: optimizer and config are kept with a Module, not with a {type(obj).__name__}")
        if hasattr(obj, "state_dict"):
            raise TypeError(f"save: a {type(obj).__name__} cannot be written, its state_dict() can")
        write(f, packed(obj, kind="tree"))
        return
    model = obj
    if optimizer is not None and not isinstance(optimizer, Optimizer):
        raise TypeError(f"save: optimizer must be an Optimizer, got {type(optimizer).__name__}")
    if config is not None and not isinstance(config, dict):
        raise TypeError(f"save: config must be a dictionary, got {type(config).__name__}")
    classes = getattr(model, "classes_", None)  # of labels that were texts
    state = {
        **({} if classes is None else {"classes": [str(name) for name in classes]}),
        "model": {name: np.asarray(value) for name, value in model.state_dict().items()},
        "architecture": describe(model),
        "ties": _ties(model),
        "optimizer": None if optimizer is None else _written(model, optimizer),
        "config": config or {},
        "random": streams.get_state(),
    }
    write(f, packed(state))


def load(
    f: File,
    map_location: Any = None,
    pickle_module: Any = None,
    *,
    model: Module | None = None,
    optimizer: Optimizer | None = None,
    random: bool = False,
    weights_only: bool | None = None,
    mmap: bool | None = None,
) -> Any:
    """Read back what `save` wrote, a safetensors file of others, or what PyTorch's `torch.save` wrote.

    Files of PyTorch are read without PyTorch, if they hold tensors and plain containers; bfloat16 becomes float32.
    Nothing in any file is executed.

    Parameters
    ----------
    f : path or file
        A file under a path, or one that is open for reading bytes, such as a BytesIO.
    map_location : optional
        Accepted for PyTorch's sake: everything is loaded to the CPU, wherever it was. RuntimeError for another device.
        A Module in this place is taken as `model`.
    model : Module, optional
        Takes the weights of a file with a model. Without it the model is made as the file describes it.
    optimizer : Optimizer, optional
        Takes settings and state. Without it one is made if the file has one.
    random : bool
        Continue the random streams where they were.
    pickle_module, weights_only, mmap
        Accepted for PyTorch's sake, and without effect.

    Returns
    -------
    data
        What was given to `save` or `torch.save`. Of a safetensors file of others: a dict of tensors.
    Module
        If a model was saved alone; in eval mode if it was made here.
    Saved
        If a model was saved with an optimizer or a config, or an optimizer is given: with `model`, `optimizer` (None if
        none was saved) and `config`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    LoadError
        (a ValueError) if it is damaged, a checkpoint of `fit`, does not fit the model, or asks for anything but data,
        layers and optimizers of this library, or for more weights than it holds. Nothing has been changed then.

    Examples
    --------
    >>> import io
    >>> file = io.BytesIO()
    >>> save({"epoch": 3, "model": nn.Linear(3, 2).state_dict()}, file)
    >>> _ = file.seek(0)
    >>> state = load(file)
    >>> state["epoch"], state["model"]["weight"].shape
    (3, (2, 3))
    >>> file = io.BytesIO()
    >>> save(nn.Sequential(nn.Linear(3, 2), nn.ReLU()), file, config={"classes": ["cat", "dog"]})
    >>> _ = file.seek(0)
    >>> saved = load(file)
    >>> saved.model(np.ones((1, 3), np.float32)).shape, saved.config["classes"]
    ((1, 2), ['cat', 'dog'])
    """
    if isinstance(map_location, Module):
        model, map_location = map_location, None
    _check_location(map_location)
    if model is not None and not isinstance(model, Module):
        raise TypeError(f"load: model must be a Module, got {type(model).__name__}")
    if optimizer is not None and not isinstance(optimizer, Optimizer):
        raise TypeError(f"load: optimizer must be an Optimizer, got {type(optimizer).__name__}")
    content = bytes_of("load", f)
    with reading("", f, "load"):
        state, kind = _content(content)
        if kind != "model":
            if model is not None or optimizer is not None:
                raise LoadError("holds no model: load it alone, and give what it holds to load_state_dict")
            return state
        saved = _model(state, model, optimizer, random)
    alone = state["optimizer"] is None and not saved.config and optimizer is None
    return saved.model if alone else saved


def _content(content: bytes) -> tuple[Any, str]:
    """Give what is in a file, and whether that is a "tree" or a "model"."""
    if content.startswith(torch_file.ZIP):
        return torch_file.read_torch(io.BytesIO(content)), "tree"
    if content.startswith(torch_file.OLD):
        raise LoadError(
            "is of the format that PyTorch wrote before version 1.6, a pickle, which is not read; write it anew with "
            "PyTorch: torch.save(torch.load(path), path)"
        )
    if content[:1] == b"\x80" and content.endswith(b"."):
        raise LoadError("is a pickle, which could run any program when it is read")
    arrays, metadata = unsealed(content)
    if "fastnn" not in metadata:
        return {name: Tensor(array) for name, array in arrays.items()}, "tree"
    state, kind = unpacked(arrays, metadata)
    if kind == "tree":
        return state, kind
    if not isinstance(state, dict) or not {"model", "architecture", "optimizer", "config", "random"} <= set(state):
        raise LoadError("was not written by fastnn.save; for a checkpoint of fit see fit(resume=...)")
    return state, "model"


def _check_location(location: Any) -> None:
    """Raise RuntimeError if something should be loaded to another device than the CPU."""
    if isinstance(location, dict):
        for place in location.values():
            _check_location(place)
    elif location is not None and not callable(location):
        name = str(getattr(location, "type", location)) if not isinstance(location, str) else location
        if not isinstance(location, str) and not hasattr(location, "type"):
            raise TypeError(f"load: map_location must be a device, or model a Module, got {type(location).__name__}")
        if name.partition(":")[0] != "cpu":
            raise RuntimeError(f"load: there is no device {name!r} here: fastnn computes on the CPU")


def _model(state: dict[str, Any], model: Module | None, optimizer: Optimizer | None, random: bool) -> Saved:
    """Make the model that a file describes, or let `model` take its weights."""
    config = dict(mapping("config", state["config"]))
    weights = mapping("model", state["model"])
    if model is None:
        with reading("architecture"):
            model = build(state["architecture"], weights, state.get("ties", []))
        model.eval()
    with all_or_nothing(model, optimizer):
        with reading("model"):
            model.load_state_dict(weights)
        with reading("optimizer"):
            if optimizer is None and state["optimizer"] is not None:
                optimizer = _optimizer(model, mapping("", state["optimizer"], "type", "groups", "state"))
            elif optimizer is not None and state["optimizer"] is not None:
                optimizer.load_state_dict(mapping("", state["optimizer"], "state")["state"])
        with reading("classes"):
            if "classes" in state:
                model.classes_ = _names(state["classes"])
        with reading("random"):
            if random:
                streams.set_state(state["random"])
    return Saved(model, optimizer, config)


def _names(names: Any) -> np.ndarray[Any, Any]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("they are not a list of texts")
    return np.array(names)


def describe(model: Module, depth: int = 0, seen: dict[int, int] | None = None) -> dict[str, Any] | None:
    """Describe a model as JSON values; None if it could not be rebuilt from them.

    seen: the numbers of the layers that have been written so far, by their id; such a layer becomes {"same": number}.
    """
    seen = {} if seen is None else seen
    if id(model) in seen:
        return {"same": seen[id(model)]}
    kind, made_from = type(model), getattr(model, "made_from", None)
    if not as_made(model) or made_from is None or depth > DEPTH:
        return None
    seen[id(model)] = len(seen)
    children = dict(model._children())
    container = isinstance(model, nn.Sequential | nn.ModuleList)
    if container:  # whose layers may have been exchanged since
        if list(children) != [str(i) for i in range(len(children))]:
            return None
        modules = list(children.values())
        given: list[Any] = modules if isinstance(model, nn.Sequential) else [modules]
        named: dict[str, Any] = {}
    else:
        given, named = _arguments(model, *made_from)
    try:
        args = [_write(value, depth, seen) for value in given]
        options = {key: _write(value, depth, seen) for key, value in named.items()}
    except TypeError:
        return None
    dtype = "float32" if container else next((str(p.dtype) for p in model.parameters()), "float32")
    part = {"layer": kind.__name__, "args": args, "options": options, "dtype": dtype}
    if children and not container:  # made by the layer itself: they must still be what it makes
        before = streams.get_state()
        twins = dict(_build(part, [], 0)._children())
        streams.set_state(before)
        if {name: describe(twin) for name, twin in twins.items()} != {
            name: describe(c) for name, c in children.items()
        }:
            return None
    return part


def _arguments(layer: Module, args: tuple[Any, ...], options: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Give the arguments that make a layer as it is now: attributes may have been set since."""
    signature = inspect.signature(type(layer))
    bound = signature.bind(*args, **options).arguments
    loose: list[Any] = []
    named: dict[str, Any] = {}
    for name, parameter in signature.parameters.items():
        if parameter.kind is parameter.VAR_POSITIONAL:
            loose = list(bound.get(name, ()))
        elif parameter.kind is parameter.VAR_KEYWORD:
            named.update(bound.get(name, {}))
        elif name not in ("dtype", "device"):  # which are written for itself
            value = vars(layer).get(name, bound.get(name, parameter.default))
            if name == "bias":
                value = value is not None and value is not False
            elif isinstance(value, np.ndarray | Tensor):
                value = bound.get(name, parameter.default)
            if name in bound or value != parameter.default:
                named[name] = value
    return loose, named


def _write(value: Any, depth: int, seen: dict[int, int]) -> Any:
    if isinstance(value, Module):
        part = describe(value, depth + 1, seen)
        if part is None:
            raise TypeError(f"{type(value).__name__} cannot be written down")
        return part
    if isinstance(value, (list, tuple)):
        return [_write(item, depth, seen) for item in value]
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"{type(value).__name__} cannot be written down")


def _ties(model: Module) -> list[list[str]]:
    """Give the names of each parameter and buffer that has several."""
    names: dict[int, list[str]] = {}
    for name, value in model._named_state():
        names.setdefault(id(value), []).append(name)
    return [group for group in names.values() if len(group) > 1]


def _tie(model: Module, ties: Any) -> None:
    """Let the parameters with these names be one, for each list of names."""
    modules = dict(model._tree())
    for names in ties:
        first = None
        for name in names:
            path, _, attribute = name.rpartition(".")
            value = vars(modules[path])[attribute]
            if not isinstance(value, Tensor):
                raise ValueError(f"{name} is not a parameter")
            first = value if first is None else first
            if type(value) is not type(first) or (value.shape, value.dtype) != (first.shape, first.dtype):
                raise ValueError(f"{name} cannot be the same as {names[0]}")
            setattr(modules[path], attribute, first)


def build(description: Any, weights: Mapping[str, Any], ties: Any = ()) -> Module:
    """Make the model that `describe` has written down.

    Raises ValueError if it asks for anything but layers of `fastnn.nn`, or for more weights than there are.
    """
    if description is None:
        raise ValueError("the model is not made of layers of fastnn.nn only: make it, and give it to load(path, model)")
    before = streams.get_state()
    try:
        with at_most(sum(np.size(array) for array in weights.values())):
            model = _build(description, [], 0)
        if not isinstance(model, Module):
            raise ValueError(f"a {type(model).__name__} is not a model")
        _tie(model, ties)
    except (TypeError, KeyError, IndexError, AttributeError, RecursionError, MemoryError, OverflowError) as error:
        raise ValueError(f"does not describe a model: {type(error).__name__}: {error}") from error
    finally:
        streams.set_state(before)  # initial weights were drawn that nobody will see
    return model


def _build(part: Any, made: list[Any], depth: int) -> Any:
    """Build a part of a model. made: the layers built so far, in the order of the file."""
    if isinstance(part, list):
        return tuple(_build(item, made, depth) for item in part)
    if not isinstance(part, dict):
        return part
    if "same" in part:
        number = part["same"]
        if type(number) is not int or not 0 <= number < len(made) or made[number] is None:
            raise ValueError(f"there is no layer number {str(number)[:60]} before it is used again")
        return made[number]
    name = part["layer"]
    kind = getattr(nn, name, None) if isinstance(name, str) and name in nn.__all__ else None
    if kind not in KNOWN or depth > DEPTH:
        raise ValueError(f"there is no layer {str(name)[:60]!r} in fastnn.nn")
    if part["dtype"] not in ("float32", "float64"):
        raise ValueError(f"{name}: dtype must be float32 or float64, got {str(part['dtype'])[:60]!r}")
    place = len(made)
    made.append(None)
    args = [_build(item, made, depth + 1) for item in part["args"]]
    options = {key: _build(item, made, depth + 1) for key, item in part["options"].items()}
    layer = kind(*args, **options)
    made[place] = layer.to(part["dtype"]) if part["dtype"] != "float32" else layer
    return made[place]


def _written(model: Module, optimizer: Optimizer) -> dict[str, Any]:
    """Write an optimizer down: its class, which parameters its groups have, its state."""
    number = {id(parameter): i for i, parameter in enumerate(model.parameters())}
    groups = [[number.get(id(parameter), -1) for parameter in group["params"]] for group in optimizer.param_groups]
    return {"type": type(optimizer).__name__, "groups": groups, "state": optimizer.state_dict()}


def _optimizer(model: Module, state: Mapping[str, Any]) -> Optimizer:
    """Make the optimizer that `_written` has written down."""
    name, parameters = state["type"], list(model.parameters())
    kind = getattr(optim, name, None) if isinstance(name, str) and name in optim.__all__ else None
    if not (isinstance(kind, type) and issubclass(kind, Optimizer)):
        raise ValueError(f"there is no optimizer {str(name)[:60]!r} in fastnn.optim")
    groups = state["groups"]
    if not isinstance(groups, list) or not all(isinstance(group, list) for group in groups):
        raise ValueError("its groups are not lists of parameters")
    if not all(type(i) is int and 0 <= i < len(parameters) for group in groups for i in group):
        raise ValueError(f"{name} has parameters that this model has not: make it, and give it to load(optimizer=...)")
    groups = [{"params": [parameters[i] for i in group]} for group in state["groups"]]
    optimizer: Optimizer = kind(groups)  # type: ignore[call-arg]
    optimizer.load_state_dict(state["state"])
    return optimizer
