"""Numbers in turns: one of each of some rows, then the next of each; and back to rows.

Numbers of rows that a compiler knows become shuffles of vectors.
"""

from ...ground.jit import jitted, kernel
from ..vector.simd import address, vector_at


@jitted
def take_turns(rows, count, turns, length):
    """Write the first `count` of four rows as turns."""
    a, b, c, d = rows
    if count == 1:
        for i in range(length):
            turns[i] = a[i]
    elif count == 2:
        for i in range(length):
            turns[2 * i], turns[2 * i + 1] = a[i], b[i]
    elif count == 3:
        for i in range(length):
            turns[3 * i], turns[3 * i + 1], turns[3 * i + 2] = a[i], b[i], c[i]
    else:
        for i in range(length):
            turns[4 * i], turns[4 * i + 1], turns[4 * i + 2], turns[4 * i + 3] = a[i], b[i], c[i], d[i]


@jitted
def end_turns(rows, count, turns, length):
    """Write turns as the first `count` of four rows."""
    a, b, c, d = rows
    if count == 1:
        for i in range(length):
            a[i] = turns[i]
    elif count == 2:
        for i in range(length):
            a[i], b[i] = turns[2 * i], turns[2 * i + 1]
    elif count == 3:
        for i in range(length):
            a[i], b[i], c[i] = turns[3 * i], turns[3 * i + 1], turns[3 * i + 2]
    else:
        for i in range(length):
            a[i], b[i], c[i], d[i] = turns[4 * i], turns[4 * i + 1], turns[4 * i + 2], turns[4 * i + 3]


@jitted
def row_at(start, n, wide, across):
    """Return where row n is: `wide` of them are across[1] bytes from each other, and across[0] lead to the next."""
    return start + n // wide * across[0] + n % wide * across[1]


@kernel("T[:,:,:,:,:,:], T, int, T[:,:,:,:,:,:]", writes="y", parallel=True)
def reorder__turns(x, number, forth, y, lo, hi):
    """x(P,Q,R,M,N,O) -> y(P,Q,R,M,N,O), the same numbers. The range is over P * Q * R.

    forth: there are N * O rows of M neighbours in x, and their turns lie together in y; else the other way round.
    """
    length, high, wide = x.shape[3:]
    count = high * wide
    across = x.strides[4:] if forth else y.strides[4:]
    for r in range(lo, hi):
        outer, k = divmod(r, y.shape[2])
        i, j = divmod(outer, y.shape[1])
        source, target = address(x[i, j, k]), address(y[i, j, k])
        rows_at, turns_at = (source, target) if forth else (target, source)
        turns = vector_at(number, turns_at, count * length)
        if count <= 4:
            rows = (
                vector_at(number, row_at(rows_at, 0, wide, across), length),
                vector_at(number, row_at(rows_at, 1, wide, across), length),
                vector_at(number, row_at(rows_at, 2, wide, across), length),
                vector_at(number, row_at(rows_at, 3, wide, across), length),
            )
            if forth:
                take_turns(rows, count, turns, length)
            else:
                end_turns(rows, count, turns, length)
            continue
        for n in range(count):
            row = vector_at(number, row_at(rows_at, n, wide, across), length)
            if forth:
                for m in range(length):
                    turns[m * count + n] = row[m]
            else:
                for m in range(length):
                    row[m] = turns[m * count + n]
