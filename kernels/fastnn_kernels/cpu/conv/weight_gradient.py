"""The gradients of a convolution's weight and bias: which algorithm computes them."""

from __future__ import annotations

import numpy as np

from ...ground.backend import plans
from ...ground.checks import contiguous
from ...ground.layout import channels_last, places_first
from ...ground.notes import note
from ...ground.outputs import target
from ...ground.plans import ghost
from ...ground.threads import tasks
from ..grains import MOVES
from ..matmul.plan import plan_product
from . import depthwise, im2col, weight_gradient_direct, winograd_gradient
from .select import WORTH, may_round
from .weight_gradient_kernels import conv2d_backward_bias__rows


def plan_bias(dy):
    """dy(B,OC,OH,OW) -> db(OC), contiguous, the sums over images and pixels: f(dy, db)."""
    dtype = dy.dtype
    if channels_last(dy) and dy.size:
        shape = dy.size // dy.shape[1], dy.shape[1]
        ones = np.ones((1, shape[0]), dtype)
        multiply = plan_product(ones, ghost(shape, dtype))
        return lambda dy, db: multiply(ones, places_first(dy).reshape(shape), db[None])
    kernel, count, in_place = conv2d_backward_bias__rows[dtype], tasks(dy.size, MOVES), dy.strides[3] == dy.itemsize
    return lambda dy, db: kernel(dy if in_place else contiguous(dy), db, db.size, count)


def plan_weight(dy, x, window, groups, dw, with_bias=False, masked=False):
    """Plan dw(OC,C/groups,KH,KW), and db(OC) if with_bias: f(dy, x, dw, db, mask).

    dy(B,OC,OH,OW), x(B,C,H,W), dw: ghosts. None if it cannot be masked but ought to be; a mask has dy's layout, and dy
    counts where it is positive.
    """
    filters, channels = dw.shape[0] // groups, dw.shape[1]
    depth = channels == 1 < groups
    empty = dy.size == 0 or dw.size == 0
    rounds = groups == 1 and may_round(dw.dtype) and winograd_gradient.worth(dy.shape, channels, window) <= WORTH
    if empty or depth or rounds or im2col.suits_weight(dy, filters):
        if masked and (depth or with_bias or not rounds):
            return None
        sums = plan_bias(dy) if with_bias else None
        note(f"weight's gradient: {'depthwise' if depth else 'winograd' if rounds else 'im2col'}")
        if empty:
            weight = lambda dy, x, dw: dw.fill(0)  # noqa: E731
        elif depth:
            weight = depthwise.plan_weight(dy, x, window)
        elif rounds:
            weight = winograd_gradient.plan_weight(dy, x, window, dw, masked, plan_weight)
            if weight is None:
                return None
        else:
            weight = im2col.plan_weight(dy, x, window, groups, dw)

        def compute(dy, x, dw, db=None, *mask):
            weight(dy, x, dw, *mask)
            if sums is not None:
                sums(dy, db)

        return compute
    note("weight's gradient: direct")
    return weight_gradient_direct.plan_weight(dy, x, window, groups, dw, with_bias)


@plans("conv2d_backward_bias")
def _plan_bias_alone(problem):
    dy = problem.dy.ghost()
    sums = plan_bias(dy if dy.ndim == 4 else dy[None])

    def run(out, dy):
        db = target(out, *problem.result)
        sums(dy if dy.ndim == 4 else dy[None], db)
        return db

    return run
