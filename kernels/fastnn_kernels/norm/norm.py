"""Normalisation of rows: of the last dimensions (layer, RMS) and of groups of channels (group, instance).

All take float32 or float64 arrays (TypeError for other dtypes) of any strides and give the common dtype of their
arrays, in a new array or in `out`, which must have the input's shape and not overlap an input (ValueError). `weight`
and `bias` are optional. Variances are those of the population (divided by n, not n - 1). Means and variances are
computed in two passes and merged in float64, so that data far from 0 keep their accuracy.

The gradients give (dx, dweight, dbias), None where `needs` is False. They want the `statistics` of the forward pass,
means and variances as `normalized` gives them, or compute them again.
"""

from __future__ import annotations

from math import prod

import numpy as np
from numpy import ndarray

from ..cpu.norm import rows as cpu
from ..ground import memory
from ..ground.checks import F4, F8, contiguous, integer, needed, number, operand, output, promote, required, sizes
from ..ground.memory import ALIGNMENT, FAR, SMALL, empty, zeros
from ..ground.plans import Plans
from ..ground.threads import get_num_threads, tasks

GRAIN = 16384  # elements worth waking a second thread for
SHORT = 64  # numbers of a row up to which the kernel with a weight per column is the faster one
BLOCKS = 64  # of rows, at most, whose sums are added in order


# --- the last dimensions


def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5, *, out=None):
    """Return (x - mean) / sqrt(variance + eps) weight + bias over the last dimensions (Ba, Kiros & Hinton, 2016).

    normalized_shape: the last dimensions of the input, an integer or several; weight and bias have this shape.
    ValueError where they do not fit.
    Measured error in float32: at most 1.2e-6 for rows of 10 to 4096 normal numbers.
    """
    return normalized("layer_norm", input, normalized_shape, weight, bias, eps, out)[0]


def layer_norm_backward(
    dy, input, normalized_shape, weight=None, eps=1e-5, *, statistics=None, needs=(True, True, True)
):
    """Return the gradients (dx, dweight, dbias) of layer_norm."""
    return normalized_backward("layer_norm_backward", dy, input, normalized_shape, weight, eps, statistics, needs)


def rms_norm(input, normalized_shape, weight=None, eps=None, *, out=None):
    """Return x / sqrt(mean(x^2) + eps) weight over the last dimensions (Zhang & Sennrich, 2019).

    eps defaults to that of the dtype. Otherwise like `layer_norm`.
    """
    return normalized("rms_norm", input, normalized_shape, weight, None, eps, out)[0]


def rms_norm_backward(dy, input, normalized_shape, weight=None, eps=None, *, statistics=None, needs=(True, True)):
    """Return the gradients (dx, dweight) of rms_norm."""
    needs = (*needed("rms_norm_backward", needs, 2), False)
    return normalized_backward("rms_norm_backward", dy, input, normalized_shape, weight, eps, statistics, needs)[:2]


# --- groups of channels


def group_norm(input, num_groups, weight=None, bias=None, eps=1e-5, *, out=None):
    """Return (x - mean) / sqrt(variance + eps) weight + bias over each group of channels (Wu & He, 2018).

    input (B, C, ...) -> the same; weight, bias (C,). ValueError if num_groups does not divide C.
    """
    return normalized("group_norm", input, num_groups, weight, bias, eps, out)[0]


def group_norm_backward(dy, input, num_groups, weight=None, eps=1e-5, *, statistics=None, needs=(True, True, True)):
    """Return the gradients (dx, dweight, dbias) of group_norm."""
    return normalized_backward("group_norm_backward", dy, input, num_groups, weight, eps, statistics, needs)


# --- what they share


def normalized(function, input, by, weight, bias, eps, out=None):
    """Return (the input normalised, its statistics); by: normalized_shape, or the number of groups (channels)."""
    x = input
    plain = type(x) is ndarray and (x.dtype is F4 or x.dtype is F8)
    if plain and (weight is None or type(weight) is ndarray) and (bias is None or type(bias) is ndarray):
        plan = _planned(function, x, by, weight, bias)
        try:  # the usual way; kernels refuse arrays of another dtype, and those that ought to be contiguous and aligned
            if out is None and not plan.empty:
                y = empty(x.shape, x.dtype) if plan.large else memory.fresh(x.shape, x.dtype)
                run = plan.normalize if plan.direct else plan.fill
                return y, run(x, y, weight, bias, eps)
            if type(out) is ndarray and out.flags.carray and not plan.empty:
                y = output(function, out, x.shape, x.dtype, x, weight, bias)
                return y, plan.fill(x, y, weight, bias, eps)
        except (TypeError, OverflowError):
            pass
    required(function, input=input)
    x, weight, bias = _plain(function, input=input, weight=weight, bias=bias)
    eps = eps if eps is None else number(function, "eps", eps)
    plan = _planned(function, x, by, weight, bias)
    y = output(function, out, x.shape, x.dtype, x, weight, bias)
    target = y if y.flags.carray else empty(x.shape, x.dtype)
    statistics = plan.fill(x, target, weight, bias, eps)
    if target is not y:
        y[...] = target
    return y, statistics


def normalized_backward(function, dy, input, by, weight, eps, statistics, needs):
    """Return the gradients (dx, dweight, dbias) of `normalized`."""
    x, needs = input, needed(function, needs, 3)
    if not (
        type(x) is type(dy) is ndarray
        and dy.dtype is x.dtype
        and (weight is None or (type(weight) is ndarray and weight.dtype is x.dtype))
        and (x.dtype is F4 or x.dtype is F8)
    ):
        required(function, dy=dy, input=input)
        dy, x, weight = _plain(function, dy=dy, input=input, weight=weight)
    try:  # kernels refuse arrays that are not contiguous and aligned
        return _gradients(function, dy, x, by, weight, eps, statistics, needs)
    except (TypeError, OverflowError):
        dy, x, weight = _plain(function, dy=dy, input=x, weight=weight)
        eps = eps if eps is None else number(function, "eps", eps)
        return _gradients(function, dy, x, by, weight, eps, statistics, needs)


def _gradients(function, dy, x, by, weight, eps, statistics, needs):
    if dy.shape != x.shape:
        check_gradient(function, dy, x)
    plan = _planned(function, x, by, weight, None)
    dx = empty(x.shape, x.dtype) if plan.large else memory.fresh(x.shape, x.dtype)
    if statistics is None:
        statistics = plan.fill(x, dx, weight, None, eps)
    elif (
        type(statistics) is not ndarray
        or statistics.shape != plan.statistics
        or statistics.dtype is not x.dtype
        or not statistics.flags.carray
    ):
        statistics = two_statistics(function, statistics, plan.statistics[1:], plan.dtype)
    return plan.gradients(dy, x, statistics, weight, eps, dx, needs)


def two_statistics(function, statistics, shape, dtype):
    """Check `statistics`, and return means and variances of the given shape. TypeError unless there are two."""
    try:
        mean, variance = statistics
    except (TypeError, ValueError):
        what = getattr(statistics, "shape", None)
        what = type(statistics).__name__ if what is None else f"an array of shape {what}"
        raise TypeError(f"{function}: statistics must be means and variances, got {what}") from None
    given = ("the means in statistics", mean), ("the variances in statistics", variance)
    return tuple(operand(function, name, x, shape, dtype) for name, x in given)


def far(size, row):
    """Return 1 for streaming stores, if a result is large and its rows are whole cache lines, else 0."""
    return int(size >= FAR and row % ALIGNMENT == 0)


def _plain(function, **arrays):
    """Return the arrays contiguous, in their common dtype."""
    return [x if x is None else contiguous(x) for x in promote(function, **arrays)]


def check_gradient(function, dy, x):
    """Raise ValueError unless dy has the input's shape."""
    if dy.shape != x.shape:
        raise ValueError(f"{function}: dy has shape {dy.shape} but input has {x.shape}")


def _planned(function, x, by, weight, bias):
    if type(by) is not int:
        by = tuple(by) if isinstance(by, (tuple, list, ndarray)) else (by,)
        if {*map(type, by)} != {int}:  # as keys of plans, 2.0 and True are 2 and 1
            by = tuple(integer(function, "normalized_shape", n, 0) for n in by)
    w, b = None if weight is None else weight.shape, None if bias is None else bias.shape
    return _plans[function, x.shape, x.dtype, by, w, b, get_num_threads()]


def last_dimensions(function, shape, normalized_shape):
    """Return normalized_shape as a tuple. ValueError unless the shape ends in it."""
    count = len(normalized_shape) if isinstance(normalized_shape, tuple) else 1
    last = sizes(function, "normalized_shape", normalized_shape, count, 0)
    if not last or shape[-count:] != last:
        raise ValueError(f"{function}: input must end in normalized_shape {last}, got shape {shape}")
    return last


def groups_of(function, shape, groups):
    """Return the number of groups. ValueError unless it divides the channels."""
    if len(shape) < 2:
        raise ValueError(f"{function}: input must have at least 2 dimensions (B, C, ...), got shape {shape}")
    groups = integer(function, "num_groups", groups, 1)
    if shape[1] % groups:
        raise ValueError(f"{function}: num_groups={groups} does not divide the {shape[1]} channels of shape {shape}")
    return groups


class _Plan:
    """How arrays of one shape are cut into rows: `count` of `length` numbers.

    runs: how many parts of a row have a weight each; 0 where each column has one. columns: whether the kernel with a
    weight per column serves; direct: and arrays have two dimensions, weights one.
    """

    def __init__(self, function, shape, dtype, by, weight_shape, bias_shape, threads):
        if function.startswith(("layer", "rms")):
            self.weights = last_dimensions(function, shape, by)
            self.length, self.runs = prod(self.weights), 0
            self.count = prod(shape[: len(shape) - len(self.weights)])
            whole = f"normalized_shape {self.weights}"
        else:
            groups = by if function.startswith("instance") else groups_of(function, shape, by)
            self.weights = shape[1:2]
            self.length, self.runs = prod(shape[1:]) // max(groups, 1), shape[1] // max(groups, 1)
            self.count = shape[0] * groups
            whole = f"the shape {self.weights} of the channels (input {shape})"
            if groups == 1 and prod(shape[2:]) == 1:
                self.runs = 0
        for name, given in (("weight", weight_shape), ("bias", bias_shape)):
            if given is not None and given != self.weights:
                raise ValueError(f"{function}: {name} must have {whole}, got {given}")
        count, length = self.count, self.length
        self.dtype, self.matrix = dtype, (count, length)
        self.centred = not function.startswith("rms")
        self.eps = float(np.finfo(dtype).eps)
        self.number = tasks(count, -(-GRAIN // max(length, 1)))
        self.affine = weight_shape is not None or bias_shape is not None
        self.columns = not self.runs and (self.affine or length <= SHORT) and count * length > 0
        self.direct = self.columns and len(self.weights) == 1 and self.matrix == shape
        width = prod(self.weights) if self.affine or self.columns else 1
        self.ones, self.zeros = np.ones(width, dtype), np.zeros(width, dtype)
        size, self.width = count * length * dtype.itemsize, prod(self.weights)
        self.large, self.far = size >= SMALL, far(size, length * dtype.itemsize)
        self.far_rows = self.far if self.far or size < FAR else -1
        self.empty = size == 0
        self.statistics = 2, count
        self.block = max(-(-count // BLOCKS), -(-2 * GRAIN // max(length, 1)))
        self.blocks = -(-count // self.block)
        self.number_blocks = min(self.number, self.blocks)
        self.kernel = (cpu.norm__columns if self.columns else cpu.norm__runs)[dtype]

    def normalize(self, x, y, weight, bias, eps):
        """Normalise one matrix into another with a weight and a bias per column, and return the statistics."""
        statistics, eps = memory.fresh(self.statistics, self.dtype), self.eps if eps is None else eps
        weight, bias = self.ones if weight is None else weight, self.zeros if bias is None else bias
        self.kernel(x, weight, bias, y, statistics, eps, self.centred, self.far_rows, self.count, self.number)
        return statistics

    def fill(self, x, y, weight, bias, eps):
        """Normalise an array into a contiguous one, and return the statistics."""
        if self.empty:
            return zeros(self.statistics, self.dtype)
        weight = weight if weight is None or weight.ndim == 1 else weight.reshape(-1)
        bias = bias if bias is None or bias.ndim == 1 else bias.reshape(-1)
        if self.columns:
            return self.normalize(x.reshape(self.matrix), y.reshape(self.matrix), weight, bias, eps)
        weight, bias = self.ones if weight is None else weight, self.zeros if bias is None else bias
        eps = self.eps if eps is None else eps
        mean, variance = empty((self.count,), self.dtype), empty((self.count,), self.dtype)
        views, runs = (x.ravel(), weight, bias, y.ravel(), mean, variance), self.runs if self.affine else 1
        self.kernel(*views, self.length, eps, runs, self.centred, self.far, self.count, self.number)
        return mean, variance

    def gradients(self, dy, x, statistics, weight, eps, dx, needs):
        """Return (dx, dweight, dbias) of contiguous arrays, dx in the array given."""
        count, length, dtype = self.count, self.length, self.dtype
        if self.empty:
            sums = zeros(self.weights, dtype), zeros(self.weights, dtype)
            return dx, *(part if needed else None for part, needed in zip(sums, needs[1:], strict=True))
        eps = self.eps if eps is None else eps
        weighted = needs[1] or needs[2]
        if self.runs == 0 and (weight is not None or weighted):
            weight = np.ones(length, dtype) if weight is None else weight if weight.ndim == 1 else weight.reshape(-1)
            parts, statistics = self.blocks, np.stack(statistics) if type(statistics) is tuple else statistics
            dweight, dbias = memory.fresh((parts * length,), dtype), memory.fresh((parts * length,), dtype)
            if x.shape != self.matrix:  # also two dimensions that are one row
                dy, x, dx2 = dy.reshape(self.matrix), x.reshape(self.matrix), dx.reshape(self.matrix)
            else:
                dx2 = dx
            given = eps, self.block, self.centred, self.far_rows, self.blocks, self.number_blocks
            cpu.norm_backward__columns[dtype](dy, x, statistics, weight, dx2, dweight, dbias, *given)
        else:
            runs, share = max(self.runs, 1), 1 / length
            weight, parts = np.ones(1, dtype) if weight is None else weight, count * runs // self.width
            dweight, dbias = empty((count * runs,), dtype), empty((count * runs,), dtype)
            mean, variance = statistics
            views = dy.ravel(), x.ravel(), mean, variance, weight, dx.ravel(), dweight, dbias
            given = length, eps, runs, share * self.centred, share, self.far
            cpu.norm_backward__runs[dtype](*views, *given, count, self.number)
        if not weighted:
            return dx, None, None
        if parts > 1:
            dweight, dbias = _merged(dweight, self.width), _merged(dbias, self.width)
        if len(self.weights) > 1:
            dweight, dbias = dweight.reshape(self.weights), dbias.reshape(self.weights)
        return dx, dweight if needs[1] else None, dbias if needs[2] else None


_plans = Plans(_Plan)


def _merged(parts, length):
    """Return the sum of some parts of a length that lie one after the other."""
    sum = memory.fresh((length,), parts.dtype)
    cpu.norm_sums__merge[parts.dtype](parts, sum)
    return sum
