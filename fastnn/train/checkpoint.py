"""Files that hold weights, or the whole state of a training run; written so that no crash can spoil them.

The format is safetensors: named arrays behind a JSON header, nothing executable. A checkpoint keeps the weights under
`model.` and their PyTorch names, other arrays under `optimizer.` and `callbacks.`, and everything that is not an array
as JSON in the header's metadata.
"""

from __future__ import annotations

import glob
import io
import json
import math
import os
import secrets
import stat
import time
import zlib
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from safetensors.numpy import save as _serialise

from fastnn._checks import path_of
from fastnn.tape import Tensor
from fastnn.train import torch_file
from fastnn.train.loading import LoadError, reading

Array = np.ndarray[Any, Any]
StrPath = str | os.PathLike[str]
File = StrPath | IO[bytes]

DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?", "C64": "<c8",
}  # fmt: skip
WRITABLE = set(map(np.dtype, DTYPES.values()))
DIMENSIONS = 64  # NumPy's limit
_NAMED = {dtype.name for dtype in WRITABLE}
_FORMAT = 1  # raised when an older reader could misunderstand the file
_CHECKSUM = b'"crc32":"'  # cannot stand anywhere else in a header: within strings, JSON escapes the quotes


def write_atomically(path: StrPath, content: bytes) -> None:
    """Replace the file `path` by `content`: whenever the process or the machine dies, the old or the new file is whole.

    The bytes go to a temporary file in the same folder, from there to the disk, and only then under the name: POSIX
    and Windows both promise that a rename is all or nothing. Each writer makes a temporary file of its own, which must
    not exist before, so writers do not meet and no link is followed. The permissions of the old file are kept.
    """
    path = Path(path)
    start = f".{path.name[:40]}."  # names may have 255 bytes
    temporary = path.with_name(f"{start}{os.getpid()}-{secrets.token_hex(8)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(temporary, flags, 0o666)
    except OSError as error:  # the folder is missing, or read-only: of which file, people know by its own name
        error.filename = str(path)
        raise
    try:
        with open(descriptor, "wb") as file:
            with suppress(OSError):  # there is no old file, or it may not be looked at
                old = os.lstat(path).st_mode
                if stat.S_ISREG(old):
                    os.chmod(temporary, stat.S_IMODE(old) & 0o777)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # the new name itself is safe only when the folder has reached the disk
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    for leftover in path.parent.glob(f"{glob.escape(start)}*.tmp"):  # of processes that were killed while they wrote
        with suppress(OSError):  # another writer may have finished it
            if time.time() - leftover.lstat().st_mtime > 600:
                leftover.unlink(missing_ok=True)


def _check_model(where: str, model: Any) -> None:
    if not hasattr(model, "load_state_dict"):
        raise TypeError(f"{where}: model must be a Module, got {type(model).__name__}")


def save_weights(model: Any, path: StrPath) -> None:
    """Write a model's `state_dict()` as a safetensors file, atomically.

    The names and layouts are PyTorch's, so `safetensors.torch.load_file` and `load_state_dict` take it there.
    """
    _check_model("save_weights", model)
    path_of("save_weights", path)
    write_atomically(path, _sealed({name: _plain(name, array) for name, array in model.state_dict().items()}))


def load_weights(model: Any, path: File) -> None:
    """Read weights into a model: a file of `save_weights`, `fastnn.save`, a checkpoint of `fit`, or one from PyTorch.

    Those of PyTorch are safetensors files, or what `torch.save` wrote of a state_dict, see `fastnn.load`.

    Half precision (float16, bfloat16) is converted.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    LoadError
        (a ValueError) if it is damaged, or names or shapes do not fit. Nothing has been changed then.
    """
    _check_model("load_weights", model)
    content = bytes_of("load_weights", path)
    with reading("", path, "load_weights"):
        weights = weights_in(content)
        with reading("model"):
            model.load_state_dict(weights)


def weights_in(content: bytes) -> Any:
    """Give the weights in a file by name: of a state_dict, a checkpoint of `fit`, or a file of PyTorch."""
    if content.startswith(torch_file.ZIP):
        return torch_file.read_torch(io.BytesIO(content))
    arrays, metadata = unsealed(content)
    if "fastnn" not in metadata:
        return arrays
    state = unpacked(arrays, metadata)[0]
    return state["model"] if isinstance(state, dict) and isinstance(state.get("model"), dict) else state


def save_checkpoint(path: File, state: dict[str, Any]) -> None:
    """Write a tree of dictionaries, lists, arrays and JSON values as one safetensors file, atomically.

    Tensors come back as tensors, arrays as arrays. `path` may be a file that is open for writing bytes.

    Raises TypeError, and writes nothing, if the tree holds something else.
    """
    if not hasattr(path, "write"):
        path_of("save_checkpoint", path)
    write(path, packed(state))


def packed(state: Any, **about: str) -> bytes:
    """Give the content of a file that holds a tree; `about` says what kind of tree it is."""
    arrays: dict[str, Array] = {}
    tree = _split(state, "", arrays)
    return _sealed(arrays, {"fastnn": json.dumps({"format": _FORMAT, **about, "state": tree})})


def write(file: File, content: bytes) -> None:
    """Write a file: atomically under a path, or into a file that is open."""
    if isinstance(file, str | os.PathLike):
        write_atomically(file, content)
    elif hasattr(file, "write"):
        file.write(content)
    else:
        raise TypeError(f"save: path must be a string, a path or a file, got {type(file).__name__}")


def load_checkpoint(path: File, *, function: str = "load_checkpoint") -> dict[str, Any]:
    """Read back what `save_checkpoint` wrote, bit for bit; `function` is named in errors.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    LoadError
        (a ValueError) if the file is damaged, or is not a checkpoint.
    """
    content = bytes_of(function, path)
    with reading("", path, function):
        arrays, metadata = unsealed(content)
        if "fastnn" not in metadata:
            raise LoadError("holds weights only, it is not a checkpoint; see load_weights")
        state: dict[str, Any] = unpacked(arrays, metadata)[0]
        if not isinstance(state, dict):
            raise LoadError("is damaged: its state is not a dictionary", "header")
    return state


def unpacked(arrays: dict[str, Array], metadata: dict[str, str]) -> tuple[Any, str]:
    """Give the tree of a file, and what kind of tree it is. Raises LoadError for what `packed` did not write."""
    with reading("header"):
        try:
            content = json.loads(metadata["fastnn"])
            if not isinstance(content, dict) or not isinstance(content.get("format"), int):
                raise ValueError("it names no format")
            version = content["format"]
            state = _join(content.get("state"), arrays) if version <= _FORMAT else None
        except (ValueError, TypeError, RecursionError) as error:
            raise LoadError(f"is damaged: {type(error).__name__}: {error}") from error
        if version > _FORMAT:
            raise LoadError(f"has format {str(version)[:20]}; this version reads {_FORMAT}")
    return state, str(content.get("kind", ""))


def bytes_of(where: str, file: File) -> bytes:
    """Read a file that is open, from where it stands, or one under a path."""
    if hasattr(file, "read"):
        content = file.read()
        if not isinstance(content, bytes):
            raise TypeError(f"{where}: the file must be open for reading bytes, it gave {type(content).__name__}")
        return content
    return Path(path_of(where, file)).read_bytes()


def _plain(name: str, value: Any) -> Array:
    """Give a C-contiguous little-endian array: the file format knows no strides. Raises TypeError for other dtypes."""
    array = np.asarray(value)
    dtype = array.dtype.newbyteorder("<")
    if dtype not in WRITABLE:
        raise TypeError(f"save: {name} is an array of {array.dtype}, which cannot be written")
    return np.ascontiguousarray(array, dtype).reshape(array.shape)


def _sealed(arrays: dict[str, Array], metadata: dict[str, str] | None = None) -> bytes:
    """Give the content of a file, with a checksum of all its bytes in the header: of all but the checksum itself."""
    content = _serialise(arrays, {**(metadata or {}), "crc32": "0" * 8})
    place = content.index(_CHECKSUM) + len(_CHECKSUM)
    return b"%b%08x%b" % (content[:place], zlib.crc32(content), content[place + 8 :])


def _check_sum(content: bytes, header: bytes, expected: str) -> None:
    """Raise LoadError unless the bytes are those that were written."""
    place = 8 + header.index(_CHECKSUM) + len(_CHECKSUM)
    found = zlib.crc32(b"0" * 8, zlib.crc32(content[:place]))
    found = zlib.crc32(memoryview(content)[place + 8 :], found)
    if expected != f"{found:08x}":
        raise LoadError(f"is not a safetensors file, or damaged: its checksum is {found:08x}, it should be {expected}")


def unsealed(content: bytes) -> tuple[dict[str, Array], dict[str, str]]:
    """Read a safetensors file: its arrays (copies) and its metadata. Everything that the header says is checked."""
    with reading():
        size = int.from_bytes(content[:8], "little")
        try:
            if not 0 < size <= len(content) - 8:
                raise ValueError(f"its header should have {size} bytes, the file has {len(content)}")
            header = json.loads(content[8 : 8 + size], object_pairs_hook=_unique)
            metadata = {} if not isinstance(header, dict) else header.pop("__metadata__", None) or {}
            if not isinstance(header, dict) or not isinstance(metadata, dict):
                raise ValueError("its header is not a table of arrays")
            if not all(isinstance(text, str) for text in metadata.values()):
                raise ValueError("its metadata are not strings")
            entries = sorted(header.items(), key=lambda item: _range(*item))
        except (ValueError, RecursionError) as error:
            problem = getattr(error, "problem", f"{type(error).__name__}: {error}")
            raise LoadError(f"is not a safetensors file, or damaged: {problem}", getattr(error, "field", "")) from error
        if "crc32" in metadata:
            _check_sum(content, content[8 : 8 + size], metadata["crc32"])
        end = 8 + size
        arrays = {}
        for name, entry in entries:
            start, stop = (8 + size + place for place in entry["data_offsets"])
            if start != end or stop > len(content):
                raise LoadError(f"is not a safetensors file, or damaged: it lies at {start} .. {stop}", name)
            end = stop
            with reading(name):
                arrays[name] = _array(entry["dtype"], entry["shape"], content[start:stop])
        if end != len(content):
            raise LoadError(f"is not a safetensors file, or damaged: {len(content) - end} bytes belong to no array")
    return arrays, metadata


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a name occurs twice")
    return table


def _range(name: str, entry: Any) -> tuple[int, int]:
    """Check an array's entry in the header, and give the array's position in the file."""
    whole = isinstance(entry, dict) and set(entry) == {"dtype", "shape", "data_offsets"}
    if not whole or not isinstance(entry["dtype"], str):
        raise LoadError("its entry is not dtype, shape and data_offsets", name)
    for numbers in (entry["shape"], entry["data_offsets"]):
        if not isinstance(numbers, list) or not all(type(n) is int and 0 <= n < 1 << 62 for n in numbers):
            raise LoadError("its shape and data_offsets are not lists of sizes", name)
    if len(entry["data_offsets"]) != 2 or len(entry["shape"]) > DIMENSIONS:
        raise LoadError(f"it has {len(entry['shape'])} dimensions and {len(entry['data_offsets'])} data_offsets", name)
    return tuple(entry["data_offsets"])


def _array(dtype: str, shape: list[int], data: bytes) -> Array:
    """Give the array that a file has under a name; bfloat16 as float32, of which it is the upper half."""
    if dtype != "BF16" and dtype not in DTYPES:
        raise LoadError(f"is an array of {dtype[:20]}, which cannot be read")
    code = DTYPES.get(dtype, "<u2")
    if len(data) != math.prod(shape) * np.dtype(code).itemsize:
        raise LoadError(f"is not a safetensors file, or damaged: {len(data)} bytes are not {dtype} of shape {shape}")
    array = np.frombuffer(data, code).reshape(shape)
    if dtype == "BF16":
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(array.dtype.newbyteorder("="))


def _split(value: Any, name: str, arrays: dict[str, Array]) -> Any:
    """Move the arrays of a tree into `arrays`; in their place the tree, now fit for JSON, keeps their names."""
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str | int | float | None):
                raise TypeError(f"save: {name or 'the state'} has a key {key!r}; keys must be texts or numbers")
        items = [[key, _split(item, f"{name}.{key}".lstrip("."), arrays)] for key, item in value.items()]
        return {"dict": items}  # as pairs, for JSON would turn integer keys into strings
    if isinstance(value, (list, tuple)):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_split(item, f"{name}.{i}".lstrip("."), arrays) for i, item in enumerate(value)]}
    if isinstance(value, np.generic):
        value = value.item()
    if hasattr(value, "__array__"):
        array = _plain(name, value)
        kind = ("leaf" if value.requires_grad else "tensor") if isinstance(value, Tensor) else "array"
        while name in arrays or name == "__metadata__":  # {"a.b": x, "a": {"b": y}}
            name += "'"
        arrays[name] = array
        return {kind: name}
    if isinstance(value, np.dtype):
        return {"dtype": value.name}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"save: {name or 'the state'} is a {type(value).__name__}, which cannot be written")


def _join(tree: Any, arrays: dict[str, Array]) -> Any:
    """Undo `_split`. Raises ValueError for what it did not write."""
    if not isinstance(tree, (dict, list)):
        return tree
    if isinstance(tree, list) or len(tree) != 1:
        raise ValueError("a part of the state is neither a value nor a container")
    ((kind, content),) = tree.items()
    if kind in ("array", "tensor", "leaf") and isinstance(content, str):
        if content not in arrays:
            raise ValueError(f"there is no array {content[:60]!r}")
        return arrays[content] if kind == "array" else Tensor(arrays[content], requires_grad=kind == "leaf")
    if kind == "dtype" and isinstance(content, str) and content in _NAMED:
        return np.dtype(content)
    if kind not in ("dict", "list", "tuple") or not isinstance(content, list):
        raise ValueError(f"{kind[:20]!r} is not a kind of container")
    if kind != "dict":
        items = [_join(item, arrays) for item in content]
        return items if kind == "list" else tuple(items)
    if not all(isinstance(pair, list) and len(pair) == 2 and not isinstance(pair[0], (dict, list)) for pair in content):
        raise ValueError("a dictionary is not made of pairs")
    return _unique([(key, _join(item, arrays)) for key, item in content])
