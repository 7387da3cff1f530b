"""Files that PyTorch's `torch.save` wrote: a zip archive of one pickle and the bytes of each storage.

They are read without PyTorch, and nothing in them is executed: see `unpickling`. A tensor is a window onto a storage
(offset, size, stride), which must lie within it; tensors that share a storage share memory here, too.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Sequence
from typing import IO, Any, Literal, NamedTuple

import numpy as np

from fastnn.tape import Tensor
from fastnn.train.loading import LoadError
from fastnn.train.unpickling import Attributed, Machine, Name, keys

Array = np.ndarray[Any, Any]
ZIP = b"PK\x03\x04"
PART = 1 << 24  # bytes that are read at once
OLD = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the number that files before PyTorch 1.6 begin with
DTYPES = {  # by the name of the storage's class, and of the dtype
    ("Float", "float32"): "f4", ("Double", "float64"): "f8", ("Half", "float16"): "f2",
    ("BFloat16", "bfloat16"): "bf16",
    ("Long", "int64"): "i8", ("Int", "int32"): "i4", ("Short", "int16"): "i2", ("Char", "int8"): "i1",
    ("Byte", "uint8"): "u1", ("Bool", "bool"): "?", ("ComplexFloat", "complex64"): "c8",
    ("ComplexDouble", "complex128"): "c16", ("UInt16", "uint16"): "u2", ("UInt32", "uint32"): "u4",
    ("UInt64", "uint64"): "u8", ("Untyped", "uint8"): "u1",
}  # fmt: skip


class Storage(NamedTuple):
    """The numbers of a storage: (N,), bfloat16 as float32."""

    array: Array
    code: str


class Archive:
    """A zip archive, whose records have been checked: nothing compressed, every name once, all bytes in the file."""

    def __init__(self, file: IO[bytes]) -> None:
        try:
            size = file.seek(0, 2)
            self.zip = zipfile.ZipFile(file)
            entries = self.zip.infolist()
        except (zipfile.BadZipFile, NotImplementedError, ValueError, RuntimeError, EOFError) as error:
            raise LoadError(f"is a damaged zip archive: {error}") from error
        self.entries = {entry.filename: entry for entry in entries}
        if len(self.entries) != len(entries):
            raise LoadError("is a zip archive in which a name occurs twice")
        if any(name.endswith("/constants.pkl") for name in self.entries):
            raise LoadError("is a program of TorchScript (torch.jit.save), not data: save model.state_dict() instead")
        roots = [name for name in self.entries if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(roots) != 1:
            numpy = all(name.endswith(".npy") for name in self.entries)
            raise LoadError(
                "is an archive of NumPy: np.load reads it" if numpy else "is a zip archive without data.pkl"
            )
        self.root = roots[0].removesuffix("data.pkl")
        for entry in entries:
            if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
                raise LoadError(f"is compressed, which torch.save does not do: {entry.filename[:60]!r}")
            if entry.file_size != entry.compress_size or entry.file_size > size:
                raise LoadError(f"is damaged: {entry.filename[:60]!r} has {entry.file_size} bytes, the file {size}")
        if sum(entry.file_size for entry in entries) > size:
            raise LoadError("is damaged: its records overlap")
        order = bytes(self.read("byteorder")) if self.root + "byteorder" in self.entries else b"little"
        if order not in (b"little", b"big"):
            raise LoadError(f"has an unknown byte order {order[:20]!r}")
        self.order: Literal["<", ">"] = "<" if order == b"little" else ">"

    def size(self, name: str) -> int:
        """Give the length of a record in bytes."""
        if self.root + name not in self.entries:
            raise LoadError(f"is damaged: it has no record {name[:60]!r}")
        return self.entries[self.root + name].file_size

    def read(self, name: str) -> Array:
        """Give the bytes of a record, uint8 (N,), in memory of its own."""
        memory: Array = np.empty(self.size(name), np.uint8)
        try:
            with self.zip.open(self.entries[self.root + name]) as record:
                done = 0
                while done < len(memory) and (part := record.read(min(len(memory) - done, PART))):
                    memory[done : done + len(part)] = np.frombuffer(part, np.uint8)
                    done += len(part)
                if done < len(memory) or record.read(1):  # reading to the end checks the record's CRC
                    raise LoadError(f"is damaged: record {name[:60]!r} is too short")
        except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
            if isinstance(error, LoadError):
                raise
            raise LoadError(f"is damaged: {error}") from error
        return memory


class Reader:
    """Makes tensors of what the pickle says about them."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.storages: dict[str, Storage] = {}

    def storage(self, identity: Any) -> Storage:
        """Give a storage, read once. identity: ("storage", its class, its key, where it was, how many numbers)."""
        if not isinstance(identity, tuple) or len(identity) != 5 or identity[0] != "storage":
            raise LoadError("is damaged: something outside of the pickle is no storage")
        _, kind, key, _, count = identity
        if not isinstance(kind, Name) or not isinstance(kind.value, str) or kind.call is not None:
            raise LoadError("is damaged: a storage has no known class")
        if not isinstance(key, str) or type(count) is not int or count < 0:
            raise LoadError("is damaged: a storage has no key or no size")
        found = self.storages.get(key)
        if found is None:
            found = self.storages[key] = Storage(self._numbers(key, kind.value, count), kind.value)
        if found.code != kind.value or found.array.size != count:
            raise LoadError(f"is damaged: storage {key[:20]!r} is of two dtypes or sizes")
        return found

    def _numbers(self, key: str, code: str, count: int) -> Array:
        dtype = np.dtype("u2" if code == "bf16" else code)
        size = self.archive.size(f"data/{key}")
        if size != count * dtype.itemsize:
            raise LoadError(f"is damaged: storage {key[:20]!r} should have {count} numbers of {code}, has {size} bytes")
        array = self.archive.read(f"data/{key}").view(dtype.newbyteorder(self.archive.order))
        array = array.astype(dtype, copy=False)
        if code == "bf16":  # the upper half of a float32
            return (array.astype(np.uint32) << 16).view(np.float32)
        if code == "?" and array.view(np.uint8).max(initial=0) > 1:
            raise LoadError(f"is damaged: storage {key[:20]!r} has a bool that is neither 0 nor 1")
        return array

    def tensor(self, storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any = False, *_: Any) -> Tensor:
        """Give a window onto a storage. Raises LoadError unless it lies within."""
        if not isinstance(storage, Storage):
            raise LoadError("is damaged: a tensor has no storage")
        sizes, strides = _counts("size", size), _counts("stride", stride)
        (start,) = _counts("offset", (offset,))
        if len(sizes) != len(strides) or len(sizes) > 64:
            raise LoadError(f"is damaged: a tensor has {len(sizes)} sizes and {len(strides)} strides")
        array = storage.array
        if 0 in sizes:
            window = np.empty(sizes, array.dtype) if max(sizes) < 1 << 31 else None
        else:
            end = start + sum((n - 1) * step for n, step in zip(sizes, strides, strict=True)) + 1
            fits = end <= array.size and math.prod(sizes) * array.itemsize < 1 << 62
            steps = [step * array.itemsize if n > 1 else 0 for n, step in zip(sizes, strides, strict=True)]
            window = np.lib.stride_tricks.as_strided(array[start:], sizes, steps) if fits else None
        if window is None:
            raise LoadError(
                f"is damaged: a tensor of size {sizes}, stride {strides} and offset {start} goes beyond its storage of "
                f"{array.size} numbers"
            )
        if window.dtype.kind == "c":
            raise LoadError(f"holds a tensor of {window.dtype}, which fastnn does not compute with")
        tensor = Tensor(window)
        if requires_grad is True and window.dtype in (np.float32, np.float64):
            tensor.requires_grad = True
        return tensor

    def tensor_of_dtype(self, storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> Tensor:
        """Give a window onto bytes that are numbers of a dtype: (requires_grad, hooks, dtype, metadata)."""
        name = rest[2] if len(rest) > 2 else None
        codes = [
            code for (_, dtype), code in DTYPES.items() if isinstance(name, Name) and name.name == f"torch.{dtype}"
        ]
        if not isinstance(storage, Storage) or storage.code != "u1" or not codes or codes[0] == "bf16":
            raise LoadError("holds a tensor of a dtype that is not known")
        dtype = np.dtype(codes[0])
        if storage.array.size % dtype.itemsize:
            raise LoadError(f"is damaged: {storage.array.size} bytes are no numbers of {dtype}")
        array = storage.array.view(dtype.newbyteorder(self.archive.order)).astype(dtype, copy=False)
        return self.tensor(Storage(array, codes[0]), offset, size, stride, *rest[:1])

    def parameter(self, data: Any, requires_grad: Any = True, *_: Any) -> Tensor:
        """Give a parameter as a tensor that requires a gradient as that did."""
        if not isinstance(data, Tensor):
            raise LoadError("is damaged: a parameter is no tensor")
        tensor = Tensor(data)
        if requires_grad is True and tensor.dtype in (np.float32, np.float64):
            tensor.requires_grad = True
        return tensor

    def subclass(self, make: Any, kind: Any, arguments: Any, *_: Any) -> Any:
        """Give a tensor that has attributes, without them."""
        if not isinstance(make, Name) or make.call is None or not isinstance(arguments, tuple):
            raise LoadError("is damaged: a tensor is made by what is no function")
        if not isinstance(kind, Name) or kind.name not in PLAIN_TENSORS:
            raise LoadError(f"holds a tensor of the class {getattr(kind, 'name', kind)!s:.60}, which is refused")
        return make.call(*arguments)

    def names(self) -> dict[str, Name]:
        """Give the names that a file may use."""
        calls: dict[str, Callable[..., Any]] = {
            "torch._utils._rebuild_tensor": self.tensor,
            "torch._utils._rebuild_tensor_v2": self.tensor,
            "torch._utils._rebuild_tensor_v3": self.tensor_of_dtype,
            "torch._utils._rebuild_parameter": self.parameter,
            "torch._utils._rebuild_parameter_with_state": self.parameter,
            "torch._tensor._rebuild_from_type_v2": self.subclass,
            "torch.Size": _size,
            "torch.device": _device,
            "collections.OrderedDict": _ordered,
            "__builtin__.set": _set,
            "builtins.set": _set,
            "_codecs.encode": _encoded,
        }
        names = {name: Name(name, call=call) for name, call in calls.items()}
        for (storage, dtype), code in DTYPES.items():
            names[f"torch.{storage}Storage"] = Name(f"torch.{storage}Storage", value=code)
            names[f"torch.{dtype}"] = Name(f"torch.{dtype}", value=code)
        names["torch.storage.UntypedStorage"] = Name("torch.storage.UntypedStorage", value="u1")
        return names | {name: Name(name) for name in PLAIN_TENSORS}


PLAIN_TENSORS = ("torch.Tensor", "torch._tensor.Tensor", "torch.nn.parameter.Parameter")


def read_torch(file: IO[bytes]) -> Any:
    """Give what `torch.save` wrote into a zip archive: tensors (those of bfloat16 as float32) and plain containers.

    Raises LoadError if the file is damaged or holds anything else.
    """
    archive = Archive(file)
    reader = Reader(archive)
    content = archive.read("data.pkl").tobytes()
    return _plain(Machine(content, reader.names(), reader.storage).run(), {}, 0)


def _plain(value: Any, seen: dict[int, Any], depth: int) -> Any:
    """Give a tree with dtypes in place of their names. Raises LoadError for what is no data, and for cycles."""
    if depth > 200:
        raise LoadError("is damaged: it has containers in containers without end")
    if isinstance(value, Name):
        if value.name.startswith("torch.") and value.value is not None and not value.name.endswith("Storage"):
            return np.dtype(np.float32 if value.value == "bf16" else value.value)
        raise LoadError(f"holds {value.name}, which is no data")
    if isinstance(value, Storage):
        raise LoadError("holds a storage without a tensor")
    if not isinstance(value, dict | list | tuple):
        return value
    if id(value) in seen:
        return seen[id(value)][1]
    if isinstance(value, dict):
        made: Any = {_plain(key, seen, depth + 1): _plain(item, seen, depth + 1) for key, item in value.items()}
    else:
        made = [_plain(item, seen, depth + 1) for item in value]
        made = made if isinstance(value, list) else tuple(made)
    seen[id(value)] = value, made  # the first keeps its id from being used again
    return made


def _counts(name: str, values: Any) -> tuple[int, ...]:
    if not isinstance(values, tuple) or not all(type(n) is int and 0 <= n < 1 << 62 for n in values):
        raise LoadError(f"is damaged: the {name} of a tensor is not made of integers from 0")
    return values


def _size(values: Any = ()) -> tuple[int, ...]:
    return _counts("size", tuple(values) if isinstance(values, list) else values)


def _device(kind: Any, index: Any = None) -> str:
    """Give a device as text; whatever it was, the numbers are on the CPU now."""
    if not isinstance(kind, str) or not (index is None or type(index) is int):
        raise LoadError("is damaged: a device has no name")
    return kind if index is None else f"{kind}:{index}"


def _ordered(items: Sequence[Any] = ()) -> Attributed:
    if not isinstance(items, list | tuple) or not all(isinstance(i, list | tuple) and len(i) == 2 for i in items):
        raise LoadError("is damaged: a dictionary is not made of pairs")
    return Attributed(zip(keys(key for key, _ in items), (value for _, value in items), strict=True))


def _set(items: Sequence[Any] = ()) -> set[Any]:
    if not isinstance(items, list | tuple):
        raise LoadError("is damaged: a set is not made of a list")
    return set(keys(items))


def _encoded(text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise LoadError("is damaged: bytes are no text")
    return text.encode("latin-1")
