"""Memory in which a read or write outside an array is found: pages that must not be touched, and bytes that must stay.

An array ends at a forbidden page, or begins behind one: whatever goes beyond it there faults at once, at full speed and
for every width of vectors (lanes that are masked out do not fault). On its other side lie bytes of a known value.
"""

import ctypes
import mmap
import sys

import numpy as np

PAGE = mmap.PAGESIZE
MARK = 0x77
POSIX = sys.platform != "win32"  # elsewhere only the marks watch

if POSIX:
    _libc = ctypes.CDLL(None, use_errno=True)
    _libc.mmap.restype = ctypes.c_void_p
    _libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_ssize_t]
    _libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    _libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    ANONYMOUS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS


class Block:
    """`size` bytes of memory that touch a forbidden page: the one behind them, or the one before if `at_start`."""

    def __init__(self, size: int, at_start: bool):
        inner = max(1, -(-size // PAGE)) * PAGE
        self.length = inner + 2 * PAGE
        self.base = _libc.mmap(None, self.length, mmap.PROT_READ | mmap.PROT_WRITE, ANONYMOUS, -1, 0)
        if self.base in (None, ctypes.c_void_p(-1).value):
            self.length, self.base = 0, None
            raise MemoryError(f"mmap of {inner + 2 * PAGE} bytes")
        for page in (self.base, self.base + PAGE + inner):
            if _libc.mprotect(page, PAGE, 0):
                raise OSError(ctypes.get_errno(), "mprotect")
        room = np.ctypeslib.as_array((ctypes.c_ubyte * inner).from_address(self.base + PAGE))
        self.array = room[:size] if at_start else room[inner - size :]
        self.rest = room[size:] if at_start else room[: inner - size]
        self.rest[:] = MARK

    def __del__(self):
        if self.length:
            _libc.munmap(self.base, self.length)


class Guard:
    """Hands out arrays in guarded memory, filled with a number, and says whether what lies around them is untouched."""

    def __init__(self, poison: float = np.nan, at_start: bool = False):
        self.poison, self.at_start = poison, at_start
        self.blocks: list[tuple[Block, np.ndarray]] = []

    def empty(self, shape, dtype) -> np.ndarray:
        """Return an array that holds the poison: NaN, denormal numbers, or the least integer."""
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
        block = Block(size, self.at_start)
        array = block.array.view(dtype).reshape(shape)
        self.blocks.append((block, array))  # memory stays as long as the guard does
        return array

    def copy(self, values) -> np.ndarray:
        """Return a contiguous copy of an array."""
        values = np.asarray(values)
        array = self.room(values.shape, values.dtype)
        array[...] = values
        return array

    def check(self) -> None:
        """Raise AssertionError if something was written beside an array."""
        for block, array in self.blocks:
            assert (block.rest == MARK).all(), f"written outside an array of shape {array.shape}, dtype {array.dtype}"
