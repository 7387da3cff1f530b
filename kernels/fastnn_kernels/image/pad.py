"""Padding and cropping: by a constant, by reflection, by the nearest value, or around the corner."""

from math import prod

import numpy as np
from numpy import ndarray

from ..cpu.image import pad as cpu
from ..ground.checks import INT_LIMIT, as_float_array, check_out, choice, integer, integers, number, output
from ..ground.memory import empty
from ..ground.plans import ghost, planned, planner
from ..ground.threads import tasks

GRAIN = 32768  # numbers written by a task, at least
MODES = "constant", "reflect", "replicate", "circular"


def pad(input, pad, mode="constant", value=0.0, *, out=None):
    """Return an array with more, or fewer, elements around it.

    input (any shape, float32 or float64) -> each axis longer by its two numbers, same dtype. pad: how many elements to
    put before and after the last axis, then the axis before that, ...: (left, right, top, bottom) for images; negative
    numbers cut off. mode: "constant" puts `value`; "reflect" mirrors without repeating the edge (pads must be smaller
    than their axis); "replicate" repeats the edge; "circular" goes on at the other end (pads up to the axis's length).
    Values are exact. An input that lies in memory in another order (images by pixels) gives a result in that order.
    Raises ValueError if the pads do not fit the shape or the mode is unknown, TypeError for integer input.
    """
    x, value = as_float_array("pad", "input", input), number("pad", "value", value)
    return planned(_forward, x.shape, x.strides, x.dtype, mode, *_listed("pad", pad))(x, value, out)


@planner
def _forward(shape, strides, dtype, mode, *pad):
    """Return run(x, value, out) for arrays that lie so."""
    pads, made = _geometry("pad", shape, _numbers("pad", pad), mode)
    x = ghost(shape, dtype, strides)
    order = _memory_order(x)
    back, gaps = tuple(np.argsort(order)), not x.transpose(order).flags.c_contiguous
    passes = _passes(x.transpose(order).shape, [pads[axis] for axis in order], mode, dtype)

    def run(x, value, out):
        if out is not None:
            check_out("pad", out, made, dtype, x)
        memory = x.transpose(order)
        memory = _copy(memory) if gaps or not passes else memory
        for step in passes:
            memory = step(memory, value)
        y = memory.transpose(back)
        if out is None:
            return y
        out[...] = y
        return out

    return run


def _passes(shape, pads, mode, dtype):
    """Return the steps (x, value) -> y that pad a contiguous array, two neighbouring axes at a time."""
    found = []
    for axis in _axes(pads):
        padded = _padded(shape, axis, pads, 1)
        found.append(_pass(shape, padded, axis, pads, mode, dtype))
        shape = padded
    return found


def _pass(shape, padded, axis, pads, mode, dtype):
    if not output("pad", None, padded, dtype).size:  # which says what does not fit into memory before tables fill it
        return lambda x, value: output("pad", None, padded, dtype)
    tables, kernel = _tables(shape, axis, pads, mode), cpu.pad__runs[dtype]
    source, target = _view(shape, axis), _view(padded, axis)

    def step(x, value):
        y = output("pad", None, padded, dtype)
        rows = target[0] * target[1]
        kernel(x.reshape(source), *tables, value, y.reshape(target), rows, tasks(y.size, GRAIN))
        return y

    return step


def pad_backward(dy, input_shape, pad, mode="constant"):
    """Return the gradient of pad's input from that of its output; the other arguments are as in the forward.

    dy (the shape of pad's result) -> input_shape, in the memory order of dy. What was copied several times collects
    the sum of its gradients. Raises ValueError unless the shapes fit together.
    """
    name = "pad_backward"
    dy = as_float_array(name, "dy", dy)
    return planned(_backward, dy.shape, dy.strides, dy.dtype, mode, input_shape, *_listed(name, pad))(dy)


@planner
def _backward(shape, strides, dtype, mode, *options):
    """Return run(dy) for gradients that lie so."""
    name, (input_shape, *pad) = "pad_backward", options
    input_shape = integers(name, "input_shape", input_shape, 0)
    pads, expected = _geometry(name, input_shape, _numbers(name, pad), mode)
    if shape != expected:
        raise ValueError(f"{name}: dy has shape {shape}, an input {input_shape} gives {expected}")
    dy = ghost(shape, dtype, strides)
    order = _memory_order(dy)
    back, gaps = tuple(np.argsort(order)), not dy.transpose(order).flags.c_contiguous
    turned = [pads[axis] for axis in order]
    if mode == "constant":  # what was put around goes, what was cut off had no influence
        passes = _passes(dy.transpose(order).shape, [(-before, -after) for before, after in turned], mode, dtype)
    else:
        passes, here = [], dy.transpose(order).shape
        for axis in reversed(_axes(turned)):
            cut = _padded(here, axis, turned, -1)
            passes.append(_pass_back(here, cut, axis, turned, mode, dtype))
            here = cut

    def run(dy):
        memory = dy.transpose(order)
        memory = _copy(memory) if gaps or not passes else memory
        for step in passes:
            memory = step(memory, 0.0)
        return memory.transpose(back)

    return run


def _copy(x):
    """Return a contiguous copy."""
    y = empty(x.shape, x.dtype)
    y[...] = x
    return y


def _memory_order(x: ndarray) -> tuple[int, ...]:
    """Return the axes as they lie in memory, outermost first: channels last if that makes `x` contiguous."""
    if x.ndim > 2 and not x.flags.c_contiguous:
        last = (0, *range(2, x.ndim), 1)
        if x.transpose(last).flags.c_contiguous:
            return last
    return tuple(range(x.ndim))


def _axes(pads) -> list[int]:
    """Return the lower of each two neighbouring axes that one pass pads, from the last on."""
    found = []
    axis = len(pads) - 1
    while axis >= 0:
        if pads[axis] != (0, 0):
            found.append(axis)
            axis -= 1
        axis -= 1
    return found


def _view(shape, axis):
    """Return a shape as (P, H, W * S): `axis` is W, the one before it H."""
    high = shape[axis - 1] if axis else 1
    return prod(shape[: max(axis - 1, 0)]), high, prod(shape[axis:])


def _tables(shape, axis, pads, mode):
    """Return where the rows and the columns of a padded array come from, and which columns stay side by side."""
    rows, _ = _table(shape[axis - 1], *pads[axis - 1], mode) if axis else _table(1, 0, 0, mode)
    columns, run = _table(shape[axis], *pads[axis], mode)
    return rows, columns, np.array([*run, prod(shape[axis + 1 :])], np.int64)


def _padded(shape, axis, pads, sign):
    return tuple(
        n + sign * sum(p) if axis - 1 <= a <= axis else n for a, (n, p) in enumerate(zip(shape, pads, strict=True))
    )


def _pass_back(shape, cut, axis, pads, mode, dtype):
    """Return the step that adds up what a pass copied."""
    if not prod(cut):
        return lambda dy, _: empty(cut, dtype)
    tables, kernel = _tables(cut, axis, pads, mode), cpu.pad_backward__runs[dtype]
    source, target = _view(shape, axis), _view(cut, axis)

    def step(dy, _):
        dx = empty(cut, dtype)
        kernel(dy.reshape(source), *tables, dx.reshape(target), target[0], tasks(dy.size, GRAIN))
        return dx

    return step


def _table(length, before, after, mode):
    """Return (the source of every place of a padded axis, -1 for the constant; first, last, source of those that stay).

    Circular padding goes around what cropping leaves, as in PyTorch.
    """
    place = np.arange(length + before + after) - before
    inside = (place >= 0) & (place < length)
    first, start = max(before, 0), max(-before, 0)
    run = first, first + int(inside.sum()), start
    if mode == "constant":
        place[~inside] = -1
    elif mode == "reflect":
        place = np.where(place < 0, -place, np.where(place < length, place, 2 * (length - 1) - place))
    elif mode == "replicate":
        place = place.clip(0, length - 1)
    else:
        place = (place - start) % (length + min(before, 0) + min(after, 0)) + start
    return place.astype(np.int64), run


def _listed(function, pad):
    if isinstance(pad, ndarray | list | tuple):
        return pad
    raise TypeError(f"{function}: pad must be a sequence of integers, got {pad!r}")


def _numbers(function, pad):
    return tuple(integer(function, "pad", n, -INT_LIMIT) for n in pad)


def _geometry(function, shape, numbers, mode):
    """Return (before, after) for every axis, and the shape of the result."""
    choice(function, "mode", mode, MODES)
    if len(numbers) % 2 or len(numbers) > 2 * len(shape):
        raise ValueError(f"{function}: pad must be one pair per axis of shape {shape} at most, got {numbers}")
    given = [(numbers[i], numbers[i + 1]) for i in range(0, len(numbers), 2)]
    pads = [(0, 0)] * (len(shape) - len(given)) + given[::-1]
    for n, (before, after) in zip(shape, pads, strict=True):
        kept, widest = n + min(before, 0) + min(after, 0), max(before, after)
        if n + before + after < 0 or kept < 0:
            raise ValueError(f"{function}: pad {numbers} cuts more than there is off shape {shape}")
        most = {"reflect": n - 1, "circular": kept}.get(mode, INT_LIMIT if n or mode == "constant" else 0)
        if widest > max(most, 0):
            raise ValueError(f"{function}: pad {numbers} is too wide for mode {mode!r} and shape {shape}")
    return tuple(pads), tuple(n + sum(p) for n, p in zip(shape, pads, strict=True))
