"""Activations behind a convolution, and their gradients in front of its gradients, planned for known layouts."""

import numpy as np

from ...ground.checks import contiguous
from ...ground.memory import empty
from ...ground.plans import ghost
from ...ground.threads import tasks
from ..activation import FUNCTIONS


def plan_activation(name, size, dtype):
    """Return what applies an activation in place to `size` contiguous numbers."""
    spec = FUNCTIONS[name]
    kernel, parameters, count = spec.forward_kernel[dtype], spec.usual_parameters, tasks(size, spec.grain)
    return lambda y: kernel(y, y, *parameters, size, count)


def plan_gradient(name, dy, y):
    """Return (the ghost of the result, f(dy, y)): dy times the slope of an activation whose output is y.

    dy, y: ghosts. The result is dense, its axes in the order of those of y in memory.
    """
    spec, dtype, size = FUNCTIONS[name], y.dtype, y.size
    kernel, parameters, count = spec.backward_kernel[dtype], spec.usual_parameters, tasks(size, spec.grain)
    order = list(range(y.ndim))
    if not (dy.flags.c_contiguous and y.flags.c_contiguous):
        order = [int(axis) for axis in np.argsort([-abs(stride) for stride in y.strides], kind="stable")]
    back = tuple(order.index(axis) for axis in range(y.ndim))
    shape = tuple(y.shape[axis] for axis in order)

    def compute(dy, y):
        out = empty(shape, dtype)
        rows = [contiguous(a.transpose(order)).reshape(size) for a in (dy, y)]
        kernel(*rows, out.reshape(size), *parameters, size, count)
        return out.transpose(back)

    return ghost(shape, dtype).transpose(back), compute
