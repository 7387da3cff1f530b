"""`python -m fastnn_kernels operations` lists what can be computed, on which back ends, by which kernels."""

import sys
from importlib.util import find_spec

from fastnn_kernels.ground.ahead import serve
from fastnn_kernels.ground.backend import load_all, planned
from fastnn_kernels.ground.operation import operations
from fastnn_kernels.ground.registry import specs

BACKENDS = "cpu", "cuda", "reference"


def table() -> list[tuple[str, str, str]]:
    """Return (operation, its back ends, the variants of its kernels) for every operation."""
    for backend in BACKENDS:
        if find_spec(f"fastnn_kernels.{backend}"):
            load_all(backend)
    rows = []
    for name in sorted(operations()):
        backends = [backend for backend in BACKENDS if planned(backend, name)]
        variants = [spec.variant for spec in specs() if spec.op == name]
        rows.append((name, " ".join(backends), " ".join(variants)))
    return rows


def main() -> int:
    """Print the table; the exit status is 2 for other words than `operations` and `compile`."""
    if sys.argv[1:] == ["compile"]:  # what `compile_kernels` starts
        serve(answer=lambda word: print(word, flush=True))
        return 0
    if sys.argv[1:] != ["operations"]:
        print(__doc__)
        return 2
    rows = [("operation", "back ends", "kernels"), *table()]
    widths = [max(len(row[i]) for row in rows) for i in range(2)]
    for operation, backends, variants in rows:
        print(f"{operation:<{widths[0]}}  {backends:<{widths[1]}}  {variants}".rstrip())
    return 0


if __name__ == "__main__":
    sys.exit(main())
