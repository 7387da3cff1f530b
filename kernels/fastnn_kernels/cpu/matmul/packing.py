"""Packers: copies of operands in the order in which a tile reads them. Addresses and strides are in elements.

B goes into panels of TILE_VECTORS vectors of columns, k after k, behind the last column filled with zeros.
A goes into rows (or, when it is transposed, into columns) that are near to each other: in place, rows a power of two
apart fall into the same cache set.
"""

from ...ground.jit import jitted, shared
from ..vector.gemm_tile import TILE_ROWS, TILE_VECTORS
from ..vector.simd import itemsize, lanes, vector_at
from ..vector.transpose import copy_panel_row, copy_tile_column, transpose_block


@jitted
def panel_columns(number):
    """Return how many columns a panel of B has."""
    return TILE_VECTORS * lanes(number)


@jitted
def column_pitch(number):
    """Return how far apart packed columns of a tile of A are: TILE_ROWS rounded up to whole vectors."""
    return -(-TILE_ROWS // lanes(number)) * lanes(number)


@jitted
def row_pitch(number, k):
    """Return how far apart packed rows of A are: an odd number of vectors, so that they share no cache set."""
    return ((k + lanes(number) - 1) // lanes(number) | 1) * lanes(number)


@shared
def pack_b(number, k, n, b, b_row, b_col, panels):
    """b(k, n) with two strides -> panels(ceil(n / columns), k, columns)."""
    width = panel_columns(number)
    size = itemsize(number)
    for j in range(0, n, width):
        columns = min(width, n - j)
        source, target = b + j * b_col * size, panels + j * k * size
        if b_col == 1:
            for p in range(k):
                copy_panel_row(number, source + p * b_row * size, target + p * width * size, columns)
        elif b_row == 1 and columns == width:
            _pack_columns(number, k, source, b_col, target)
        else:
            _pack_strided(number, k, columns, source, b_row, b_col, target)


@jitted
def _pack_columns(number, k, b, b_col, panel):
    width, step, size = panel_columns(number), lanes(number), itemsize(number)
    whole = k - k % step
    for p in range(0, whole, step):
        for j in range(0, width, step):
            transpose_block(number, b + (j * b_col + p) * size, b_col, panel + (p * width + j) * size, width)
    if whole < k:
        _pack_strided(number, k - whole, width, b + whole * size, 1, b_col, panel + whole * width * size)


@jitted
def _pack_strided(number, k, columns, b, b_row, b_col, panel):
    width, size = panel_columns(number), itemsize(number)
    target = vector_at(number, panel, k * width)
    for p in range(k):
        for j in range(columns):
            target[p * width + j] = vector_at(number, b + (p * b_row + j * b_col) * size, 1)[0]
        for j in range(columns, width):
            target[p * width + j] = number * 0


@shared
def pack_a(number, m, k, a, a_row, a_col, block):
    """a(m, k) with two strides -> block(m, k), or (m / TILE_ROWS, k, TILE_ROWS) if its columns are contiguous."""
    size, pitch = itemsize(number), column_pitch(number)
    if a_row == 1:
        for i in range(0, m, TILE_ROWS):
            rows = min(TILE_ROWS, m - i)
            target = block + i // TILE_ROWS * k * pitch * size
            for p in range(k):
                source = a + (i + p * a_col) * size
                copy_tile_column(number, source, target + p * pitch * size, rows)
        return
    for i in range(m):
        source = a + i * a_row * size
        target = vector_at(number, block + i * row_pitch(number, k) * size, k)
        if a_col == 1:
            row = vector_at(number, source, k)
            for p in range(k):
                target[p] = row[p]
        else:  # by address: an index below zero, which a negative stride gives, would count from the end
            for p in range(k):
                target[p] = vector_at(number, source + p * a_col * size, 1)[0]
