"""Images from one layout in memory to the other: planes to pixels and back, a transposition per image."""

from .._jit import kernel
from .._microkernel import transpose_block
from .._simd import address, itemsize, lanes


@kernel("T[:,:,::1], T, T[:,:,::1]", writes="out", parallel=True)
def relayout__blocks(x, number, out, lo, hi):
    """x(B,R,S) -> out(B,S,R). The range is over B."""
    size, step = itemsize(number), lanes(number)
    rows, columns = x.shape[1:]
    whole_rows, whole_columns = rows - rows % step, columns - columns % step
    for b in range(lo, hi):
        for i in range(0, whole_rows, step):
            for j in range(0, whole_columns, step):
                source = address(x) + ((b * rows + i) * columns + j) * size
                target = address(out) + ((b * columns + j) * rows + i) * size
                transpose_block(number, source, columns, target, rows)
        for i in range(rows):
            for j in range(whole_columns if i < whole_rows else 0, columns):
                out[b, j, i] = x[b, i, j]
