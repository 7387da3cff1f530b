"""The blocked matmul engine that every contraction goes through.

Five loops around the micro-kernel (Goto and van de Geijn 2008; Van Zee and van de Geijn 2015), from the outside: blocks
of k, so that the panels in use stay in cache; of columns; of rows; panels of columns; tiles of rows. B and A are packed
or read in place, whichever costs less. A sum starts at the bias; the activation runs over a finished panel while it is
in the nearest cache.

In the engine one element is summed in order of k, whatever the blocking. Single rows and inner products of rows are
summed in other orders, chosen by shape and layout alone. So results have the same bits for any number of threads.
"""

import numpy as np

from ...ground.jit import jitted, kernel, shared
from ..vector.dot_tile import COLUMNS, SINGLE, dot_tile
from ..vector.dot_tile import ROWS as DOT_ROWS
from ..vector.gemm_tile import TILE_ROWS, edge_tile, full_tile, narrow_tile
from ..vector.gemv_tile import DEPTHS, NEAR_DEPTHS, gemv_tile
from ..vector.gemv_tile import ROWS as FEW
from ..vector.simd import address, itemsize, lanes, prefetch, stack_bytes, vector_at
from .blocks import from_memory, k_bytes, m_rows, n_bytes
from .epilogue import finish
from .packing import column_pitch, pack_a, pack_b, panel_columns, row_pitch

K_IN_PLACE = 64  # B in place is read in short blocks of k, lest every row of a tile be in another page
ROW_BYTES, PAGE = 12288, 4096  # of a stretch of B's rows: longer suits memory, but the sums must fit into STACK
AHEAD = 2048  # bytes; how far ahead it pays to fetch B from memory
DOT_BYTES = 1 << 15  # of rows whose inner products are computed at once: they stay in the second-level cache
FEW_PANELS, LINE = 3, 64  # of B, for which A, in place then, is fetched ahead; bytes of a cache line
TINY = 1 << 12  # multiplications so few that deciding how to block them would take as long
STACK = 1 << 16  # bytes of a thread's stack that hold packed panels of B when no workspace is given
DOTS, DOTS_M, DOTS_N, DOTS_BYTES = 64, 56, 64, 1 << 24
ZEROS = np.zeros(8 * 16)  # where a sum without bias starts: a row of zeros, as wide as the widest tile


@shared
def tiles(number, m, n, k, a, a_row, a_col, a_tile, b, b_row, b_panel, init, init_row, init_col, c, c_row, code):
    """C(m, n) = activation(init + A(m, k) B(k, n)), panel by panel of columns, tile by tile of rows.

    Tiles of A are a_tile apart, panels of B b_panel. init has the row stride init_row and column stride init_col: 1, or
    0 if every panel starts at the same numbers.
    """
    width, size, height = panel_columns(number), itemsize(number), TILE_ROWS
    panels, lines = -(-n // width), k * size // LINE
    # few columns, for which A hardly comes from memory in time by itself: so many rows at once are no stream
    ahead = panels <= FEW_PANELS and lines >= panels and m == m_rows() and a_col == 1 and a_tile == TILE_ROWS * a_row
    if TILE_ROWS < m < 2 * TILE_ROWS and a_tile == TILE_ROWS * a_row:  # two tiles alike, not a whole one and a bit
        height = (m + 1) // 2
        a_tile = height * a_row
    for j in range(0, n, width):
        columns, a_at = min(width, n - j), a
        for i in range(0, m, height):
            rows = min(height, m - i)
            if ahead:  # a share of the tile that the next block has in this one's place
                for line in range(j // width * lines // panels * LINE, (j // width + 1) * lines // panels * LINE, LINE):
                    for r in range(rows):
                        prefetch(a_at + (m + r) * a_row * size + line)
            init_at, c_at = init + (i * init_row + j * init_col) * size, c + (i * c_row + j) * size
            if rows == TILE_ROWS and columns == width:
                full_tile(number, k, a_at, a_row, a_col, b, b_row, init_at, init_row, c_at, c_row)
            elif columns <= lanes(number):
                narrow_tile(number, rows, k, a_at, a_row, a_col, b, b_row, init_at, init_row, c_at, c_row, columns)
            else:
                edge_tile(number, rows, k, a_at, a_row, a_col, b, b_row, init_at, init_row, c_at, c_row, columns)
            a_at += a_tile * size
        b += b_panel * size
        if code:
            finish(number, code, m, columns, c + j * size, c_row)


@shared
def multiply_rows(number, m, n, k, a, a_row, a_col, b, b_row, bias, bias_row, bias_col, c, c_row, work):
    """C(m, n) = bias + A(m, k) B(k, n) for m <= FEW, B in place: it is read once, along its rows.

    The sums are kept in `work`, STACK bytes, far from B modulo a page: a load from B that lies a page behind a number
    just stored would wait for it (4 x 1024 x 1024: 38 to 89 GFLOP/s, by where the allocator put C).
    """
    size, depth, ahead = itemsize(number), NEAR_DEPTHS[m - 1], 0
    if k * n * size > from_memory():
        depth, ahead = DEPTHS[m - 1], AHEAD // size
    work += (b + PAGE // 4 - work) % PAGE
    block = -(-n // -(-n * size // ROW_BYTES))
    row = (-(-block * size // PAGE) * PAGE + PAGE // 8) // size
    whole = k - k % depth
    for j in range(0, n, block):
        columns = min(block, n - j)
        for i in range(m):
            _copy(number, columns, bias + (i * bias_row + j * bias_col) * size, bias_col, work + i * row * size)
        for p in range(0, whole, depth):
            a_at, b_at = a + p * a_col * size, b + (p * b_row + j) * size
            gemv_tile(number, m, depth, a_at, a_row, a_col, b_at, b_row, work, row, columns, ahead)
        for p in range(whole, k):
            a_at, b_at = a + p * a_col * size, b + (p * b_row + j) * size
            gemv_tile(number, m, 1, a_at, a_row, a_col, b_at, b_row, work, row, columns, 0)
        for i in range(m):
            _copy(number, columns, work + i * row * size, 1, c + (i * c_row + j) * size)


@jitted
def _copy(number, n, source, step, target):
    """Copy n numbers, or n times the first of them if step is 0."""
    x, y = vector_at(number, source, n), vector_at(number, target, n)
    if step == 0:
        for i in range(n):
            y[i] = x[0]
        return
    for i in range(n):
        y[i] = x[i]


@jitted
def suits_dots(m, n, k, a_step, b_step, size):
    """Say whether a whole product (not a block of it: the sums' order must not depend on threads) is best so."""
    if a_step != size or b_step != size or k < DOTS:
        return False
    return m <= DOTS_M or (n <= DOTS_N and m * k * size <= DOTS_BYTES)  # A comes again for every few columns


@shared
def multiply_dots(number, m, n, k, a, a_row, b, b_col, bias, bias_row, bias_col, c, c_row, code):
    """C(m, n) = activation(bias + A(m, k) B(k, n)): rows of A and columns of B contiguous, neither packed."""
    size, block = itemsize(number), DOT_BYTES // itemsize(number)
    height = -(-m // -(-m // DOT_ROWS))
    width = SINGLE if m == 1 else COLUMNS
    width = width if n >= width else 1
    ahead = width * b_col if m > 2 or k * n * size > from_memory() else 0  # the same place in the next tile
    for t in range(0, n, width):
        j = min(t, n - width)  # the last tile computes some numbers again
        for p in range(0, max(k, 1), block):
            for i in range(0, m, height):
                c_at = c + (i * c_row + j) * size
                init, init_row = bias + (i * bias_row + j * bias_col) * size, bias_row
                if p > 0:
                    init, init_row = c_at, c_row
                a_at, b_at = a + (i * a_row + p) * size, b + (j * b_col + p) * size
                dot_tile(
                    number, min(height, m - i), width, min(block, k - p), a_at, a_row, b_at, b_col,
                    init, init_row, c_at, c_row, ahead,
                )  # fmt: skip
    if code:
        finish(number, code, m, n, c, c_row)


@shared
def multiply(
    number, m, n, k, a, a_row, a_col, b, b_row, b_col, packed, first, bias, bias_row, bias_col, c, c_row,
    code, work, words,
):  # fmt: skip
    """C(m, n) = activation(bias + A(m, k) B(k, n)).

    packed: 0, or how many columns the whole B had, padded to panels, when `matmul__pack` packed it; of these, those
    from `first` on are wanted. bias_row, bias_col: strides of the bias; bias_col 0 if all panels start at the same
    numbers, as those of a row of zeros do. work: an address with room for `words` numbers, at least STACK bytes.
    """
    if packed == 0 and b_col == 1 and m <= FEW:
        multiply_rows(number, m, n, k, a, a_row, a_col, b, b_row, bias, bias_row, bias_col, c, c_row, work)
        finish(number, code, m, n, c, c_row)
        return
    width, size = panel_columns(number), itemsize(number)
    block_k, block_n = k_bytes() // size, n_bytes() // size
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
        block_k = K_IN_PLACE
    block_n -= block_n % width
    panels = work + copy_a * packed_a_size(number, min(m, m_rows()), min(k, block_k)) * size
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
            for i in range(0, m, m_rows()):
                mc = min(m_rows(), m - i)
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
                    init, init_row, init_col = bias + (i * bias_row + j * bias_col) * size, bias_row, bias_col
                tiles(
                    number, mc, nc, kc, a_at, a_r, a_c, tile, b_at, row, panel,
                    init, init_row, init_col, c_at, c_row, final,
                )  # fmt: skip


@jitted
def packed_a_size(number, m, k):
    """Return how many numbers `pack_a` writes."""
    return -(-m // TILE_ROWS) * max(column_pitch(number) * k, TILE_ROWS * row_pitch(number, k))


@kernel(
    "S[:,:], S[:,:], T[:,::1], S[:,:], T[:,::1], int, int, int, int, int, int, int, int",
    writes="out work",
    parallel=True,
)
def matmul__blocked(a, b, bias, out, work, packed, code, a_step, b_step, c_step, items, grid_m, grid_n, lo, hi):
    """a(M,K), b(K,N), bias -> out(M,N), rows of out contiguous, for a stack of them.

    bias: (1,N), or (M,W) with a number per row, repeated as often as a tile has columns, or (0,0).

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
    inner = packed == 0 and suits_dots(m, n, k, a.strides[1], b.strides[0], size)
    for block in range(lo, hi):
        item, i, j = block, 0, 0
        if blocks > 1:
            item, i, j = block // blocks, block % blocks // grid_n * block_m, block % grid_n * block_n
        if i >= m or j >= n:
            continue
        bias_at, bias_row, bias_col = address(ZEROS), 0, 0
        if bias.shape[0] > 1 or bias.shape[1] > n:
            bias_at, bias_row = address(bias) + i * bias.strides[0], bias.shape[1]
        elif bias.size:
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
                bias_at, bias_row, bias_col, c_at, c_row, code,
            )  # fmt: skip
            continue
        if inner:
            multiply_dots(
                number, min(block_m, m - i), min(block_n, n - j), k, a_at, a.strides[0] // size,
                b_at, b.strides[1] // size, bias_at, bias_row, bias_col, c_at, out.strides[0] // size, code,
            )  # fmt: skip
            continue
        multiply(
            number, min(block_m, m - i), min(block_n, n - j), k,
            a_at, a.strides[0] // size, a.strides[1] // size,
            b_at, b.strides[0] // size, b.strides[1] // size, packed * b.shape[1], first,
            bias_at, bias_row, bias_col, c_at, out.strides[0] // size, code, room, words,
        )  # fmt: skip


@kernel("S[:,:], S[:,:], S[:,:]", writes="out")
def matmul__small(a, b, out):
    """a(M,K), b(K,N) -> out(M,N), rows of out contiguous; in this thread, with panels on its stack."""
    _small(a, b, address(ZEROS), 0, out, 0)


@kernel("S[:,:], S[:,:], S[::1], S[:,:], int", writes="out")
def linear__small(x, w, bias, out, code):
    """x(M,K), w(N,K), bias(N) or (0) -> activation(x w^T + bias)(M,N), as `matmul__small`."""
    if bias.size:
        _small(x, w.T, address(bias), 1, out, code)
    else:
        _small(x, w.T, address(ZEROS), 0, out, code)


@kernel("S[:,:], S[:,::1], S[::1], S[:,:], int", writes="out")
def linear__packed(x, panels, bias, out, code):
    """x(M,K), panels(K,..) of `matmul__pack`, bias(N) or (0) -> activation(x W + bias)(M,N), in this thread."""
    number, size = out.dtype.type(0), out.itemsize
    bias_at, bias_col = address(ZEROS), 0
    if bias.size:
        bias_at, bias_col = address(bias), 1
    multiply(
        number, out.shape[0], out.shape[1], x.shape[1], address(x), x.strides[0] // size, x.strides[1] // size,
        address(panels), 0, 0, panels.shape[1], 0, bias_at, 0, bias_col, address(out), out.strides[0] // size, code,
        stack_bytes(STACK), STACK // size,
    )  # fmt: skip


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
    if suits_dots(out.shape[0], out.shape[1], a.shape[1], a.strides[1], b.strides[0], size):
        multiply_dots(
            number, out.shape[0], out.shape[1], a.shape[1], address(a), a.strides[0] // size,
            address(b), b.strides[1] // size, bias, 0, bias_col, address(out), out.strides[0] // size, code,
        )  # fmt: skip
        return
    multiply(
        number, out.shape[0], out.shape[1], a.shape[1],
        address(a), a.strides[0] // size, a.strides[1] // size, address(b), b.strides[0] // size, b.strides[1] // size,
        0, 0, bias, 0, bias_col, address(out), out.strides[0] // size, code, stack_bytes(STACK), STACK // size,
    )  # fmt: skip


@kernel("S[:,:], S[:,::1]", writes="panels", parallel=True)
def matmul__pack(b, panels, lo, hi):
    """b(K,N) -> panels(K, N padded to whole panels), in the order in which `multiply` reads them; a range of panels."""
    number, size = b.dtype.type(0), b.itemsize
    width, block_k, k = panel_columns(number), k_bytes() // b.itemsize, b.shape[0]
    start, stop = lo * width, min(hi * width, b.shape[1])
    for p in range(0, k, block_k):
        kc = min(block_k, k - p)
        target = address(panels) + (p * panels.shape[1] + start * kc) * size
        source = address(b) + p * b.strides[0] + start * b.strides[1]
        pack_b(number, kc, stop - start, source, b.strides[0] // size, b.strides[1] // size, target)
