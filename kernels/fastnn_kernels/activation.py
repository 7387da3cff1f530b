"""Elementwise functions on arrays of any shape: an entry point and its gradient for each entry of `cpu.activation`.

All take float32 or float64 arrays of any strides (TypeError for others), and write to a new array, whose axes lie in
memory as the input's do, or to `out`, which must have the shape and dtype of the result and not overlap an input
(ValueError), or be the input itself: then the function works in place. Parameters are numbers (TypeError for others).

Errors in ulp are the largest over all 2^32 float32 arguments, and over millions of random float64 ones.
"""

from math import fabs

import numpy as np
from numpy import ndarray

from ._elementwise import SMALL, Elementwise
from ._memory import empty
from ._parallel import tasks
from ._shapes import F4, F8, as_float_array, check_out, contiguous, promote
from .cpu.activation import FUNCTIONS


def gelu(input, approximate="none", *, out=None):
    """Return x times the probability that a normal variable is below x (Hendrycks & Gimpel, 2016).

    approximate="tanh": x / (1 + e^-u) with u = 2 sqrt(2 / pi) (x + 0.044715 x^3), as in GPT-2. Others: ValueError.
    Relative accuracy holds in the left tail too, where 1 + erf would cancel; see `docs/activations.md`.
    """
    return _GELU[_approximation("gelu", approximate)](input, out=out)


def gelu_backward(dy, input, approximate="none", *, out=None):
    """Return dy times the slope of gelu at its input."""
    return _GELU_BACKWARD[_approximation("gelu_backward", approximate)](dy, input, out=out)


def _approximation(function, approximate):
    if approximate not in ("none", "tanh"):
        raise ValueError(f"{function}: approximate must be 'none' or 'tanh', got {approximate!r}")
    return approximate


def _forward(spec: Elementwise):
    """Make the entry point of a function."""
    accuracy = "Exact." if not any(spec.ulp) else f"At most {spec.ulp[0]} ulp in float32, {spec.ulp[1]} in float64."
    summary, _, rest = spec.doc.partition("\n\n")
    text = "\n\n".join(filter(None, (f"Return {summary}.", rest, accuracy)))
    return _entry(spec.name, spec, spec.forward_kernel, ("input",), text)


def _backward(spec: Elementwise):
    """Make the entry point of a function's gradient."""
    second = {"output": "y", "input": "input"}[spec.gradient_of]
    text = f"Return dy times the slope of {spec.name} at its {spec.gradient_of}{' y' * (second == 'y')}."
    return _entry(f"{spec.name}_backward", spec, spec.backward_kernel, ("dy", second), text)


def _entry(name, spec, kernel, arrays, text):
    """Make an entry point: the kernel's own way to be called, which sends back what is not a small plain array."""
    names, inputs = (*arrays, *spec.parameters), len(arrays)

    def any_kind(*given):
        return _general(name, kernel, spec.grain, dict(zip(arrays, given, strict=False)), names, *given[inputs:])

    def not_single(*given):
        if type(given[0]) is ndarray and given[0].dtype is F8:
            return kernel.flat(F8, inputs, SMALL, any_kind)(*given)
        return any_kind(*given)

    def first(*given):
        nonlocal single
        if type(given[0]) is ndarray and given[0].dtype is F4:
            single = kernel.flat(F4, inputs, SMALL, not_single)
            return single(*given)
        return not_single(*given)

    single = first

    def one(a, *, out=None):
        return single(a, out)

    def two(a, b, *, out=None):
        return single(a, b, out)

    def three(a, b, c, *, out=None):
        return single(a, b, c, out)

    def four(a, b, c, d, *, out=None):
        return single(a, b, c, d, out)

    entry = (one, two, three, four)[len(names) - 1]
    code = entry.__code__  # with its own names, Python checks the arguments: a third of the time of *args, **named
    entry.__code__ = code.replace(co_name=name, co_varnames=(*names, "out"))
    entry.__name__ = entry.__qualname__ = name
    entry.__defaults__ = tuple(usual for usual in spec.usual_parameters if usual is not None)
    entry.__doc__ = text
    return entry


def _general(name, kernel, grain, arrays, names, *rest):
    """Run a kernel over arrays of any kind, along memory if they are dense in some order."""
    *parameters, out = rest
    for parameter, value in zip(names[len(arrays) :], parameters, strict=True):
        try:
            fabs(value)
        except TypeError:
            raise TypeError(f"{name}: {parameter} must be a number, got {value!r}") from None
    views = promote(name, **{key: as_float_array(name, key, array) for key, array in arrays.items()})
    x, shape, dtype = views[-1], views[-1].shape, views[-1].dtype
    if views[0].shape != shape:
        raise ValueError(f"{name}: dy has shape {views[0].shape} but {names[1]} has {shape}")
    if out is not None:
        check_out(name, out, shape, dtype, *[array for array in arrays.values() if array is not out])
    plain = all(view.flags.c_contiguous for view in views)
    axes = None if plain else np.argsort([-abs(stride) for stride in x.strides], kind="stable")
    if axes is not None:
        views = [contiguous(view.transpose(axes)) for view in views]
    target = out if out is None or axes is None else out.transpose(axes)
    y = target if target is not None and target.flags.c_contiguous else empty(views[0].shape, dtype)
    n = y.size
    kernel[dtype](*[view.reshape(-1) for view in views], y.reshape(-1), *parameters, n, tasks(n, grain))
    if target is None:
        return y if axes is None else y.transpose(np.argsort(axes))
    if target is not y:
        target[...] = y
    return out


_entries = {}
for _spec in FUNCTIONS.values():
    _entries[_spec.name] = _forward(_spec)
    _entries[f"{_spec.name}_backward"] = _backward(_spec)
_GELU = {"none": _entries.pop("gelu"), "tanh": _entries.pop("gelu_tanh")}
_GELU_BACKWARD = {"none": _entries.pop("gelu_backward"), "tanh": _entries.pop("gelu_tanh_backward")}
globals().update(_entries)
__all__ = ["gelu", "gelu_backward", *_entries]  # noqa: PLE0604
