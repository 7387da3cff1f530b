"""Plans of softmax: arrays as rows or as columns, and the kernel that suits their length."""

from math import prod
from typing import NamedTuple

from ...ground import memory
from ...ground.backend import plans
from ...ground.checks import contiguous
from ...ground.jit import Kernel
from ...ground.memory import SMALL, empty
from ...ground.threads import tasks
from ..grains import ROWS as GRAIN
from . import kernels


class Variants(NamedTuple):
    """The kernels of an operation: for rows, for short rows, and for columns."""

    rows: Kernel
    short: Kernel
    columns: Kernel


def _plan(variants: Variants, streams: bool):
    """Return what plans an operation. streams: its kernel for columns may use streaming stores."""

    def plan(problem):
        shape, dtype = problem.result
        dim, size = problem.dim, prod(shape)
        length, width = shape[dim] if shape else 1, prod(shape[dim + 1 :])
        if width == 1:
            variant, form = variants.short if length <= kernels.FEW else variants.rows, (size // max(length, 1), length)
            count, more = form[0], ()
        else:
            variant, form = variants.columns, (prod(shape[:dim]), length, width)
            count, more = form[0] * kernels.strips(width, dtype), (kernels.streams(form, dtype),) if streams else ()
        if size == 0:
            return lambda out, *_: empty(shape, dtype) if out is None else out
        kernel, number = variant[dtype], tasks(count, max(-(-GRAIN * count // size), 1))
        as_they_are = form == shape and all(x.ghost().flags.c_contiguous for x in problem.arrays)
        small = size * dtype.itemsize < SMALL

        def run(out, *arguments):
            y = out
            if y is None:
                y = memory.fresh(shape, dtype) if small else empty(shape, dtype)
            if as_they_are:
                kernel(*arguments[:-1], y, *more, count, number)
            else:
                kernel(*[contiguous(x).reshape(form) for x in (*arguments[:-1], y)], *more, count, number)
            return y

        return run

    return plan


plans("softmax")(_plan(Variants(kernels.softmax__rows, kernels.softmax__few, kernels.softmax__columns), True))
plans("log_softmax")(
    _plan(Variants(kernels.log_softmax__rows, kernels.log_softmax__few, kernels.log_softmax__columns), True)
)
plans("softmax_backward")(
    _plan(Variants(*[kernels.softmax_backward__rows] * 2, kernels.softmax_backward__columns), False)
)
plans("log_softmax_backward")(
    _plan(Variants(*[kernels.log_softmax_backward__rows] * 2, kernels.log_softmax_backward__columns), False)
)
