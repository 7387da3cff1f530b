"""Dropout."""

from ._parallel import tasks
from ._shapes import as_float_array, contiguous, output
from .cpu.dropout import CHUNK, dropout__philox

GRAIN = 16384  # elements worth waking a second thread for


def dropout(input, p, seed, offset=0, *, out=None):
    """Return input / (1 - p) with each element set to 0 with probability p (Srivastava et al., 2014).

    input (any shape and strides, float32 or float64) -> a contiguous array of its shape, or `out`. The mask depends on
    p, seed, offset (integers of 0 .. 2^64 - 1) and an element's position alone: not on dtype, strides or the number of
    threads. NaN stays NaN where it is dropped, as in PyTorch.

    Raises ValueError for p outside 0 .. 1, TypeError for other dtypes.
    """
    return _run("dropout", "input", input, p, seed, offset, out)


def dropout_backward(dy, p, seed, offset=0, *, out=None):
    """Return the gradient of dropout's input: dy through the same mask, which is computed again."""
    return _run("dropout_backward", "dy", dy, p, seed, offset, out)


def _run(function, name, x, p, seed, offset, out):
    x = as_float_array(function, name, x)
    if not 0 <= p <= 1:
        raise ValueError(f"{function}: p must be from 0 to 1, got {p}")
    for key, value in (("seed", seed), ("offset", offset)):
        if not 0 <= value < 1 << 64:
            raise ValueError(f"{function}: {key} must be from 0 to 2**64 - 1, got {value}")
    y = output(function, out, x.shape, x.dtype, x)
    target = y if y.flags.c_contiguous else output(function, None, x.shape, x.dtype)
    threshold = min(round(p * 2**32), 2**32 - 1)
    scale = 1 / (1 - p) if p < 1 else 0.0
    chunks = -(-x.size // CHUNK)
    dropout__philox[x.dtype](
        contiguous(x).reshape(-1),
        target.reshape(-1),
        threshold,
        scale,
        seed,
        offset,
        chunks,
        tasks(chunks, GRAIN // CHUNK),
    )
    if target is not y:
        y[...] = target
    return y
