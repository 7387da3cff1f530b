"""Rows that are added to, or otherwise joined with, the rows that indices name: the gradient of everything gathered."""

from typing import NamedTuple

from .ground.checks import choice, flag, integer, required
from .ground.operation import Layout, operation

REDUCTIONS = ("sum", "prod", "mean", "amax", "amin")


def index_reduce(input, index, source, reduce="sum", include_self=True, *, rows=None):
    """Return the input after row m of the source was joined with row index[m] of it, for m = 0, 1, ... in this order.

    input (N, ...), index (M,) of integers 0 .. N - 1, source (M, ...) -> (N, ...). reduce: "sum", "prod", "mean",
    "amax" or "amin" (NaN wins) of a row of the input and all rows that come to it; without `include_self` of the latter
    alone where there are any. input=None stands for `rows` rows of zeros.

    As in PyTorch, sums and products of float32 are taken in float32, one after the other. Raises ValueError for indices
    out of range, for shapes that do not fit together and for unknown reductions; TypeError for other dtypes.
    """
    return _index_reduce.run(None, input, index, source, reduce, include_self, rows)


class IndexReduce(NamedTuple):
    """Rows (M, ...) that are joined with rows (N, ...), `shape`, or with zeros if there is no input."""

    input: Layout | None
    source: Layout
    shape: tuple[int, ...]
    reduce: str
    include_self: bool


@operation("input source", optional="input", integers="index")
def _index_reduce(input, index, source, reduce, include_self, rows):
    name = "index_reduce"
    choice(name, "reduce", reduce, REDUCTIONS)
    include_self = flag(name, "include_self", include_self)
    if input is None and rows is None:
        required(name, input=None)
    if input is not None and rows is not None:
        raise ValueError(f"{name}: give one of input and rows, got an input of shape {input.shape} and rows={rows!r}")
    if not source.ndim or index.shape != source.shape[:1]:
        raise ValueError(f"{name}: index has shape {index.shape} but source (M, ...) has {source.shape}")
    if input is None:
        shape = integer(name, "rows", rows, 0), *source.shape[1:]
    else:
        shape = input.shape
        if not input.ndim or shape[1:] != source.shape[1:]:
            raise ValueError(f"{name}: source has rows {source.shape[1:]} (shape {source.shape}), input has {shape}")
    return IndexReduce(input, source, shape, reduce, include_self)
