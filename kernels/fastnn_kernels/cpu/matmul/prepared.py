"""An operand of a matrix product, packed once for many products."""

from __future__ import annotations

from threading import Lock

import numpy as np
from numpy import ndarray

from ...ground.checks import as_float_array
from ...ground.memory import empty, zeros
from ...ground.threads import tasks
from ..vector.gemm_tile import TILE_VECTORS
from ..vector.simd import vector_bytes
from .kernels import K_BYTES, matmul__pack
from .plan import GRAIN

_packing = Lock()


class PreparedMatmul:
    """An operand packed by `prepare_matmul`: `matmul` takes it for `b`, `linear` for `weight`."""

    __slots__ = ("_packed", "_source", "dtype", "ndim", "shape")

    def __init__(self, b: ndarray):
        b = as_float_array("prepare_matmul", "b", b, 2)
        self.shape, self.dtype, self.ndim = b.shape, b.dtype, 2
        self._source: ndarray | None = b.copy()
        self._packed: dict[bool, ndarray] = {}

    def __reduce__(self):  # panels are as wide as this CPU's vectors, so the numbers themselves travel
        with _packing:
            return PreparedMatmul, (self._whole(),)

    def __repr__(self) -> str:
        return f"PreparedMatmul(shape={self.shape}, dtype={self.dtype})"

    def panels(self, transposed: bool) -> ndarray:
        """Return the panels of the operand or its transpose, packed at the first use of either."""
        packed = self._packed.get(transposed)
        if packed is None:
            with _packing:  # of two threads that want the same panels the second finds them
                packed = self._packed.get(transposed)
                if packed is None:
                    source = self._whole()
                    packed = self._packed[transposed] = pack_panels(source.T if transposed else source)
                    self._source = None
        return packed

    def _whole(self) -> ndarray:
        """Return the operand as it was given, from its panels if need be. The caller holds the lock."""
        if self._source is not None:
            return self._source
        ((transposed, packed), *_) = self._packed.items()
        if 0 in self.shape:
            return zeros(self.shape, self.dtype)
        width = TILE_VECTORS * vector_bytes() // self.dtype.itemsize
        step = K_BYTES // self.dtype.itemsize
        blocks = [packed[p : p + step] for p in range(0, len(packed), step)]
        rows = [block.reshape(-1, len(block), width).transpose(1, 0, 2).reshape(len(block), -1) for block in blocks]
        whole = np.concatenate(rows)[:, : self.shape[0 if transposed else 1]]
        return whole.T if transposed else whole


def pack_panels(b):
    """Return b(K, N) in panels, (K, N padded)."""
    width = TILE_VECTORS * vector_bytes() // b.dtype.itemsize
    panels = -(-b.shape[1] // width)
    packed = empty((b.shape[0], panels * width), b.dtype)
    if packed.size:
        matmul__pack[b.dtype](b, packed, panels, tasks(packed.size, GRAIN))
    return packed
