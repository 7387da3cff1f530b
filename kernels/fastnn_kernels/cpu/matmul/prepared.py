"""The panels of an operand that is packed once for many products."""

import numpy as np

from ...ground.memory import empty, zeros
from ...ground.prepared import Prepared
from ...ground.threads import tasks
from ..grains import PRODUCT as GRAIN
from ..vector.gemm_tile import TILE_VECTORS
from ..vector.simd import vector_bytes
from .blocks import K_BYTES
from .kernels import matmul__pack


def panels_of(operand: Prepared, transposed: bool):
    """Return the panels of an operand or of its transpose, packed at their first use. They take its place in memory."""
    if transposed:
        return operand.get(
            "panels of the transpose", lambda b: pack_panels(b.T), lambda p, shape: _unpack(p, shape[::-1]).T
        )
    return operand.get("panels", pack_panels, _unpack)


def pack_panels(b):
    """Return b(K, N) in panels, (K, N padded)."""
    width = TILE_VECTORS * vector_bytes() // b.dtype.itemsize
    panels = -(-b.shape[1] // width)
    packed = empty((b.shape[0], panels * width), b.dtype)
    if packed.size:
        matmul__pack[b.dtype](b, packed, panels, tasks(packed.size, GRAIN))
    return packed


def _unpack(packed, shape):
    """Return b(K, N) from its panels."""
    if 0 in shape:
        return zeros(shape, packed.dtype)
    width, step = TILE_VECTORS * vector_bytes() // packed.itemsize, K_BYTES // packed.itemsize
    blocks = [packed[p : p + step] for p in range(0, len(packed), step)]
    rows = [block.reshape(-1, len(block), width).transpose(1, 0, 2).reshape(len(block), -1) for block in blocks]
    return np.concatenate(rows)[:, : shape[1]]
