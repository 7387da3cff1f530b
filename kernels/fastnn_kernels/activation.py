"""Elementwise functions on arrays of any shape: an entry point and its gradient for each entry of `cpu.activation`.

All take float32 or float64 arrays of any strides (TypeError for others), and write to a new array, whose axes lie in
memory as the input's do, or to `out`, which must have the shape and dtype of the result and not overlap an input
(ValueError), or be the input itself: then the function works in place. Parameters are numbers (TypeError for others).

Errors in ulp are the largest over all 2^32 float32 arguments, and over millions of random float64 ones.
"""

from inspect import Parameter, Signature

import numpy as np
from numpy import empty_like, may_share_memory, ndarray

from ._elementwise import Elementwise
from ._memory import SMALL, empty
from ._parallel import tasks
from ._shapes import as_float_array, check_out, contiguous, promote
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
    name, grain, kernel, count = spec.name, spec.grain, spec.forward_kernel, len(spec.parameters)

    def entry(input, *parameters, out=None, **named):
        if named or len(parameters) != count:
            parameters = _arguments(name, spec, parameters, named)
        x = input
        if type(x) is ndarray and x.flags.c_contiguous and (out is None or _fits(out, x)):
            run = kernel.get(x.dtype)
            if run is not None:
                n = x.size
                y = out if out is not None else empty_like(x) if n < SMALL else empty(x.shape, x.dtype)
                number = 1 if n < 2 * grain else tasks(n, grain)
                if x.ndim == 1:
                    run(x, y, *parameters, n, number)
                else:
                    run(x.ravel(), y.ravel(), *parameters, n, number)
                return y
        return _general(name, spec, kernel, parameters, out, as_float_array(name, "input", x))

    def entry_without_parameters(input, *, out=None):  # the same, 0.2 us faster
        x = input
        if type(x) is ndarray and x.ndim == 1 and out is None and x.flags.c_contiguous:
            run = kernel.get(x.dtype)
            if run is not None:
                n = x.size
                y = empty_like(x) if n < SMALL else empty(x.shape, x.dtype)
                run(x, y, n, 1 if n < 2 * grain else tasks(n, grain))
                return y
        return entry(x, out=out)

    accuracy = "Exact." if not any(spec.ulp) else f"At most {spec.ulp[0]} ulp in float32, {spec.ulp[1]} in float64."
    summary, _, rest = spec.doc.partition("\n\n")
    text = "\n\n".join(filter(None, (f"Return {summary}.", rest, accuracy)))
    return _dressed(entry if count else entry_without_parameters, name, spec, ["input"], text)


def _backward(spec: Elementwise):
    """Make the entry point of a function's gradient."""
    name, grain, kernel, count = f"{spec.name}_backward", spec.grain, spec.backward_kernel, len(spec.parameters)
    second = {"output": "y", "input": "input"}[spec.gradient_of]

    def entry(dy, at=None, *parameters, out=None, **named):
        if named or len(parameters) != count:
            at = named.pop(second, at)
            parameters = _arguments(name, spec, parameters, named)
        if type(dy) is type(at) is ndarray and dy.dtype is at.dtype and dy.shape == at.shape:
            run = kernel.get(dy.dtype)
            flat = dy.flags.c_contiguous and at.flags.c_contiguous
            if run is not None and flat and (out is None or (_fits(out, dy) and _fits(out, at))):
                n = dy.size
                dx = out if out is not None else empty_like(dy) if n < SMALL else empty(dy.shape, dy.dtype)
                number = 1 if n < 2 * grain else tasks(n, grain)
                if dy.ndim == 1:
                    run(dy, at, dx, *parameters, n, number)
                else:
                    run(dy.ravel(), at.ravel(), dx.ravel(), *parameters, n, number)
                return dx
        dy, at = promote(name, **{"dy": dy, second: at})
        if dy.shape != at.shape:
            raise ValueError(f"{name}: dy has shape {dy.shape} but {second} has {at.shape}")
        return _general(name, spec, kernel, parameters, out, dy, at)

    text = f"Return dy times the slope of {spec.name} at its {spec.gradient_of}{' y' * (second == 'y')}."
    return _dressed(entry, name, spec, ["dy", second], text)


def _dressed(entry, name, spec, arrays, text):
    """Give an entry point the name, signature and docstring that people see."""
    entry.__name__ = entry.__qualname__ = name
    entry.__doc__ = text
    known = [Parameter(array, Parameter.POSITIONAL_OR_KEYWORD) for array in arrays]
    for parameter, usual in spec.parameters.items():
        default = Parameter.empty if usual is None else usual
        known.append(Parameter(parameter, Parameter.POSITIONAL_OR_KEYWORD, default=default))
    entry.__signature__ = Signature([*known, Parameter("out", Parameter.KEYWORD_ONLY, default=None)])
    return entry


def _arguments(function, spec, given, named):
    """Return the values of all parameters from those given by position and by name. TypeError as Python's own."""
    if not given and not named and None not in spec.usual_parameters:
        return spec.usual_parameters
    if len(given) > len(spec.parameters):
        raise TypeError(f"{function}: takes {len(spec.parameters)} parameters, got {len(given)}")
    values = dict(zip(spec.parameters, given))  # noqa: B905  (later ones are named or have their usual values)
    for name, value in named.items():
        if name not in spec.parameters:
            raise TypeError(f"{function}: got an unexpected keyword argument {name!r}")
        if name in values:
            raise TypeError(f"{function}: got multiple values for argument {name!r}")
        values[name] = value
    made = [values.get(name, usual) for name, usual in spec.parameters.items()]
    if None in made:
        missing = [name for name, value in zip(spec.parameters, made, strict=True) if value is None]
        raise TypeError(f"{function}: needs a value for {' and '.join(missing)}")
    return made


def _fits(out, x):
    """Say whether `out` is a plain array for the result, which lies as `x`; if not, it gets a closer look."""
    if type(out) is not ndarray or out.shape != x.shape or out.dtype is not x.dtype:
        return False
    flags = out.flags
    apart = out is x or (out.base is None and x.base is None) or not may_share_memory(out, x)
    return apart and flags.c_contiguous and flags.writeable


def _general(name, spec, kernel, parameters, out, *arrays):
    """Run a kernel over arrays of one shape and dtype and any strides, along memory if they are dense in some order."""
    shape, dtype = arrays[-1].shape, arrays[-1].dtype
    if out is not None:
        check_out(name, out, shape, dtype, *[x for x in arrays if x is not out])
    axes = np.argsort([-abs(stride) for stride in arrays[-1].strides], kind="stable")
    views = [contiguous(x.transpose(axes)) for x in arrays]
    target = None if out is None else out.transpose(axes)
    y = target if target is not None and target.flags.c_contiguous else empty(views[0].shape, dtype)
    n = y.size
    kernel[dtype](*[x.reshape(-1) for x in views], y.reshape(-1), *parameters, n, tasks(n, spec.grain))
    if target is None:
        return y.transpose(np.argsort(axes))
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
