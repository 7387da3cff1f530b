"""Multiply-adds and nothing else: what the CPU's vector units can do at most."""

from .._jit import kernel
from .._microkernel import TILE_VECTORS, full_tile
from .._simd import address, lanes


@kernel("T[:,:,::1], int", writes="scratch", parallel=True)
def peak__tile(scratch, k, lo, hi):
    """scratch(tasks, 3, numbers of a tile): each task adds k products to every number of its tile."""
    for task in range(lo, hi):
        a, b, c = scratch[task, 0], scratch[task, 1], scratch[task, 2]
        number = scratch.dtype.type(0)
        row = TILE_VECTORS * lanes(number)
        full_tile(number, k, address(a), 1, 0, address(b), 0, address(c), row, address(c), row)
