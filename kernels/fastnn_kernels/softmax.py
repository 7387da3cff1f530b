"""Softmax and its logarithm over one dimension of an array.

All take float32 or float64 arrays of any shape and strides (TypeError for other dtypes), and `dim` from -ndim to
ndim - 1 (ValueError beyond). They write to a new contiguous array, or to `out`, which must have the input's shape and
dtype and not overlap an input (ValueError). Rows of -inf give NaN, as in PyTorch.

Sums go by fixed pieces, so results have the same bits for any number of threads. Errors were measured for 2 to 4096
normal numbers times 1, 3, 10 and 25, in eps of the dtype.
"""

from math import prod
from typing import NamedTuple

from numpy import ndarray

from .cpu import softmax as cpu
from .cpu.softmax import FEW
from .ground import memory
from .ground.checks import F4, F8, as_float_array, contiguous, normalize_dim, output, promote, required
from .ground.jit import Kernel
from .ground.memory import SMALL, empty
from .ground.plans import Plans
from .ground.threads import get_num_threads, tasks

GRAIN = 32768  # elements worth waking a second thread for


class Variants(NamedTuple):
    """The kernels of an operation: for rows, of which [length <= FEW] is the right one, and for columns."""

    rows: Kernel
    few: Kernel
    columns: Kernel


VARIANTS = {
    "softmax": Variants(cpu.softmax__rows, cpu.softmax__few, cpu.softmax__columns),
    "log_softmax": Variants(cpu.log_softmax__rows, cpu.log_softmax__few, cpu.log_softmax__columns),
    "softmax_backward": Variants(cpu.softmax_backward__rows, cpu.softmax_backward__rows, cpu.softmax_backward__columns),
    "log_softmax_backward": Variants(
        cpu.log_softmax_backward__rows, cpu.log_softmax_backward__rows, cpu.log_softmax_backward__columns
    ),
}


def softmax(input, dim=-1, *, out=None):
    """Return e^(x - max) / sum over `dim`.

    The relative error is at most 3.2 eps where x is within 1 of the largest. Further away the rounding of x - max adds
    0.5 eps |x - max| in float32, 0.65 in float64.
    """
    return _forward("softmax", input, dim, out)


def softmax_backward(dy, y, dim=-1, *, out=None):
    """Return y (dy - sum(dy y)) for softmax's output y."""
    return _backward("softmax_backward", dy, y, dim, out)


def log_softmax(input, dim=-1, *, out=None):
    """Return x - max - log(sum e^(x - max)) over `dim`: the logarithm of softmax without its underflow.

    The error is at most 3.2 eps, relative to the result or, where that is below 1, to 1.
    """
    return _forward("log_softmax", input, dim, out)


def log_softmax_backward(dy, y, dim=-1, *, out=None):
    """Return dy - e^y sum(dy) for log_softmax's output y."""
    return _backward("log_softmax_backward", dy, y, dim, out)


def _forward(function, input, dim, out):
    x = input
    if type(x) is not ndarray or (x.dtype is not F4 and x.dtype is not F8):
        x = as_float_array(function, "input", x)
    dim = dim if type(dim) is int else normalize_dim(function, dim, x.ndim)
    plan = _plans[function, x.shape, x.dtype, dim, get_num_threads()]
    if out is None and plan.direct:
        y = memory.fresh(x.shape, x.dtype) if plan.warm else empty(x.shape, x.dtype)
        try:  # kernels refuse arrays that are not contiguous and aligned
            plan.kernel(x, y, *plan.given)
            return y
        except TypeError:
            pass
    return plan.anyhow(out, as_float_array(function, "input", x))


def _backward(function, dy, y, dim, out):
    if not (type(dy) is type(y) is ndarray and dy.dtype is y.dtype and (y.dtype is F4 or y.dtype is F8)):
        required(function, dy=dy, y=y)
        dy, y = promote(function, dy=dy, y=y)
    if dy.shape != y.shape:
        raise ValueError(f"{function}: dy has shape {dy.shape} but y has {y.shape}")
    dim = dim if type(dim) is int else normalize_dim(function, dim, y.ndim)
    plan = _plans[function, y.shape, y.dtype, dim, get_num_threads()]
    if out is None and plan.direct:
        dx = memory.fresh(y.shape, y.dtype) if plan.warm else empty(y.shape, y.dtype)
        try:
            plan.kernel(dy, y, dx, *plan.given)
            return dx
        except TypeError:
            pass
    return plan.anyhow(out, *promote(function, dy=dy, y=y))


class _Plan:
    """How contiguous arrays of one shape are seen, as rows or as columns.

    direct: whether they have the form that the kernel wants. warm: whether the result is small. given: what the kernel
    gets besides arrays, how many rows or strips of columns there are and for how many tasks.
    """

    def __init__(self, function, shape, dtype, dim, threads):
        variants, dim, size = VARIANTS[function], normalize_dim(function, dim, len(shape)), prod(shape)
        length, width = shape[dim] if shape else 1, prod(shape[dim + 1 :])
        if width == 1:
            kernel, self.form = variants[length <= FEW], (size // max(length, 1), length)
            count = self.form[0]
        else:
            kernel, self.form = variants.columns, (prod(shape[:dim]), length, width)
            count = self.form[0] * cpu.strips(width, dtype)
        self.function, self.size, self.kernel = function, size, kernel[dtype]
        self.direct, self.warm = size > 0 and self.form == shape, size * dtype.itemsize < SMALL
        number = tasks(count, max(-(-GRAIN * count // max(size, 1)), 1))
        far = () if width == 1 or function.endswith("backward") else (cpu.far(self.form, dtype),)
        self.given = *far, count, number

    def anyhow(self, out, *arrays):
        """Return the result, in `out` if it is not None, of arrays in any layout."""
        shape, dtype = arrays[0].shape, arrays[0].dtype
        y = output(self.function, out, shape, dtype, *arrays)
        target = y if y.flags.carray else empty(shape, dtype)
        if self.size:
            views = [contiguous(array).reshape(self.form) for array in (*arrays, target)]
            self.kernel(*views, *self.given)
        if target is not y:
            y[...] = target
        return y


_plans = Plans(_Plan)
