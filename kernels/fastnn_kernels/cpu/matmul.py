"""The blocked matmul engine that every contraction goes through.

Five loops around the micro-kernel (Goto and van de Geijn 2008; Van Zee and van de Geijn 2015), from the outside: blocks
of k, so that the panels in use stay in cache; of columns; of rows; panels of columns; tiles of rows. B and A are packed
or read in place, whichever costs less. A sum starts at the bias; the activation runs over a finished panel while it is
in the nearest cache.

In the engine one element is summed in order of k, whatever the blocking. Single rows and inner products of rows are
summed in other orders, chosen by shape and layout alone. So results have the same bits for any number of threads.
"""

import numpy as np

from .._jit import jitted, kernel, shared
from .._microkernel import TILE_ROWS, WIDE_ROWS, WIDE_VECTORS, edge_tile, full_tile, narrow_tile, wide_tile
from .._simd import address, fma, itemsize, lanes, stack_bytes, vector_at
from .dots import dots
from .epilogue import finish
from .packing import column_pitch, pack_a, pack_b, panel_columns, row_pitch

# Block sizes in bytes of a row or column. A block of k is long, since every further one reads and writes all of C
# again (measured at 1024^3 float32: 109 GFLOP/s with 4096, 106 with 2048); B's panels come from the second-level cache.
K_BYTES, N_BYTES, M_ROWS = 4096, 4096, 16 * TILE_ROWS
# B in place is read in short blocks of k, lest every row of a tile be in another page: see `multiply`.
K_IN_PLACE = 64  # and fewer of B's rows than there are prefetchers, if it comes from memory:
K_FROM_MEMORY, FROM_MEMORY = 16, 1 << 24  # bytes of B
ROW_BLOCK = 4096  # columns of a single row that are summed together: they stay in the nearest cache
ROW_UNIT = 64  # columns that are not divided between threads: a cache line or more of the result
TINY = 1 << 12  # multiplications so few that deciding how to block them would take as long
STACK = 1 << 16  # bytes of a thread's stack that hold packed panels of B when no workspace is given
DOTS = 64  # columns up to which inner products of rows beat packing them
ZEROS = np.zeros(8 * 16)  # where a sum without bias starts: a row of zeros, as wide as the widest tile


@shared
def tiles(number, m, n, k, a, a_row, a_col, a_tile, b, b_row, b_panel, init, init_row, init_col, c, c_row, code):
    """C(m, n) = activation(init + A(m, k) B(k, n)), panel by panel of columns, tile by tile of rows.

    Tiles of A are a_tile apart, panels of B b_panel. init has the row stride init_row and column stride init_col: 1, or
    0 if every panel starts at the same numbers.
    """
    width, size = panel_columns(number), itemsize(number)
    for j in range(0, n, width):
        columns = min(width, n - j)
        b_at = b + j // width * b_panel * size
        for i in range(0, m, TILE_ROWS):
            rows = min(TILE_ROWS, m - i)
            a_at = a + i // TILE_ROWS * a_tile * size
            init_at = init + (i * init_row + j * init_col) * size
            c_at = c + (i * c_row + j) * size
            if rows == TILE_ROWS and columns == width:
                full_tile(number, k, a_at, a_row, a_col, b_at, b_row, init_at, init_row, c_at, c_row)
            elif columns <= lanes(number):
                narrow_tile(number, rows, k, a_at, a_row, a_col, b_at, b_row, init_at, init_row, c_at, c_row, columns)
            else:
                edge_tile(number, rows, k, a_at, a_row, a_col, b_at, b_row, init_at, init_row, c_at, c_row, columns)
        if code:
            finish(number, code, m, columns, c + j * size, c_row)


@shared
def wide_tiles(number, m, n, k, a, a_row, a_col, b, b_row, init, init_row, init_col, c, c_row, code):
    """Do what `tiles` does, for m <= WIDE_ROWS and B in place, in tiles as wide as fit."""
    width, size = WIDE_VECTORS[m - 1] * lanes(number), itemsize(number)
    for j in range(0, n, width):
        columns, at = min(width, n - j), j * size
        wide_tile(number, m, k, a, a_row, a_col, b + at, b_row, init + init_col * at, init_row, c + at, c_row, columns)
    if code:
        finish(number, code, m, n, c, c_row)


@shared
def multiply(
    number, m, n, k, a, a_row, a_col, b, b_row, b_col, packed, first, bias, bias_col, c, c_row, code, work, words
):
    """C(m, n) = activation(bias(n) + A(m, k) B(k, n)).

    packed: 0, or how many columns the whole B had, padded to panels, when `matmul__pack` packed it; of these, those
    from `first` on are wanted. bias_col 0: bias is a row of zeros. work: an address with room for `words` numbers.
    """
    width, size = panel_columns(number), itemsize(number)
    block_k, block_n = K_BYTES // size, N_BYTES // size
    # Few rows use each number of B once or twice: packing it would cost more than it saves.
    copy_b = packed == 0 and (b_col != 1 or (m > 4 * TILE_ROWS and k * n * size > 1 << 18))
    # Rows of A a power of two apart share cache sets; rows or columns far apart miss the TLB.
    copy_a = (
        words > STACK // size
        and n >= 4 * width
        and (m * k * size > 1 << 19 or a_col != 1 or (m > 8 and a_row * size % 512 == 0))
    )
    if copy_b and words <= STACK // size:
        block_k = min(block_k, words // width)
        block_n = max(words // block_k if k > block_k else words // max(k, 1), width)
    elif packed == 0 and not copy_b and b_row * size >= 4096:
        block_k = K_IN_PLACE if k * n * size < FROM_MEMORY else K_FROM_MEMORY
    block_n -= block_n % width
    panels = work + copy_a * packed_a_size(number, min(m, M_ROWS), min(k, block_k)) * size
    for p in range(0, max(k, 1), block_k):
        kc = min(block_k, k - p)
        final = code if p + kc == k else 0
        for j in range(0, n, block_n):
            nc = min(block_n, n - j)
            b_at, row, panel = b + (p * b_row + j * b_col) * size, b_row, width
            if packed:
                b_at, row, panel = b + (p * packed + (first + j) * kc) * size, width, kc * width
            elif copy_b:
                pack_b(number, kc, nc, b_at, b_row, b_col, panels)
                b_at, row, panel = panels, width, kc * width
            for i in range(0, m, M_ROWS):
                mc = min(M_ROWS, m - i)
                a_at, a_r, a_c, tile = a + (i * a_row + p * a_col) * size, a_row, a_col, TILE_ROWS * a_row
                if copy_a:
                    pack_a(number, mc, kc, a_at, a_row, a_col, work)
                    if a_row == 1:
                        a_at, a_r, a_c, tile = work, 1, column_pitch(number), column_pitch(number) * kc
                    else:
                        a_at, a_r, a_c, tile = work, row_pitch(number, kc), 1, TILE_ROWS * row_pitch(number, kc)
                c_at = c + (i * c_row + j) * size
                init, init_row, init_col = c_at, c_row, 1
                if p == 0:
                    init, init_row, init_col = bias + j * bias_col * size, 0, bias_col
                if m <= WIDE_ROWS and packed == 0 and not copy_b:
                    wide_tiles(
                        number, mc, nc, kc, a_at, a_r, a_c, b_at, row, init, init_row, init_col, c_at, c_row, final
                    )
                else:
                    tiles(
                        number,
                        mc,
                        nc,
                        kc,
                        a_at,
                        a_r,
                        a_c,
                        tile,
                        b_at,
                        row,
                        panel,
                        init,
                        init_row,
                        init_col,
                        c_at,
                        c_row,
                        final,
                    )


@shared
def multiply_row(number, n, k, a, b, b_row, b_col, bias, bias_col, c, code):
    """C(n) = activation(bias(n) + a(k) B(k, n)): B is read once, along memory. b_row or b_col must be 1."""
    size = itemsize(number)
    y, x = vector_at(number, c, n), vector_at(number, a, k)
    for j in range(n):
        y[j] = vector_at(number, bias + j * bias_col * size, 1)[0]
    if b_col == 1:
        _add_rows(number, n, k, x, b, b_row, y)
    else:
        _add_dots(number, n, k, x, b, b_col, y)
    if code:
        finish(number, code, 1, n, c, 0)


@jitted
def _add_rows(number, n, k, x, b, b_row, y):
    step = b_row * itemsize(number)
    for j in range(0, n, ROW_BLOCK):
        count = min(ROW_BLOCK, n - j)
        part, at = y[j : j + count], b + j * itemsize(number)
        for p in range(0, k - 3, 4):
            row = at + p * step
            b0, b1 = vector_at(number, row, count), vector_at(number, row + step, count)
            b2, b3 = vector_at(number, row + 2 * step, count), vector_at(number, row + 3 * step, count)
            for i in range(count):
                part[i] = fma(x[p + 3], b3[i], fma(x[p + 2], b2[i], fma(x[p + 1], b1[i], fma(x[p], b0[i], part[i]))))
        for p in range(k - k % 4, k):
            b0 = vector_at(number, at + p * step, count)
            for i in range(count):
                part[i] = fma(x[p], b0[i], part[i])


@jitted
def _add_dots(number, n, k, x, b, b_col, y):
    step = b_col * itemsize(number)
    for j in range(n):
        b0, s0 = vector_at(number, b + j * step, k), number * 0
        for p in range(k):
            s0 += x[p] * b0[p]
        y[j] += s0


@kernel("T[:,:], T[:,:], T[::1], T[:,:], int", writes="out", parallel=True)
def matmul__row(a, b, bias, out, code, lo, hi):
    """a(1,K), b(K,N), bias(N) or (0) -> activation(a b + bias)(1,N); a, out and rows or columns of b contiguous.

    The range counts units of ROW_UNIT columns.
    """
    number, size = out.dtype.type(0), out.itemsize
    start, stop = lo * ROW_UNIT, min(hi * ROW_UNIT, out.shape[1])
    bias_at, bias_col = address(ZEROS), 0
    if bias.size:
        bias_at, bias_col = address(bias) + start * size, 1
    b_at, c_at = address(b) + start * b.strides[1], address(out) + start * size
    multiply_row(
        number, stop - start, a.shape[1], address(a), b_at, b.strides[0] // size, b.strides[1] // size,
        bias_at, bias_col, c_at, code,
    )  # fmt: skip


@jitted
def packed_a_size(number, m, k):
    """Return how many numbers `pack_a` writes."""
    return -(-m // TILE_ROWS) * max(column_pitch(number) * k, TILE_ROWS * row_pitch(number, k))


@kernel(
    "T[:,:], T[:,:], T[::1], T[:,:], T[:,::1], int, int, int, int, int, int, int, int", writes="out work", parallel=True
)
def matmul__blocked(a, b, bias, out, work, packed, code, a_step, b_step, c_step, items, grid_m, grid_n, lo, hi):
    """a(M,K), b(K,N), bias(N) or (0) -> out(M,N), rows of out contiguous, for a stack of them.

    Of each array the first item is given, the next is a_step, b_step, c_step bytes on. The range counts blocks: items
    times grid_m times grid_n; each task uses a row of `work`, if that has rows. packed: b is what `matmul__pack` wrote,
    one row per k.
    """
    number, size = out.dtype.type(0), out.itemsize
    m, n, k = out.shape[0], out.shape[1], a.shape[1]
    width = panel_columns(number)
    block_m = -(-m // (grid_m * TILE_ROWS)) * TILE_ROWS
    block_n = -(-n // (grid_n * width)) * width
    blocks = grid_m * grid_n
    room, words = stack_bytes(STACK), STACK // size
    if work.size:
        room, words = address(work) + -(-lo * work.shape[0] // (items * blocks)) * work.strides[0], work.shape[1]
    for block in range(lo, hi):
        item, i, j = block // blocks, block % blocks // grid_n * block_m, block % grid_n * block_n
        if i >= m or j >= n:
            continue
        bias_at, bias_col = address(ZEROS), 0
        if bias.size:
            bias_at, bias_col = address(bias) + j * size, 1
        b_at, first = address(b) + item * b_step, j
        if not packed:
            b_at += j * b.strides[1]
        a_at, c_at = (
            address(a) + item * a_step + i * a.strides[0],
            address(out) + item * c_step + i * out.strides[0] + j * size,
        )
        if blocks == 1 and packed == 0 and b.strides[1] == size and m * n * k <= TINY:
            a_row, a_col = a.strides[0] // size, a.strides[1] // size
            b_row, c_row = b.strides[0] // size, out.strides[0] // size
            tiles(
                number, m, n, k, a_at, a_row, a_col, TILE_ROWS * a_row, b_at, b_row, width,
                bias_at, 0, bias_col, c_at, c_row, code,
            )  # fmt: skip
            continue
        multiply(
            number, min(block_m, m - i), min(block_n, n - j), k,
            a_at, a.strides[0] // size, a.strides[1] // size,
            b_at, b.strides[0] // size, b.strides[1] // size, packed * b.shape[1], first,
            bias_at, bias_col, c_at, out.strides[0] // size, code, room, words,
        )  # fmt: skip


@kernel("T[:,:], T[:,:], T[:,:]", writes="out")
def matmul__small(a, b, out):
    """a(M,K), b(K,N) -> out(M,N), rows of out contiguous; in this thread, with panels on its stack."""
    _small(a, b, address(ZEROS), 0, out, 0)


@kernel("T[:,:], T[:,:], T[::1], T[:,:], int", writes="out")
def linear__small(x, w, bias, out, code):
    """x(M,K), w(N,K), bias(N) or (0) -> activation(x w^T + bias)(M,N), as `matmul__small`."""
    if bias.size:
        _small(x, w.T, address(bias), 1, out, code)
    else:
        _small(x, w.T, address(ZEROS), 0, out, code)


@jitted
def _small(a, b, bias, bias_col, out, code):
    number, size = out.dtype.type(0), out.itemsize
    strides = a.strides[0] | a.strides[1] | b.strides[0] | b.strides[1]
    if strides % size:  # fields of packed records: not worth more than a plain loop
        for i in range(out.shape[0]):
            for j in range(out.shape[1]):
                total = vector_at(number, bias + j * bias_col * size, 1)[0]
                for p in range(a.shape[1]):
                    total += a[i, p] * b[p, j]
                out[i, j] = total
        finish(number, code, out.shape[0], out.shape[1], address(out), out.strides[0] // size)
        return
    if out.shape[0] == 1 and a.strides[1] == size and (b.strides[0] == size or b.strides[1] == size):
        b_row, b_col = b.strides[0] // size, b.strides[1] // size
        multiply_row(
            number, out.shape[1], a.shape[1], address(a), address(b), b_row, b_col, bias, bias_col, address(out), code
        )
        return
    if b.strides[0] == size == a.strides[1] and out.shape[0] >= 4 and a.shape[1] >= 64 and out.shape[1] <= DOTS:
        dots(
            number, out.shape[0], out.shape[1], a.shape[1], address(a), a.strides[0] // size,
            address(b), b.strides[1] // size, bias, bias_col, address(out), out.strides[0] // size,
        )  # fmt: skip
        finish(number, code, out.shape[0], out.shape[1], address(out), out.strides[0] // size)
        return
    multiply(
        number, out.shape[0], out.shape[1], a.shape[1],
        address(a), a.strides[0] // size, a.strides[1] // size, address(b), b.strides[0] // size, b.strides[1] // size,
        0, 0, bias, bias_col, address(out), out.strides[0] // size, code, stack_bytes(STACK), STACK // size,
    )  # fmt: skip


@kernel("T[:,:], T[:,::1]", writes="panels", parallel=True)
def matmul__pack(b, panels, lo, hi):
    """b(K,N) -> panels(K, N padded to whole panels), in the order in which `multiply` reads them; a range of panels."""
    number, size = b.dtype.type(0), b.itemsize
    width, block_k, k = panel_columns(number), K_BYTES // b.itemsize, b.shape[0]
    start, stop = lo * width, min(hi * width, b.shape[1])
    for p in range(0, k, block_k):
        kc = min(block_k, k - p)
        target = address(panels) + (p * panels.shape[1] + start * kc) * size
        source = address(b) + p * b.strides[0] + start * b.strides[1]
        pack_b(number, kc, stop - start, source, b.strides[0] // size, b.strides[1] // size, target)
