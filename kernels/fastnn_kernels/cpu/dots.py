"""Products of two matrices whose rows both run along the sum, without packing either: many inner products at once.

The engine wants one operand as columns, and packing it so costs more than the product if few rows of the other use it:
784 -> 16 at batch 32 took 25 us, of which packing was two thirds. Here 4 x 4 inner products run side by side, each in
a vector of partial sums, so that 8 loads feed 16 multiply-adds.
"""

from .._jit import shared
from .._simd import itemsize, vector_at


@shared
def dots(number, m, n, k, x, x_row, w, w_row, bias, bias_col, c, c_row):
    """C(m, n) = bias + X(m, k) W(n, k)^T; rows of X, W and C contiguous."""
    for i in range(0, m, 4):
        for j in range(0, n, 4):
            dot_tile(number, min(4, m - i), min(4, n - j), k, x, x_row, w, w_row, bias, bias_col, c, c_row, i, j)


@shared
def dot_tile(number, rows, columns, k, x, x_row, w, w_row, bias, bias_col, c, c_row, i, j):
    """Compute a tile of at most 4 x 4; beyond the edge the last row is computed again, and not kept."""
    size = itemsize(number)
    x0 = vector_at(number, x + i * x_row * size, k)
    x1 = vector_at(number, x + (i + min(1, rows - 1)) * x_row * size, k)
    x2 = vector_at(number, x + (i + min(2, rows - 1)) * x_row * size, k)
    x3 = vector_at(number, x + (i + rows - 1) * x_row * size, k)
    w0 = vector_at(number, w + j * w_row * size, k)
    w1 = vector_at(number, w + (j + min(1, columns - 1)) * w_row * size, k)
    w2 = vector_at(number, w + (j + min(2, columns - 1)) * w_row * size, k)
    w3 = vector_at(number, w + (j + columns - 1) * w_row * size, k)
    a00 = a01 = a02 = a03 = a10 = a11 = a12 = a13 = number
    a20 = a21 = a22 = a23 = a30 = a31 = a32 = a33 = number
    for p in range(k):
        u0, u1, u2, u3 = x0[p], x1[p], x2[p], x3[p]
        v0, v1, v2, v3 = w0[p], w1[p], w2[p], w3[p]
        a00, a01, a02, a03 = a00 + u0 * v0, a01 + u0 * v1, a02 + u0 * v2, a03 + u0 * v3
        a10, a11, a12, a13 = a10 + u1 * v0, a11 + u1 * v1, a12 + u1 * v2, a13 + u1 * v3
        a20, a21, a22, a23 = a20 + u2 * v0, a21 + u2 * v1, a22 + u2 * v2, a23 + u2 * v3
        a30, a31, a32, a33 = a30 + u3 * v0, a31 + u3 * v1, a32 + u3 * v2, a33 + u3 * v3
    sums = ((a00, a01, a02, a03), (a10, a11, a12, a13), (a20, a21, a22, a23), (a30, a31, a32, a33))
    for r in range(rows):
        for s in range(columns):
            start = vector_at(number, bias + (j + s) * bias_col * size, 1)[0]
            vector_at(number, c + ((i + r) * c_row + j + s) * size, 1)[0] = start + sums[r][s]
