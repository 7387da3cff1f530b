"""Rows that are gathered from anywhere in an array."""

from ..ground.backend import plans
from ..ground.checks import F4
from ..ground.jit import kernel
from ..ground.threads import tasks
from .grains import MOVES as GRAIN
from .vector.simd import address, prefetch

AHEAD = 8  # rows that are asked for before they are read: the prefetcher of the CPU cannot know where the next one is
LINE = 64  # bytes of a cache line


@kernel("u1[:,::1], i8[::1], u1[:,::1]", parallel=True)
def take__rows(x, rows, out, lo, hi):
    """x(N,S), rows(M) -> out(M,S), of bytes: row rows[m] of x, the first or last if there is none. Range: M."""
    size, start, last = x.shape[1], address(x), x.shape[0] - 1
    for m in range(lo, hi):
        if m + AHEAD < hi:
            ahead = start + rows[m + AHEAD] * size
            for line in range(0, size, LINE):
                prefetch(ahead + line)
        source, target = x[min(max(rows[m], 0), last)], out[m]
        for i in range(target.size):
            target[i] = source[i]


@plans("take")
def take(problem):
    """Plan gathered rows: run(out, rows, indices, target)."""
    count, width = problem.out.shape
    kernel, number = take__rows[F4], tasks(count, max(1, GRAIN // max(width, 1)))  # bytes, whatever the dtype

    def run(out, rows, indices, target):
        kernel(rows, indices, target, count, number)

    def short(out, rows, indices, target):
        rows.take(indices, axis=0, mode="clip", out=target)

    return run if width >= LINE else short
