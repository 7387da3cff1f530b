"""What runs over a finished block of a product while it is in cache: the activation."""

from .._jit import shared
from .._simd import itemsize, vector_at
from .activation import FUSED, activate

CODES = {name: code for code, name in enumerate(FUSED)}


@shared
def finish(number, code, m, n, c, c_row):
    """C(m, n) = activation(C), in place."""
    size = itemsize(number)
    if c_row == n:  # rows lie one after the other: one of m n numbers
        m, n = 1, m * n
    for i in range(m):
        activate(code, vector_at(number, c + i * c_row * size, n))
