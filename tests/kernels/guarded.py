"""Guard pages: memory in which a read or write outside an array is found.

An array ends at a page that cannot be accessed, or (at_start) begins behind one. An access beyond that end faults at
once, at full speed and for every vector width; masked lanes do not fault. The bytes on the array's other side have a
known value, which is checked afterwards.

    with guarded.memory():                      outputs and workspaces of all kernels are guarded and filled with NaN
        x = guarded.lay(values, "cut", rng)     a guarded array of these values in one of several layouts
"""

import contextlib
import ctypes
import mmap
import pickle
import sys

import numpy as np

from fastnn_kernels.ground.memory import allocator

PAGE = mmap.PAGESIZE
MARK = 0x77
POSIX = sys.platform != "win32"  # on Windows nothing is guarded

if POSIX:
    _libc = ctypes.CDLL(None, use_errno=True)
    _libc.mmap.restype = ctypes.c_void_p
    _libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_ssize_t]
    _libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    _libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    ANONYMOUS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS


class Block:
    """Whole pages of memory between two guard pages."""

    def __init__(self, size: int):
        inner = max(1, -(-size // PAGE)) * PAGE
        self.length = inner + 2 * PAGE
        self.base = _libc.mmap(None, self.length, mmap.PROT_READ | mmap.PROT_WRITE, ANONYMOUS, -1, 0)
        if self.base in (None, ctypes.c_void_p(-1).value):
            self.length, self.base = 0, None
            raise MemoryError(f"mmap of {inner + 2 * PAGE} bytes")
        for page in (self.base, self.base + PAGE + inner):
            if _libc.mprotect(page, PAGE, 0):
                raise OSError(ctypes.get_errno(), "mprotect")
        self.__array_interface__ = {
            "shape": (inner,), "typestr": "|u1", "data": (self.base + PAGE, False), "version": 3,
        }  # fmt: skip

    def split(self, size: int, at_start: bool):
        """Return the bytes of the array and those beside it, which keep the block alive."""
        room = np.asarray(self)
        inner = len(room)
        array, rest = (room[:size], room[size:]) if at_start else (room[inner - size :], room[: inner - size])
        rest[:] = MARK
        return array, rest

    def __del__(self):
        if self.length:
            _libc.munmap(self.base, self.length)


def empty(shape, dtype, at_start=False) -> np.ndarray:
    """Return an array next to a guard page; its bytes are zeros."""
    return Guard(at_start=at_start).room(shape, dtype)


class Guard:
    """Allocates guarded arrays filled with a number, and checks that the bytes beside them are unchanged."""

    def __init__(self, poison: float = np.nan, at_start: bool = False):
        self.poison, self.at_start = poison, at_start
        self.watched: list[tuple[np.ndarray, np.ndarray]] = []  # the bytes beside an array, and the array

    def empty(self, shape, dtype) -> np.ndarray:
        """Return an array filled with the poison; one of integers with the least integer."""
        array = self.room(shape, dtype)
        if array.size:
            kind = array.dtype.kind
            array[...] = self.poison if kind == "f" else np.iinfo(array.dtype).min if kind in "iu" else 0
        return array

    def room(self, shape, dtype) -> np.ndarray:
        """Return an array whose bytes are zeros."""
        dtype = np.dtype(dtype)
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        if not size or not POSIX:
            return np.zeros(shape, dtype)
        array, rest = Block(size).split(size, self.at_start)
        array = array.view(dtype).reshape(shape)
        self.watched.append((rest, array))
        return array

    def copy(self, values) -> np.ndarray:
        """Return a contiguous copy of an array."""
        values = np.asarray(values)
        array = self.room(values.shape, values.dtype)
        array[...] = values
        return array

    def check(self) -> None:
        """Raise AssertionError if something was written beside an array."""
        for rest, array in self.watched:
            assert (rest == MARK).all(), f"written outside an array of shape {array.shape}, dtype {array.dtype}"


@contextlib.contextmanager
def memory(at_start=False, fill=np.nan):
    """Let a Guard allocate all outputs and workspaces of the kernels, and check the bytes beside them at the end."""
    guard = Guard(fill, at_start)
    with allocator(guard.empty):
        yield guard
    guard.check()


class Subclass(np.ndarray):
    """A subclass as users write them."""


# layouts in memory ("last": channels last; "turned": axes reversed, as by .T; "steps": strides of 1 or 2; "odd": an
# unaligned address), and other forms that an array of the same values may have
LAYOUTS = ("plain", "last", "reversed", "cut", "cut first", "cut last", "turned", "steps", "record", "odd")
FORMS = (*LAYOUTS, "read-only", "big-endian", "unpickled", "metadata", "subclass")


def lay(values, layout, rng=None, at_start=False) -> np.ndarray:
    """Return an array of these values in one of FORMS, in guarded memory; the gaps between its elements hold NaN.

    rng: a numpy.random.Generator that decides which axes are reversed and how wide the gaps are.
    """
    rng = np.random.default_rng(0) if rng is None else rng
    values = np.asarray(values)
    n, dtype, shape = values.ndim, values.dtype, values.shape
    order = list(range(n))
    if "last" in layout and n > 2:
        order = [0, *range(2, n), 1]
    elif layout == "turned":
        order.reverse()
    lie = [shape[i] for i in order]
    if layout == "record":
        array = empty((values.size,), [("other", np.uint8), ("numbers", dtype)], at_start)["numbers"].reshape(shape)
    elif layout == "odd":
        array = empty((values.nbytes + 1,), np.uint8, at_start)[1:].view(dtype).reshape(shape)
    elif layout == "big-endian":
        array = empty(shape, dtype.newbyteorder(), at_start)
    else:
        before, after = (rng.integers(0, 3, n) if "cut" in layout else np.zeros(n, int) for _ in range(2))
        if layout == "cut first":  # what is behind these axes is still one run
            before[2:], after[:2], after[2:] = 0, 1, 0
        steps = rng.integers(1, 3, n) if layout == "steps" else np.ones(n, int)
        steps[rng.random(n) < (layout == "reversed") * 0.6] *= -1
        lengths = [
            (m - 1) * abs(s) + 1 + b + a if m else 0 for m, s, b, a in zip(lie, steps, before, after, strict=True)
        ]
        room = empty(tuple(map(int, lengths)), dtype, at_start)
        room.fill(np.nan if dtype.kind == "f" else 0)
        inner = [slice(b, b + (m - 1) * abs(s) + 1) for m, s, b in zip(lie, steps, before, strict=True)]
        array = room[(*inner, ...)][(*(slice(None, None, s) for s in steps), ...)].transpose(np.argsort(order))
    array[...] = values
    if layout == "read-only":
        array.flags.writeable = False
    elif layout == "unpickled":
        array = array.view(pickle.loads(pickle.dumps(values)).dtype)
    elif layout == "metadata":
        array = array.view(np.dtype(dtype, metadata={"unit": "V"}))
    elif layout == "subclass":
        array = array.view(Subclass)
    return array
