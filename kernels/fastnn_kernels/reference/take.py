"""Rows that are gathered."""

from ..ground.backend import plans


@plans("take")
def take(problem):
    """Copy row by row."""

    def run(out, rows, indices, target):
        for i, index in enumerate(indices):
            target[i] = rows[min(max(index, 0), len(rows) - 1)]

    return run
