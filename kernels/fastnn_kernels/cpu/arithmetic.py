"""Two arrays of one shape, element by element."""

from ..ground.jit import kernel
from .vector.simd import load, store


@kernel("T[::1], T[::1], T[::1]", parallel=True)
def add__vector(a, b, out, lo, hi):
    """a(n), b(n) -> out(n)."""
    a, b, out = a[lo:hi], b[lo:hi], out[lo:hi]
    for i in range(out.size):
        store(out, i, load(a, i) + load(b, i))


@kernel("T[::1], T[::1], T[::1]", parallel=True)
def mul__vector(a, b, out, lo, hi):
    """a(n), b(n) -> out(n)."""
    a, b, out = a[lo:hi], b[lo:hi], out[lo:hi]
    for i in range(out.size):
        store(out, i, load(a, i) * load(b, i))
