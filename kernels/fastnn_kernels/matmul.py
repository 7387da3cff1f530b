"""Matrix products: `matmul`, the linear layer, and operands packed once for many products."""

from __future__ import annotations

from math import prod

import numpy as np
from numpy import ndarray

from .cpu.activation import FUNCTIONS
from .cpu.matmul.epilogue import CODES
from .cpu.matmul.kernels import linear__packed, linear__small, matmul__small
from .cpu.matmul.linear import linear_backward__small
from .cpu.matmul.plan import FEW, NO_BIAS, NO_WORK, SMALL, ones_row, product, stack_of_products
from .cpu.matmul.prepared import PreparedMatmul
from .ground import memory
from .ground.checks import F4, F8, as_array, as_float_array, check_out, contiguous, needed, output, promote, required
from .ground.memory import empty

POOLED = memory.SMALL // F8.itemsize  # numbers of a result that may come from the pool
LIGHT = SMALL // FEW  # numbers of an operand that fewer rows than FEW meet in one thread


def matmul(a, b, *, out=None):
    """Return the matrix product of two arrays: `numpy.matmul` for float32 and float64, faster.

    a (..., M, K) or (K,), b (..., K, N) or (K,) -> (..., M, N), without M or N for vectors; stacks broadcast against
    each other. Any strides. float32 with float64 gives float64; arrays of other dtypes go to `numpy.matmul`.
    b may be what `prepare_matmul` returned. NaN and infinity spread as IEEE 754 says.

    Sums are of fused multiply-adds: an error of at most K eps sum(|a||b|), and the same
    bits for any number of threads.

    Raises ValueError if shapes do not fit together, or `out` has the wrong shape or overlaps an operand.
    """
    if type(a) is ndarray is type(b) and out is None and a.ndim == 2 == b.ndim:
        (m, k), (k_b, n), dtype = a.shape, b.shape, a.dtype
        if k == k_b and b.dtype is dtype and (dtype is F4 or dtype is F8):
            size = m * n
            out = memory.fresh((m, n), dtype) if size < POOLED else empty((m, n), dtype)
            try:  # kernels refuse arrays that are not aligned
                if size * k <= SMALL and (m >= FEW or n * k <= LIGHT):
                    matmul__small[dtype](a, b, out)
                elif size:
                    product(a, b, NO_BIAS[dtype], out)
                return out
            except TypeError:
                pass
    return _matmul_any(a, b, out)


def _mismatch(a, b):
    rows = b.shape[-min(b.ndim, 2)]
    return ValueError(f"matmul: a has {a.shape[-1]} columns (shape {a.shape}) but b has {rows} rows (shape {b.shape})")


def _matmul_any(a, b, out):
    """Compute a product of whatever np.matmul accepts."""
    if type(a) is ndarray is type(b) and a.ndim == 2 == b.ndim and _fits(out, a, b):
        if out.size:
            product(a, b, NO_BIAS[out.dtype], out)
        return out
    if isinstance(b, PreparedMatmul):
        done = _packed_small(a, b, False, NO_BIAS[b.dtype], 0) if out is None else None
        return _matmul_prepared(a, b, out) if done is None else done
    a, b = as_array("matmul", "a", a), as_array("matmul", "b", b)
    if not all(x.dtype.kind == "f" and x.dtype.itemsize in (4, 8) for x in (a, b)):  # float16, integers, objects ...
        try:
            return np.matmul(a, b) if out is None else np.matmul(a, b, out=out)
        except (TypeError, ValueError) as error:
            raise (TypeError if isinstance(error, TypeError) else ValueError)(f"matmul: {error}") from None
    if a.ndim == 0 or b.ndim == 0:
        raise ValueError(f"matmul: operands must have at least one dimension, got shapes {a.shape} and {b.shape}")
    if a.shape[-1] != b.shape[-min(b.ndim, 2)]:
        raise _mismatch(a, b)
    a, b = promote("matmul", a=a, b=b)
    left, right = (a[np.newaxis] if a.ndim == 1 else a), (b[:, np.newaxis] if b.ndim == 1 else b)
    try:
        stack = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    except ValueError:
        raise ValueError(f"matmul: stacks of shapes {a.shape} and {b.shape} do not broadcast") from None
    shape = stack + left.shape[-2:-1] * (a.ndim > 1) + right.shape[-1:] * (b.ndim > 1)
    full = (*stack, left.shape[-2], right.shape[-1])
    out = output("matmul", out, shape, a.dtype, a, b)
    result = out.reshape(full) if out.flags.carray else empty(full, a.dtype)
    if out.size:
        stack_of_products(
            np.broadcast_to(left, stack + left.shape[-2:]), np.broadcast_to(right, stack + right.shape[-2:]), result
        )
    if not out.flags.carray:
        out[...] = result.reshape(shape)
    return out


def _fits(out, a, b):
    """Say whether `out` is a plain array for the product of two matrices; if not, all of them get a closer look."""
    if type(out) is not ndarray or out.shape != (a.shape[0], b.shape[1]) or a.shape[1] != b.shape[0]:
        return False
    dtype = out.dtype
    if dtype is not a.dtype or dtype is not b.dtype or (dtype is not F4 and dtype is not F8):
        return False
    plain = out.flags.carray and a.flags.aligned and b.flags.aligned
    return plain and not np.may_share_memory(out, a) and not np.may_share_memory(out, b)


def _rows(x):
    """Return `x` as a matrix of its rows."""
    return x if x.ndim == 2 else x.reshape(prod(x.shape[:-1]), x.shape[-1])


def prepare_matmul(b) -> PreparedMatmul:
    """Pack an operand that many products share.

    b (K, N) float32 or float64, any strides -> what `matmul` takes as `b`, and `linear` as `weight` (N, K). It is a
    copy: later changes of b do not reach it. Raises ValueError unless b has two dimensions, TypeError unless it has
    floats.
    """
    return PreparedMatmul(b)


def _matmul_prepared(a, b, out):
    """Compute a product with a packed operand; a stack on the left is one tall matrix."""
    a = as_float_array("matmul", "a", a)
    if a.ndim == 0 or a.shape[-1] != b.shape[0]:
        raise _mismatch(a, b)
    return _prepared("matmul", a, b, False, NO_BIAS[b.dtype], 0, out)


def _packed_small(a, b, transposed, bias, code):
    """Return a small product of plain arrays with a packed operand; None if it is not one."""
    dtype = b.dtype
    if type(a) is not ndarray or a.ndim != 2 or a.dtype is not dtype or not a.flags.aligned:
        return None
    (m, k), (k_b, n) = a.shape, b.shape[::-1] if transposed else b.shape
    if k != k_b or not 0 < m * n * k <= SMALL:
        return None
    if bias is not NO_BIAS[dtype] and not _fits_bias(bias, n, dtype):
        return None
    out = memory.fresh((m, n), dtype) if m * n < POOLED else empty((m, n), dtype)
    linear__packed[dtype](a, b.panels(transposed), bias, out, code)
    return out


def _fits_bias(bias, n, dtype):
    if type(bias) is not ndarray or bias.dtype is not dtype or bias.shape != (n,):
        return False
    return bias.flags.c_contiguous and bias.flags.aligned


def _prepared(function, a, b, transposed, bias, code, out):
    if a.dtype is not b.dtype:
        raise TypeError(f"{function}: the prepared operand is {b.dtype} but the other is {a.dtype}")
    shape = a.shape[:-1] + (b.shape[0 if transposed else 1],)
    out = output(function, out, shape, a.dtype, a, bias)
    result = out if out.flags.carray else empty(shape, a.dtype)
    if out.size:
        product(_rows(a), b.panels(transposed), bias, _rows(result), packed=1, code=code)
    if result is not out:
        out[...] = result
    return out


def linear(input, weight, bias=None, *, activation=None, out=None):
    """Return ``activation(input @ weight.T + bias)``, all in one pass.

    input (..., K), weight (N, K) or what `prepare_matmul` made of it, bias (N,) or None -> (..., N); float32 or
    float64. activation: None, "relu", "sigmoid", "tanh", "leaky_relu" (slope 0.01) or "gelu" (by erf).
    Raises ValueError if shapes do not fit together, TypeError for arrays that are not of floats.
    """
    try:
        code = CODES[activation]
    except (KeyError, TypeError):
        raise ValueError(f"linear: activation must be one of {tuple(CODES)}, got {activation!r}") from None
    if type(input) is ndarray and type(weight) is ndarray and out is None and input.ndim == 2 and weight.ndim == 2:
        dtype = input.dtype
        if weight.dtype is dtype and (dtype is F4 or dtype is F8):
            m, k = input.shape
            n, k_w = weight.shape
            b = NO_BIAS[dtype] if bias is None else bias
            fits = bias is None or _fits_bias(bias, n, dtype)
            if k == k_w and m * n * k <= SMALL and (m >= FEW or k * n <= LIGHT) and fits:
                out = memory.fresh((m, n), dtype) if m * n < POOLED else empty((m, n), dtype)
                try:  # kernels refuse arrays that are not aligned
                    linear__small[dtype](input, weight, b, out, code)
                    return out
                except TypeError:
                    pass
    elif type(weight) is PreparedMatmul and out is None:
        done = _packed_small(input, weight, True, NO_BIAS[weight.dtype] if bias is None else bias, code)
        if done is not None:
            return done
    return _linear_any(input, weight, bias, code, out)


def _linear_any(input, weight, bias, code, out):
    required("linear", input=input, weight=weight)
    prepared = weight if type(weight) is PreparedMatmul else None
    if prepared is not None:
        input, bias = promote("linear", input=input, bias=bias)
    else:
        input, weight, bias = promote("linear", input=input, weight=weight, bias=bias)
    if weight.ndim != 2 or input.ndim == 0 or input.shape[-1] != weight.shape[1]:
        raise ValueError(
            f"linear: input has shape {input.shape} but weight expects (..., {_last(weight)}) (shape {weight.shape})"
        )
    dtype = input.dtype
    if bias is None:
        bias = NO_BIAS[dtype]
    elif bias.shape != weight.shape[:1]:
        wanted = f"({weight.shape[0]},) as weight {weight.shape} says"
        raise ValueError(f"linear: bias must have shape {wanted}, got {bias.shape}")
    bias = contiguous(bias)
    if prepared is not None:
        return _prepared("linear", input, prepared, True, bias, code, out)
    n, k = weight.shape
    shape = (*input.shape[:-1], n)
    out = output("linear", out, shape, dtype, input, weight, bias)
    result = out if out.flags.carray else empty(shape, dtype)
    if out.size:
        rows, target = _rows(input), _rows(result)
        if max(len(rows), FEW) * weight.size <= SMALL:
            linear__small[dtype](rows, weight, bias, target, code)
        else:
            product(rows, weight.T, bias, target, code=code)
    if result is not out:
        out[...] = result
    return out


def linear_backward(dy, input, weight, output=None, activation=None, *, needs=(True, True, True), out_weight=None):
    """Return the gradients (dinput, dweight, dbias) of `linear` from that of its output.

    dy and output (..., N), input (..., K), weight (N, K) -> (..., K), (N, K), (N,); None where `needs` is False.
    output: what `linear` returned, needed for the gradient of an activation ("gelu" has none in terms of its output:
    ValueError). `out_weight`, if given, takes the gradient of the weight. Raises ValueError if shapes do not fit
    together or `out_weight` overlaps another array, TypeError for arrays that are not of floats.
    """
    needs = needed("linear_backward", needs, 3)
    try:
        code = CODES[activation]
    except (KeyError, TypeError):
        known = tuple(name for name in CODES if name != "gelu")
        raise ValueError(f"linear_backward: activation must be one of {known}, got {activation!r}") from None
    if activation == "gelu":
        raise ValueError("linear_backward: the gradient of gelu needs more than the output")
    done = _linear_backward_small(dy, input, weight, output, code, needs, out_weight)
    if done is not None:
        return done
    required("linear_backward", dy=dy, input=input, weight=weight)
    if code and output is None:
        raise ValueError(f"linear_backward: the gradient of {activation} needs output, what linear returned")
    output = output if code else None
    dy, input, weight, output = promote("linear_backward", dy=dy, input=input, weight=weight, output=output)
    if weight.ndim != 2 or input.ndim == 0 or input.shape[-1] != weight.shape[1]:
        raise ValueError(
            f"linear_backward: input has shape {input.shape} but weight expects (..., {_last(weight)}) "
            f"(shape {weight.shape})"
        )
    n, k = weight.shape
    for name, x in (("dy", dy), ("output", output)):
        if x is not None and x.shape != input.shape[:-1] + (n,):
            raise ValueError(
                f"linear_backward: {name} must have shape {input.shape[:-1] + (n,)} as input {input.shape} and weight "
                f"{weight.shape} say, got {x.shape}"
            )
    if out_weight is not None:
        check_out("linear_backward", out_weight, (n, k), weight.dtype, dy, input, weight, output, name="out_weight")
    if code:
        gradient = FUNCTIONS[activation]
        dy = gradient.apply_backward(dy, output, *gradient.usual_parameters)
    rows = _rows(dy)
    dx = dw = db = None
    if needs[0]:
        dx = matmul(rows, weight)
        if input.ndim != 2:
            dx = dx.reshape(input.shape)
    if needs[1]:
        dw = matmul(rows.T, _rows(input), out=out_weight)
    if needs[2]:
        db = matmul(ones_row(rows.shape[0], rows.dtype), rows)[0]
    return dx, dw, db


def _last(x):
    return x.shape[-1] if x.ndim else "K"


def _linear_backward_small(dy, x, w, y, code, needs, dw):
    """Return the gradients of a small layer from one kernel, or None if it is not one or its arrays are not plain."""
    y = dy if code == 0 else y
    if type(x) is not ndarray or type(w) is not ndarray or x.ndim != 2 or w.ndim != 2:
        return None
    (m, k), (n, k_w), dtype = x.shape, w.shape, x.dtype
    if k != k_w or m * n * k > SMALL or (dtype is not F4 and dtype is not F8):
        return None
    for given, shape in ((dy, (m, n)), (y, (m, n)), (x, (m, k)), (w, (n, k))):
        if type(given) is not ndarray or given.dtype is not dtype or given.shape != shape:
            return None
        if not given.flags.carray and not (given.flags.c_contiguous and given.flags.aligned):
            return None
    if dw is not None:
        if type(dw) is not ndarray or dw.dtype is not dtype or dw.shape != (n, k) or not dw.flags.carray:
            return None
        if any(np.may_share_memory(dw, given) for given in (dy, y, x, w)):
            return None
    fresh = memory.fresh
    dz = fresh((m, n), dtype) if code else NO_WORK[dtype]
    dx = fresh((m, k), dtype) if needs[0] else NO_WORK[dtype]
    db = fresh(n, dtype) if needs[2] else NO_BIAS[dtype]
    if needs[1] and dw is None:
        dw = fresh((n, k), dtype)
    wanted = needs[0] + 2 * needs[1] + 4 * needs[2]
    linear_backward__small[dtype](dy, y, x, w, code, wanted, dz, dw if needs[1] else NO_WORK[dtype], db, dx)
    return dx if needs[0] else None, dw if needs[1] else None, db if needs[2] else None
