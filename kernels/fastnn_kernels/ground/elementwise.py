"""Entry points of elementwise kernels: small plain arrays are done in C at once, see `_entry`, all others here."""

import numpy as np
from numpy import ndarray

from .checks import F4, F8, as_float_array, check_out, contiguous, number, promote
from .memory import empty
from .threads import tasks

SMALL = 1 << 16  # bytes of outputs that come from malloc, whose memory is warm, and are not worth a second thread


def elementwise_entry(name, kernel, arrays, parameters, grain, text, otherwise=None):
    """Make an entry point: the kernel's own way to be called, which sends back what is not a small plain array.

    arrays: their names. parameters: names and usual values (None where there is none). grain: elements worth a thread.
    otherwise: what takes two arrays that differ in shape, dtype or layout; without it, shapes that differ are an error.
    """
    names, inputs = (*arrays, *parameters), len(arrays)

    def any_kind(*given):
        # before any look at an array: converting a number may run Python code (`__float__`)
        numbers = [number(name, p, value) for p, value in zip(parameters, given[inputs:-1], strict=True)]
        if any(a is not b for a, b in zip(numbers, given[inputs:-1], strict=True)):
            return single(*given[:inputs], *numbers, given[-1])
        if otherwise is not None and not _alike(*given[:inputs]):
            return otherwise(*map(_canonical, given[:inputs]), *given[inputs:])
        return run_any_layout(name, kernel, grain, dict(zip(arrays, given, strict=False)), *given[inputs:])

    def not_single(*given):
        if type(given[0]) is ndarray and given[0].dtype == F8:
            return kernel.flat(F8, inputs, SMALL, any_kind)(*given)
        return any_kind(*given)

    def first(*given):
        nonlocal single
        if type(given[0]) is ndarray and given[0].dtype == F4:
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
    entry.__module__ = __package__  # where all of them are found by name, by pickle for one
    entry.__defaults__ = tuple(usual for usual in parameters.values() if usual is not None)
    entry.__doc__ = text
    return entry


def _canonical(a):
    """Return an array whose dtype equals float32 or float64 as one whose dtype is that object; others unchanged."""
    if type(a) is ndarray and a.dtype in (F4, F8) and a.dtype is not F4 and a.dtype is not F8:
        return a.view(F4 if a.dtype == F4 else F8)
    return a


def _alike(a, b):
    """Say whether two objects are arrays of one shape and one dtype, which kernels know, and lie in memory alike."""
    if type(a) is not ndarray or type(b) is not ndarray or a.shape != b.shape or a.dtype != b.dtype:
        return False
    return a.dtype in (F4, F8) and a.flags.c_contiguous and b.flags.c_contiguous


def run_any_layout(name, kernel, grain, arrays, *rest):
    """Run a kernel over arrays of any kind, along memory if they are dense in some order. Parameters are floats."""
    *parameters, out = rest
    names = list(arrays)
    views = promote(name, **{key: as_float_array(name, key, array) for key, array in arrays.items()})
    x, shape, dtype = views[-1], views[-1].shape, views[-1].dtype
    if views[0].shape != shape:
        raise ValueError(f"{name}: {names[0]} has shape {views[0].shape} but {names[1]} has {shape}")
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
