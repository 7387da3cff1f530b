"""`python -m fastnn_kernels operations` lists what can be computed, on which back ends, by which kernels."""

import sys
from importlib import import_module
from pkgutil import walk_packages

import fastnn_kernels
from fastnn_kernels.ground.backend import planned
from fastnn_kernels.ground.operation import operations
from fastnn_kernels.ground.registry import specs

BACKENDS = "cpu", "cuda", "reference"


def table() -> list[tuple[str, str, str]]:
    """Return (operation, its back ends, the variants of its kernels) for every operation."""
    for backend in BACKENDS:
        for module in walk_packages(fastnn_kernels.__path__, "fastnn_kernels."):
            if module.name.startswith(f"fastnn_kernels.{backend}."):
                import_module(module.name)
    rows = []
    for name in sorted(operations()):
        backends = [backend for backend in BACKENDS if planned(backend, name)]
        variants = [spec.variant for spec in specs() if spec.op == name]
        rows.append((name, " ".join(backends), " ".join(variants)))
    return rows


def main() -> int:
    """Print the table; the exit status is 2 for other words than `operations`."""
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
