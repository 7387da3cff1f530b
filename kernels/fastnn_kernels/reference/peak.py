"""Multiply-adds, one after the other."""

from ..ground.backend import plans


@plans("peak")
def peak(problem):
    """Add products to one number."""

    def run(out, dtype, threads, products):
        a, total = problem.dtype.type(1e-3), problem.dtype.type(0)
        for _ in range(products):
            total += a * a
        return 2.0 * products

    return run
