"""Padding and cropping of two neighbouring axes at a time, by tables of where each row and column comes from.

A table holds the source of every row or column of the result, -1 for "the constant". `run` says which columns
[first, last) lie side by side in the source, too, and from where on; and how many numbers make up a column.
"""

from ...ground.jit import kernel
from ..move import copy_row
from ..vector.simd import address, part


@kernel("T[:,:,::1], i8[::1], i8[::1], i8[::1], T, T[:,:,::1]", writes="y", parallel=True)
def pad__runs(x, rows, columns, run, value, y, lo, hi):
    """x(P,H,W*S) -> y(P,OH,OW*S). The range is over the P * OH rows."""
    first, last, start, size = run
    length = (last - first) * size
    for r in range(lo, hi):
        p, i = divmod(r, y.shape[1])
        out = y[p, i]
        if rows[i] < 0:
            for j in range(out.size):
                out[j] = value
            continue
        row = x[p, rows[i]]
        source, target = part(row, start * size, length), part(out, first * size, length)
        copy_row(value, address(source), address(target), length)
        for j in range(columns.size - (last - first)):
            column = j if j < first else j + last - first
            if size == 1:  # a loop costs more than the number it would copy
                out[column] = value if columns[column] < 0 else row[columns[column]]
                continue
            target = part(out, column * size, size)
            if columns[column] < 0:
                for c in range(target.size):
                    target[c] = value
            else:
                source = part(row, columns[column] * size, size)
                for c in range(target.size):
                    target[c] = source[c]


@kernel("T[:,:,::1], i8[::1], i8[::1], i8[::1], T[:,:,::1]", writes="dx", parallel=True)
def pad_backward__runs(dy, rows, columns, run, dx, lo, hi):
    """dy(P,OH,OW*S) -> dx(P,H,W*S): what a place was copied to adds up in it. The range is over P."""
    first, last, start, size = run
    length = (last - first) * size
    for p in range(lo, hi):
        image = dx[p]
        for i in range(image.shape[0]):
            for j in range(image.shape[1]):
                image[i, j] = 0
        for i in range(rows.size):
            grad, row = dy[p, i], image[rows[i]]
            source, target = part(grad, first * size, length), part(row, start * size, length)
            for j in range(target.size):
                target[j] += source[j]
            for j in range(columns.size - (last - first)):
                column = j if j < first else j + last - first
                if size == 1:
                    row[columns[column]] += grad[column]
                    continue
                source, target = part(grad, column * size, size), part(row, columns[column] * size, size)
                for c in range(target.size):
                    target[c] += source[c]
