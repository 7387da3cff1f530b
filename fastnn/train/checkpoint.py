"""Files that hold weights, or the whole state of a training run; written so that no crash can spoil them.

The format is safetensors: named arrays behind a JSON header, nothing executable. A checkpoint keeps the weights under
`model.` and their PyTorch names, other arrays under `optimizer.` and `callbacks.`, and everything that is not an array
as JSON in the header's metadata.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save as _serialise

Array = np.ndarray[Any, Any]
StrPath = str | os.PathLike[str]

DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?", "C64": "<c8",
}  # fmt: skip
_FORMAT = 1  # raised when an older reader could misunderstand the file


def write_atomically(path: StrPath, content: bytes) -> None:
    """Replace the file `path` by `content`: whenever the process or the machine dies, the old or the new file is whole.

    The bytes go to a temporary file in the same folder, from there to the disk, and only then under the name: POSIX
    and Windows both promise that a rename is all or nothing.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    if os.name == "posix":  # the new name itself is safe only when the folder has reached the disk
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    for leftover in path.parent.glob(f".{path.name}.*.tmp"):  # of processes that were killed while they wrote
        if time.time() - leftover.stat().st_mtime > 600:
            leftover.unlink(missing_ok=True)


def save_weights(model: Any, path: StrPath) -> None:
    """Write a model's `state_dict()` as a safetensors file, atomically.

    The names and layouts are PyTorch's, so `safetensors.torch.load_file` and `load_state_dict` take it there.
    """
    write_atomically(path, _serialise({name: _plain(array) for name, array in model.state_dict().items()}))


def load_weights(model: Any, path: StrPath) -> None:
    """Read a safetensors file into a model: one of `save_weights`, a checkpoint of `fit`, or one from PyTorch.

    Half precision (float16, bfloat16) is converted.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged; what `load_state_dict` raises if names or shapes do not fit.
    """
    tensors, metadata = _read("load_weights", path)
    if "fastnn" in metadata:
        tensors = {name.removeprefix("model."): a for name, a in tensors.items() if name.startswith("model.")}
    model.load_state_dict(tensors)


def save_checkpoint(path: StrPath, state: dict[str, Any]) -> None:
    """Write a tree of dictionaries, lists, arrays and JSON values as one safetensors file, atomically."""
    arrays: dict[str, Array] = {}
    tree = _split(state, "", arrays)
    metadata = {"fastnn": json.dumps({"format": _FORMAT, "state": tree})}
    write_atomically(path, _serialise(arrays, metadata))


def load_checkpoint(path: StrPath, *, function: str = "load_checkpoint") -> dict[str, Any]:
    """Read back what `save_checkpoint` wrote, bit for bit; `function` is named in errors.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, or is not a checkpoint.
    """
    arrays, metadata = _read(function, path)
    if "fastnn" not in metadata:
        raise ValueError(f"{function}: {path} holds weights only, it is not a checkpoint; see load_weights")
    try:
        content = json.loads(metadata["fastnn"])
        if content["format"] <= _FORMAT:
            state: dict[str, Any] = _join(content["state"], arrays)
            return state
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"{function}: {path} is damaged: {type(error).__name__}: {error}") from error
    raise ValueError(f"{function}: {path} has format {content['format']}; this version reads {_FORMAT}")


def _plain(value: Any) -> Array:
    """Give a C-contiguous array: the file format knows no strides."""
    return np.ascontiguousarray(np.asarray(value)).reshape(np.shape(value))


def _read(where: str, path: StrPath) -> tuple[dict[str, Array], dict[str, str]]:
    content = Path(path).read_bytes()
    try:
        arrays = {name: _array(name, view) for name, view in deserialize(content)}  # type: ignore[no-untyped-call]
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{where}: {path} is not a safetensors file, or damaged: {error}") from error
    return arrays, header.get("__metadata__") or {}


def _array(name: str, view: dict[str, Any]) -> Array:
    """Give the array that a file has under a name; bfloat16 as float32, of which it is the upper half."""
    dtype, data = view["dtype"], view["data"]
    if dtype == "BF16":
        upper: Array = np.frombuffer(data, "<u2").astype(np.uint32) << 16
        return upper.view(np.float32).reshape(view["shape"])
    if dtype not in DTYPES:
        raise ValueError(f"{name} is an array of {dtype}, which cannot be read")
    return np.frombuffer(data, DTYPES[dtype]).reshape(view["shape"])


def _split(value: Any, name: str, arrays: dict[str, Array]) -> Any:
    """Move the arrays of a tree into `arrays`; in their place the tree, now fit for JSON, keeps their names."""
    if isinstance(value, dict):
        items = [[key, _split(item, f"{name}.{key}".lstrip("."), arrays)] for key, item in value.items()]
        return {"dict": items}  # as pairs, for JSON would turn integer keys into strings
    if isinstance(value, (list, tuple)):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_split(item, f"{name}.{i}".lstrip("."), arrays) for i, item in enumerate(value)]}
    if isinstance(value, np.generic):
        return value.item()
    if hasattr(value, "__array__"):
        arrays[name] = _plain(value)
        return {"array": name}
    return value


def _join(tree: Any, arrays: dict[str, Array]) -> Any:
    """Undo `_split`."""
    if not isinstance(tree, dict):
        return tree
    ((kind, content),) = tree.items()
    if kind == "array":
        return arrays[content]
    if kind == "dict":
        return {key: _join(item, arrays) for key, item in content}
    items = [_join(item, arrays) for item in content]
    return items if kind == "list" else tuple(items)
