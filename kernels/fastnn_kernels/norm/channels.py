"""Normalisation of channels with running statistics: over a batch, or of each image alone.

Arrays are (B, C, ...), float32 or float64 (TypeError for others), of any strides; what lies in memory by pixels
("channels last") is normalised as such. Results have the arrays' common dtype. Running statistics are arrays (C,) that
training changes in place, by the momentum: r = (1 - momentum) r + momentum new. Variances normalise as those of the
population (divided by n) and run as those of a sample (by n - 1), as in PyTorch. See `norm` on accuracy and gradients.
"""

from __future__ import annotations

from math import prod

import numpy as np
from numpy import ndarray

from .. import reduction
from ..cpu.norm import channels_last as by_pixels
from ..cpu.norm import rows as cpu
from ..ground import memory
from ..ground.checks import (
    F4,
    F8,
    as_float_array,
    check_out,
    check_writable,
    flag,
    needed,
    number,
    operand,
    overlap,
    promote,
    required,
)
from ..ground.memory import FAR, empty
from ..ground.plans import Plans, ghost
from ..ground.threads import get_num_threads, tasks
from .norm import BLOCKS, GRAIN, check_gradient, far, normalized, normalized_backward, two_statistics

PIECE = 32768  # numbers in a block of pixels, whose variance is taken while they are in the cache
WIDE, WIDER = 128, 1024  # numbers that a row of pixels should have, near and far


def batch_norm(
    input,
    running_mean,
    running_var,
    weight=None,
    bias=None,
    training=False,
    momentum=0.1,
    eps=1e-5,
    *,
    out=None,
):
    """Return (x - mean) / sqrt(variance + eps) weight + bias per channel (Ioffe & Szegedy, 2015).

    input (B, C, ...) -> the same; weight, bias, running_mean, running_var (C,). In training, mean and variance are
    those of the batch, and change the running ones, if given, in place; else they are the running ones.

    Raises ValueError for another number of channels, for one value per channel in training, and where there are no
    running statistics to use.
    """
    given = running_mean, running_var, training, momentum
    return batch_normalized("batch_norm", input, given, weight, bias, eps, out)[0]


def batch_norm_backward(
    dy,
    input,
    running_mean=None,
    running_var=None,
    weight=None,
    training=False,
    eps=1e-5,
    *,
    statistics=None,
    needs=(True, True, True),
):
    """Return the gradients (dx, dweight, dbias) of batch_norm; without training, mean and variance are constants."""
    name, x = "batch_norm_backward", input
    needs, training = needed(name, needs, 3), flag(name, "training", training)
    if not (
        type(x) is type(dy) is ndarray
        and dy.dtype is x.dtype
        and (weight is None or (type(weight) is ndarray and weight.dtype is x.dtype))
        and (x.dtype is F4 or x.dtype is F8)
    ):
        required(name, dy=dy, input=x)
        dy, x, weight = promote(name, dy=dy, input=x, weight=weight)
    if dy.shape != x.shape:
        check_gradient(name, dy, x)
    if type(eps) is not float:
        eps = number(name, "eps", eps)
    plan = _planned(name, x, weight, None)
    flat, dy = (x.ravel(), dy.ravel()) if plan.plain and dy.flags.c_contiguous else (plan.view(x), plan.view(dy))
    if not (flat.flags.aligned and dy.flags.aligned):
        flat, dy = flat.copy(), dy.copy()
    if weight is not None and not (weight.flags.c_contiguous and weight.flags.aligned):
        weight = weight.copy()
    if statistics is not None:
        statistics = two_statistics(name, statistics, plan.weights, plan.dtype)
    else:
        if training:
            statistics = plan.normalize(flat, plan.ones, plan.zeros, eps, plan.make()[1])
        else:
            statistics = _copied(name, running_mean, running_var, plan.weights, plan.dtype)
    return plan.gradients(dy, flat, *statistics, weight, training, eps, needs)


def instance_norm(
    input,
    running_mean=None,
    running_var=None,
    weight=None,
    bias=None,
    use_input_stats=True,
    momentum=0.1,
    eps=1e-5,
    *,
    out=None,
):
    """Return (x - mean) / sqrt(variance + eps) weight + bias per channel of each image (Ulyanov et al., 2016).

    input (B, C, ...) -> the same; weight, bias, running_mean, running_var (C,). Running statistics follow
    the mean of those of the images; without use_input_stats they are used. Raises as `batch_norm` does.
    """
    given = running_mean, running_var, use_input_stats, momentum
    return instance_normalized("instance_norm", input, given, weight, bias, eps, out)[0]


def instance_norm_backward(
    dy,
    input,
    running_mean=None,
    running_var=None,
    weight=None,
    use_input_stats=True,
    eps=1e-5,
    *,
    statistics=None,
    needs=(True, True, True),
):
    """Return the gradients (dx, dweight, dbias) of instance_norm."""
    required("instance_norm_backward", dy=dy, input=input)
    if not flag("instance_norm_backward", "use_input_stats", use_input_stats):
        given = running_mean, running_var, weight, False, eps
        return batch_norm_backward(dy, input, *given, statistics=statistics, needs=needs)
    channels = _channels("instance_norm_backward", as_float_array("instance_norm_backward", "input", input).shape)
    return normalized_backward("instance_norm_backward", dy, input, channels, weight, eps, statistics, needs)


def batch_normalized(function, input, given, weight, bias, eps, out=None):
    """Return (the input normalised, its statistics); given: (running mean, running variance, training, momentum)."""
    x = input
    if (
        type(x) is ndarray
        and type(given[2]) is bool
        and (weight is None or (type(weight) is ndarray and weight.dtype is x.dtype))
        and (bias is None or (type(bias) is ndarray and bias.dtype is x.dtype))
        and (x.dtype is F4 or x.dtype is F8)
    ):
        try:  # the usual way; kernels refuse arrays that are not contiguous and aligned
            return _batch_normalized(function, x, given, weight, bias, eps, out)
        except (TypeError, OverflowError):
            pass
    mean, variance, training, momentum = given
    training = flag(function, "training", training)
    required(function, input=input)
    x, weight, bias = promote(function, input=input, weight=weight, bias=bias)
    weight, bias = (w if w is None else operand(function, "", w, w.shape) for w in (weight, bias))
    eps, momentum = number(function, "eps", eps), None if momentum is None else number(function, "momentum", momentum)
    if not training:
        mean, variance = _copied(function, mean, variance, (_channels(function, x.shape),), x.dtype)
    return _batch_normalized(function, x, (mean, variance, training, momentum), weight, bias, eps, out)


def _batch_normalized(function, x, given, weight, bias, eps, out):
    mean, variance, training, momentum = given
    plan = _planned(function, x, weight, bias)
    weight, bias = plan.ones if weight is None else weight, plan.zeros if bias is None else bias
    flat = x.ravel() if plan.plain else plan.view(x)
    y, target = plan.make() if out is None else plan.target(out, x, weight, bias)
    if not training:
        statistics = mean, variance = _running(function, mean, variance, plan)
        if not plan.empty:
            plan.kernel(flat, mean, variance, weight, bias, target, eps, *plan.given)
    else:
        if plan.each == 1:
            _check_batch(function, plan.each, x.shape)
        running = None
        if mean is not None or variance is not None:
            running = _following(function, mean, variance, plan.channels, plan.dtype, momentum, out)
        statistics = plan.normalize(flat, weight, bias, eps, target)
        if running is not None and x.size:
            _follow(*running, *statistics, plan.each, momentum)
    if out is None or y is out:
        return y, statistics
    out[...] = y
    return out, statistics


def instance_normalized(function, input, given, weight, bias, eps, out=None):
    """Return (the input normalised, its statistics); given: (running mean, running variance, use input, momentum)."""
    mean, variance, use_input, momentum = given
    if type(input) is not ndarray:
        input = as_float_array(function, "input", input)
    if not flag(function, "use_input_stats", use_input):
        return batch_normalized(function, input, (mean, variance, False, momentum), weight, bias, eps, out)
    shape = input.shape
    channels = _channels(function, shape)
    each = prod(shape[2:])
    _check_batch(function, each, shape)
    running = _following(function, mean, variance, channels, input.dtype, momentum, out)
    y, statistics = normalized(function, input, channels, weight, bias, eps, out)
    if y.size:
        mean, variance = (reduction.mean(part.reshape(-1, channels), 0) for part in statistics)
        _follow(*running, mean, variance, each, momentum)
    return y, statistics


def _channels(function, shape):
    if len(shape) < 2:
        raise ValueError(f"{function}: input must have at least 2 dimensions (B, C, ...), got shape {shape}")
    return shape[1]


def _check_batch(function, each, shape):
    if each == 1:
        raise ValueError(f"{function}: training needs more than one value per channel, got input of shape {shape}")


def _following(function, mean, variance, channels, dtype, momentum, out):
    """Check that running statistics can be updated in place, and return them.

    They are written last, after everything else was read, so only overlap with each other and with `out` is an error.
    """
    if mean is None and variance is None:
        return None, None
    if type(momentum) is not float:
        number(function, "momentum", momentum)
    if type(mean) is type(variance) is ndarray and out is None and mean.dtype is variance.dtype is dtype:
        if mean.shape == variance.shape == (channels,) and mean.flags.carray and variance.flags.carray:
            if not np.may_share_memory(mean, variance):
                return mean, variance  # the usual case
    for name, running, others in (("running_mean", mean, (out,)), ("running_var", variance, (out, mean))):
        if running is None:
            continue
        if not isinstance(running, ndarray) or running.dtype.kind != "f":
            raise TypeError(f"{function}: {name} must be an array of floats, which training changes in place")
        if not running.flags.writeable:
            raise ValueError(f"{function}: {name} is read-only, but training changes it")
        check_writable(function, name, running)
        if running.shape != (channels,):
            raise ValueError(f"{function}: {name} must have shape ({channels},), got {running.shape}")
        if any(other is not None and overlap(running, other) for other in others):
            raise ValueError(f"{function}: {name} overlaps " + ("out" if len(others) == 1 else "out or running_mean"))
    return mean, variance


def _follow(running_mean, running_variance, mean, variance, each, momentum):
    unbiased = each / (each - 1)
    if type(running_mean) is type(running_variance) is ndarray:
        if running_mean.dtype is running_variance.dtype is mean.dtype:
            if running_mean.flags.carray and running_variance.flags.carray:
                views = mean, variance, running_mean, running_variance
                cpu.norm_statistics__follow[mean.dtype](*views, momentum, unbiased)
                return
    if running_mean is not None:
        running_mean += momentum * (mean - running_mean)
    if running_variance is not None:
        running_variance += momentum * (unbiased * variance - running_variance)


def _running(function, mean, variance, plan):
    """Return the running statistics as arrays (C,) of the input's dtype."""
    shape, dtype = plan.weights, plan.dtype
    if type(mean) is type(variance) is ndarray and mean.shape == variance.shape == shape:
        if mean.dtype is variance.dtype is dtype:
            return mean, variance
    return _copied(function, mean, variance, shape, dtype)


def _copied(function, mean, variance, shape, dtype):
    """Return running statistics of any layout as plain arrays."""
    made = []
    for name, running in (("running_mean", mean), ("running_var", variance)):
        if running is None:
            raise ValueError(f"{function}: {name} must be given where the batch's own statistics are not used")
        running = operand(function, name, running, shape, dtype)
        made.append(running if running.flags.writeable else running.copy())  # one kernel serves training, too
    return made


def _planned(function, x, weight, bias):
    w, b = None if weight is None else weight.shape, None if bias is None else bias.shape
    return _plans[function, x.shape, x.strides, x.dtype, w, b, get_num_threads()]


class _Plan:
    """What is known of arrays that lie in one way; kernels see them flat, as (B, C, L) or by pixels as (N, C)."""

    def __init__(self, function, shape, strides, dtype, weight_shape, bias_shape, threads):
        self.function, self.shape, self.dtype = function, shape, dtype
        self.channels = c = _channels(function, shape)
        for name, given in (("weight", weight_shape), ("bias", bias_shape)):
            if given is not None and given != (c,):
                raise ValueError(
                    f"{function}: {name} must have one number for each of the {c} channels (input {shape}), "
                    f"got shape {given}"
                )
        self.length = length = prod(shape[2:])
        self.axes, self.back = (0, *range(2, len(shape)), 1), (0, len(shape) - 1, *range(1, len(shape) - 1))
        lying = ghost(shape, dtype, strides)
        self.plain = lying.flags.c_contiguous
        self.last = not self.plain and len(shape) > 2 and lying.transpose(self.axes).flags.c_contiguous
        self.lying = (shape[0], *shape[2:], c) if self.last else shape
        self.pixels = self.last or length == 1
        self.each = shape[0] * length
        size, fold = self.each * c * dtype.itemsize, 1
        wide = WIDE if size < FAR else WIDER
        while self.pixels and 0 < 2 * fold * c <= wide and self.each % (2 * fold) == 0 and self.each:
            fold *= 2
        self.rows, self.width = self.each // fold, fold * c
        width = max(self.width, 1)
        self.empty = size == 0
        self.far = far(size, dtype.itemsize * (self.width if self.pixels else length))
        self.weights, self.ones, self.zeros = (c,), np.ones(c, dtype), np.zeros(c, dtype)
        self.piece = max(PIECE // width, 32)
        self.block = max(self.piece, -(-self.rows // BLOCKS))
        self.blocks = -(-self.rows // self.block)
        self.tasks_rows = tasks(self.rows, -(-GRAIN // width))
        self.tasks_channels = tasks(c, -(-GRAIN // max(self.each, 1)))
        if self.pixels:
            given = np.empty((0, 4, self.width), dtype), self.block, self.far, self.rows, self.tasks_rows
            self.kernel, self.given = by_pixels.norm__pixels[dtype], given
        else:
            planes = shape[0] * c
            given = length, self.far, planes, tasks(planes, -(-GRAIN // max(length, 1)))
            self.kernel, self.given = cpu.norm__given[dtype], given

    def view(self, x):
        """Return the numbers of an array flat and in the order of this plan, in place where they lie so."""
        if self.last:
            x = x.transpose(self.axes)
        return x.ravel()

    def make(self):
        """Return an array for a result, which lies as the input does, if that is dense, and the same flat."""
        lying = empty(self.lying, self.dtype)
        return lying.transpose(self.back) if self.last else lying, lying.ravel()

    def target(self, out, *inputs):
        """Return `out`, or another array if the result cannot be written to it in order, and the same flat."""
        check_out(self.function, out, self.shape, self.dtype, *inputs)
        turned = out.transpose(self.axes) if self.last else out
        return (out, turned.ravel()) if turned.flags.carray else self.make()

    def normalize(self, x, weight, bias, eps, y):
        """Normalise a batch by its own statistics, and return these."""
        mean, variance = memory.fresh(self.weights, self.dtype), memory.fresh(self.weights, self.dtype)
        if self.empty:
            mean[...], variance[...] = 0, 0
        elif self.pixels:
            parts = empty((self.blocks, 4, self.width), self.dtype)
            given, number = (self.block, self.piece, self.far), min(self.tasks_rows, self.blocks)
            by_pixels.moments__pixels[self.dtype](x, parts, *given, self.blocks, number)
            given = parts, self.block, self.far, self.rows, self.tasks_rows
            self.kernel(x, mean, variance, weight, bias, y, eps, *given)
        else:
            given = self.length, eps, 1, True, self.far, self.channels, self.tasks_channels
            cpu.norm__runs[self.dtype](x, weight, bias, y, mean, variance, *given)
        return mean, variance

    def gradients(self, dy, x, mean, variance, weight, training, eps, needs):
        """Return (dx, dweight, dbias)."""
        dtype, share = self.dtype, training / max(self.each, 1)
        (dx, flat), dweight, dbias = self.make(), memory.fresh(self.weights, dtype), memory.fresh(self.weights, dtype)
        weight = self.ones if weight is None else weight
        if self.empty:
            dweight[...], dbias[...] = 0, 0
        elif not self.pixels:
            views, given = (mean, variance, weight, flat, dweight, dbias), (eps, 1, share, share, self.far)
            number = self.tasks_channels
            cpu.norm_backward__runs[dtype](dy, x, *views, self.length, *given, self.channels, number)
        else:
            parts = empty((2, self.blocks, self.width), dtype)
            given, number = (self.block, self.far, self.blocks), min(self.tasks_rows, self.blocks)
            by_pixels.norm_backward_sums__pixels[dtype](dy, x, mean, parts, *given, number)
            views, given = (mean, variance, weight, parts, flat, dweight, dbias), (eps, share, self.far)
            by_pixels.norm_backward__pixels[dtype](dy, x, *views, *given, self.rows, self.tasks_rows)
        return dx, dweight if needs[1] else None, dbias if needs[2] else None


_plans = Plans(_Plan)
