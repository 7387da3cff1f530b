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

from ._memory import SMALL, empty
from ._parallel import get_num_threads, tasks
from ._plans import planner
from ._shapes import F4, F8, as_float_array, check_out, contiguous, promote
from .cpu import norm as cpu
from .norm import BLOCKS, GRAIN, check_gradient, normalized, normalized_backward

PIECE = 32768  # numbers in a block of pixels, whose variance is taken while they are in the cache
WIDE = 128  # numbers that a row of pixels should have


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
    name = "batch_norm_backward"
    dy, x, weight = promote(name, dy=dy, input=input, weight=weight)
    check_gradient(name, dy, x)
    plan = _planned(name, x, weight, None)
    x, dy = plan.view(x), plan.view(dy)
    if statistics is None:
        if not training:
            statistics = _running(name, running_mean, running_var, plan)
        else:
            statistics = plan.statistics(x, eps)
    return plan.gradients(dy, x, statistics, weight, training, eps, needs)


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
    if not use_input_stats:
        given = running_mean, running_var, weight, False, eps
        return batch_norm_backward(dy, input, *given, statistics=statistics, needs=needs)
    channels = _channels("instance_norm_backward", np.shape(input))
    return normalized_backward("instance_norm", dy, input, channels, weight, eps, statistics, needs)


def batch_normalized(function, input, given, weight, bias, eps, out=None):
    """Return (the input normalised, its statistics); given: (running mean, running variance, training, momentum)."""
    mean, variance, training, momentum = given
    x = input
    if type(x) is not ndarray or not (
        (weight is None or (type(weight) is ndarray and weight.dtype is x.dtype))
        and (bias is None or (type(bias) is ndarray and bias.dtype is x.dtype))
        and (x.dtype is F4 or x.dtype is F8)
    ):
        x, weight, bias = promote(function, input=input, weight=weight, bias=bias)
    plan = _planned(function, x, weight, bias)
    memory, target = plan.view(x), plan.output(out, x, weight, bias)
    if not training:
        statistics = _running(function, mean, variance, plan)
        plan.apply(memory, statistics, weight, bias, eps, target)
    else:
        _check_batch(function, plan.each, x.shape)
        running = _following(function, mean, variance, plan.channels)
        statistics = plan.normalize(memory, weight, bias, eps, target)
        if x.size:
            _follow(running, statistics, plan.each, momentum)
    return plan.result(target, out), statistics


def instance_normalized(function, input, given, weight, bias, eps, out=None):
    """Return (the input normalised, its statistics); given: (running mean, running variance, use input, momentum)."""
    mean, variance, use_input, momentum = given
    if not use_input:
        return batch_normalized(function, input, (mean, variance, False, momentum), weight, bias, eps, out)
    shape = np.shape(input)
    channels = _channels(function, shape)
    each = prod(shape[2:])
    _check_batch(function, each, shape)
    running = _following(function, mean, variance, channels)
    y, statistics = normalized(function, input, channels, weight, bias, eps, out)
    if y.size:
        _follow(running, statistics.reshape(2, -1, channels).mean(1), each, momentum)
    return y, statistics


def _channels(function, shape):
    if len(shape) < 2:
        raise ValueError(f"{function}: input must have at least 2 dimensions (B, C, ...), got shape {shape}")
    return shape[1]


def _check_batch(function, each, shape):
    if each == 1:
        raise ValueError(f"{function}: training needs more than one value per channel, got input of shape {shape}")


def _following(function, mean, variance, channels):
    """Return the running statistics that are given, after a look whether they can be changed in place."""
    if mean is None and variance is None:
        return None, None
    given = {"running_mean": mean, "running_var": variance}
    for name, running in given.items():
        if running is None:
            continue
        if not isinstance(running, ndarray) or running.dtype.kind != "f":
            raise TypeError(f"{function}: {name} must be an array of floats, which training changes in place")
        if running.shape != (channels,):
            raise ValueError(f"{function}: {name} must have shape ({channels},), got {running.shape}")
        if not running.flags.writeable:
            raise ValueError(f"{function}: {name} is read-only, but training changes it")
    return mean, variance


def _follow(running, statistics, each, momentum):
    mean, variance = running
    if mean is not None:
        mean *= 1 - momentum
        mean += momentum * statistics[0]
    if variance is not None:
        variance *= 1 - momentum
        variance += momentum * each / (each - 1) * statistics[1]


def _running(function, mean, variance, plan):
    """Return the running statistics as an array (2, C)."""
    made = np.empty((2, plan.channels), plan.dtype)
    shape = made.shape[1:]
    if type(mean) is type(variance) is ndarray and mean.shape == variance.shape == shape:
        made[0] = mean
        made[1] = variance
        return made
    for i, (name, running) in enumerate((("running_mean", mean), ("running_var", variance))):
        if running is None:
            raise ValueError(f"{function}: {name} must be given where the batch's own statistics are not used")
        if type(running) is not ndarray:
            running = as_float_array(function, name, running)
        if running.shape != (plan.channels,):
            raise ValueError(f"{function}: {name} must have shape ({plan.channels},), got {running.shape}")
        made[i] = running
    return made


def _planned(function, x, weight, bias):
    pixels = False
    if not x.flags.c_contiguous and x.ndim > 2:
        pixels = x.transpose(0, *range(2, x.ndim), 1).flags.c_contiguous
    w, b = None if weight is None else weight.shape, None if bias is None else bias.shape
    return _Plan(function, x.shape, x.dtype, pixels, w, b, get_num_threads())


@planner
class _Plan:
    """What is known of arrays of one shape; `memory` is an array as it lies: (B, C, L), or by pixels (N, C)."""

    def __init__(self, function, shape, dtype, last, weight_shape, bias_shape, threads):
        self.function, self.shape, self.dtype = function, shape, dtype
        self.channels = c = _channels(function, shape)
        for name, given in (("weight", weight_shape), ("bias", bias_shape)):
            if given is not None and given != (c,):
                raise ValueError(
                    f"{function}: {name} must have one number for each of the {c} channels (input {shape}), "
                    f"got shape {given}"
                )
        length = prod(shape[2:])
        self.last = last  # the channels lie last
        self.pixels = last or length == 1
        self.each = shape[0] * length
        fold = 1
        while self.pixels and 0 < 2 * fold * c <= WIDE and self.each % (2 * fold) == 0 and self.each:
            fold *= 2
        self.rows, self.width = self.each // fold, fold * c
        self.memory = (self.rows, self.width) if self.pixels else (shape[0], c, length)
        self.axes, self.back = (0, *range(2, len(shape)), 1), (0, len(shape) - 1, *range(1, len(shape) - 1))
        self.lying = (shape[0], *shape[2:], c)
        self.large = self.each * c >= SMALL
        self.ones, self.zeros = np.ones(c, dtype), np.zeros(c, dtype)
        self.block = max(PIECE // max(self.width, 1), 32)
        self.blocks = -(-self.rows // self.block)
        self.tasks_rows = tasks(self.rows, -(-GRAIN // max(self.width, 1)))
        self.tasks_channels = tasks(c, -(-GRAIN // max(self.each, 1)))
        self.tasks_planes = tasks(shape[0] * c, -(-GRAIN // max(length, 1)))

    def view(self, x):
        """Return an array as it lies in memory, or a copy of it in that layout."""
        if self.last:
            x = x.transpose(self.axes)
        if not x.flags.c_contiguous:
            x = contiguous(x)
        return x if x.shape == self.memory else x.reshape(self.memory)

    def output(self, out, *inputs):
        """Return the memory that a result is written to: in `out`, if that lies so."""
        if out is not None:
            check_out(self.function, out, self.shape, self.dtype, *inputs)
            turned = out.transpose(self.axes) if self.last else out
            if turned.flags.c_contiguous:
                return turned.reshape(self.memory)
        return empty(self.memory, self.dtype) if self.large else np.empty(self.memory, self.dtype)

    def result(self, memory, out=None):
        """Return a result in its shape, or in `out`."""
        y = memory.reshape(self.lying).transpose(self.back) if self.last else memory.reshape(self.shape)
        if out is None:
            return y
        if not np.may_share_memory(out, memory):
            out[...] = y
        return out

    def statistics(self, x, eps):
        """Return means and variances (2, C) of the batch."""
        if not self.pixels:
            return self.normalize(x, None, None, eps, empty(self.memory, self.dtype))
        made = np.zeros((2, self.channels), self.dtype)
        if x.size:
            parts = empty((self.blocks, 2, self.width), self.dtype)
            number = min(self.tasks_rows, self.blocks)
            cpu.moments__pixels[self.dtype](x, parts, self.block, self.blocks, number)
            cpu.moments__merge[self.dtype](parts, made, self.block, self.rows)
        return made

    def normalize(self, x, weight, bias, eps, y):
        """Normalise a batch by its own statistics, and return these."""
        if self.pixels:
            made = self.statistics(x, eps)
            self.apply(x, made, weight, bias, eps, y)
            return made
        made = np.empty((2, self.channels), self.dtype) if x.size else np.zeros((2, self.channels), self.dtype)
        if x.size:
            weight, bias = self._weights(weight, bias)
            views = x, weight, bias, y, made
            cpu.norm__runs[self.dtype](*views, eps, 1, True, self.channels, self.tasks_channels)
        return made

    def apply(self, x, statistics, weight, bias, eps, y):
        """Normalise by given statistics."""
        if not x.size:
            return
        weight, bias = self._weights(weight, bias)
        if self.pixels:
            line = np.empty((3, self.width), self.dtype)
            cpu.norm_line__channels[self.dtype](statistics, weight, bias, line, eps)
            cpu.norm__pixels[self.dtype](x, line, y, self.rows, self.tasks_rows)
        else:
            count = self.shape[0] * self.channels
            cpu.norm__given[self.dtype](x, statistics, weight, bias, y, eps, count, self.tasks_planes)

    def gradients(self, dy, x, statistics, weight, training, eps, needs):
        """Return (dx, dweight, dbias)."""
        dtype, c, share = self.dtype, self.channels, training / max(self.each, 1)
        dx = empty(self.memory, dtype)
        sums = np.zeros((2, c), dtype)
        weight = self.ones if weight is None else contiguous(weight)
        if not x.size:
            pass
        elif not self.pixels:
            views = dy, x, statistics, weight, dx, sums
            cpu.norm_backward__runs[dtype](*views, eps, 1, share, share, c, self.tasks_channels)
        else:
            block = max(self.block, -(-self.rows // BLOCKS))
            blocks = -(-self.rows // block)
            parts, line = empty((2, blocks, self.width), dtype), np.empty((4, self.width), dtype)
            cpu.norm_line__channels[dtype](statistics, weight, weight, line[:3], eps)
            views, number = (dy, x, line[:3], parts), min(self.tasks_rows, blocks)
            cpu.norm_backward_sums__pixels[dtype](*views, block, blocks, number)
            cpu.norm_backward_line__channels[dtype](parts, statistics, weight, sums, line, eps, share)
            cpu.norm_backward__pixels[dtype](dy, x, line, dx, self.rows, self.tasks_rows)
        return self.result(dx), sums[0] if needs[1] else None, sums[1] if needs[2] else None

    def _weights(self, weight, bias):
        weight = self.ones if weight is None else contiguous(weight)
        return weight, self.zeros if bias is None else contiguous(bias)
