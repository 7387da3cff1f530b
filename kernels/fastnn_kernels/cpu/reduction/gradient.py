"""Gradients of products, maxima and minima on a CPU: functions of elements, and reductions between them."""

from typing import Any, NamedTuple

from ...ground.backend import plans
from ...ground.checks import contiguous
from ...ground.operation import Layout, layout_of
from ...ground.plans import ghost
from ..arithmetic import FUNCTIONS
from .plan import plan as plan_reduction


class _Part(NamedTuple):
    """The problem of a function of contiguous arrays that are broadcast to a shape."""

    arrays: tuple[Layout, ...]
    shape: tuple[int, ...]
    out: Any = None

    @property
    def result(self):
        return self.shape, self.arrays[-1].dtype


class _Reduced(NamedTuple):
    """The problem of a reduction of a contiguous array whose axes are kept."""

    x: Layout
    axes: tuple[int, ...]
    kind: str
    divisor: float = 1.0

    @property
    def result(self):
        return _kept(self.x.shape, self.axes), self.x.dtype


def _kept(shape, axes):
    return tuple(1 if d in axes else n for d, n in enumerate(shape))


def _function(name, dtype, shape, *shapes):
    """Return run(out, *arrays) of a function of contiguous arrays of these shapes, broadcast to `shape`."""
    return FUNCTIONS[name].plan(_Part(tuple(layout_of(ghost(each, dtype)) for each in shapes), shape))


def _reduction(kind, dtype, shape, axes):
    return plan_reduction(_Reduced(layout_of(ghost(shape, dtype)), axes, kind))


@plans("prod_backward")
def plan_product(problem):
    """Multiply the factors that are not 0, count the others, and share."""
    (shape, dtype), axes = problem.result, problem.axes
    kept = _kept(shape, axes)
    factor, is_zero = (_function(name, dtype, shape, shape) for name in ("factor", "is_zero"))
    product, count = (_reduction(kind, dtype, shape, axes) for kind in ("prod", "sum"))
    share = _function("product_share", dtype, shape, kept, shape, kept, kept)

    def run(out, dy, x, *_):
        x = contiguous(x)
        others, zeros = product(None, factor(None, x)), count(None, is_zero(None, x))
        return share(out, contiguous(dy).reshape(kept), x, others.reshape(kept), zeros.reshape(kept))

    return run


@plans("extremum_backward")
def plan_extremum(problem):
    """Count the elements that are extreme, and share."""
    (shape, dtype), axes = problem.result, problem.axes
    kept = _kept(shape, axes)
    same, count = _function("same", dtype, shape, shape, kept), _reduction("sum", dtype, shape, axes)
    share = _function("extremum_share", dtype, shape, kept, shape, kept, kept)

    def run(out, dy, x, y):
        x, y = contiguous(x), contiguous(y).reshape(kept)
        hits = count(None, same(None, x, y))
        return share(out, contiguous(dy).reshape(kept), x, y, hits.reshape(kept))

    return run
