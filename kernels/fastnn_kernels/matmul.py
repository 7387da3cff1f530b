"""Matrix products: `matmul`, the linear layer, and operands packed once for many products."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .formulas.activation import FUSED
from .ground.checks import as_array, as_float_array, choice, needed
from .ground.operation import Layout, operation
from .ground.prepared import Prepared


def matmul(a, b, *, out=None):
    """Return the matrix product of two arrays: `numpy.matmul` for float32 and float64, faster.

    a (..., M, K) or (K,), b (..., K, N) or (K,) -> (..., M, N), without M or N for vectors; stacks broadcast against
    each other. Any strides. float32 with float64 gives float64; arrays of other dtypes go to `numpy.matmul`.
    b may be what `prepare_matmul` returned. NaN and infinity spread as IEEE 754 says.

    Sums are of fused multiply-adds: an error of at most K eps sum(|a||b|), and the same
    bits for any number of threads.

    Raises ValueError if shapes do not fit together, or `out` has the wrong shape or overlaps an operand.
    """
    return _matmul.run(out, a, b)


def linear(input, weight, bias=None, *, activation=None, out=None):
    """Return ``activation(input @ weight.T + bias)``, all in one pass.

    input (..., K), weight (N, K) or what `prepare_matmul` made of it, bias (N,) or None -> (..., N); float32 or
    float64. activation: None, "relu", "sigmoid", "tanh", "leaky_relu" (slope 0.01) or "gelu" (by erf).
    Raises ValueError if shapes do not fit together, TypeError for arrays that are not of floats.
    """
    return _linear.run(out, input, weight, bias, activation)


def linear_backward(dy, input, weight, output=None, activation=None, *, needs=(True, True, True), out_weight=None):
    """Return the gradients (dinput, dweight, dbias) of `linear` from that of its output.

    dy and output (..., N), input (..., K), weight (N, K) -> (..., K), (N, K), (N,); None where `needs` is False.
    output: what `linear` returned, needed for the gradient of an activation ("gelu" has none in terms of its output:
    ValueError). `out_weight`, if given, takes the gradient of the weight. Raises ValueError if shapes do not fit
    together or `out_weight` overlaps another array, TypeError for arrays that are not of floats.
    """
    return _linear_backward.run(out_weight, dy, input, weight, output, activation, needs)


def prepare_matmul(b) -> Prepared:
    """Pack an operand that many products share.

    b (K, N) float32 or float64, any strides -> what `matmul` takes as `b`, and `linear` as `weight` (N, K). It is a
    copy: later changes of b do not reach it. Raises ValueError unless b has two dimensions, TypeError unless it has
    floats.
    """
    return Prepared(as_float_array("prepare_matmul", "b", b, 2))


class Matmul(NamedTuple):
    """Two operands, the dimensions that their stacks are broadcast to, and the layout of `out` if there is one."""

    a: Layout
    b: Layout
    stack: tuple[int, ...]
    out: Layout | None = None

    @property
    def result(self):
        """Return the shape and dtype of the result."""
        return self.stack + self.a.shape[-2:-1] + (self.b.shape[-1:] if self.b.ndim > 1 else ()), self.a.dtype


class Linear(NamedTuple):
    """The operands of a linear layer, its activation and the layout of `out` if there is one."""

    input: Layout
    weight: Layout
    bias: Layout | None
    activation: str | None
    out: Layout | None = None

    @property
    def result(self):
        """Return the shape and dtype of the result."""
        return (*self.input.shape[:-1], self.weight.shape[0]), self.input.dtype


class LinearBackward(NamedTuple):
    """The operands of a linear layer's gradients, which of them are needed, and where that of the weight goes."""

    dy: Layout
    input: Layout
    weight: Layout
    output: Layout | None
    activation: str | None
    needs: tuple[bool, ...]
    out: Layout | None = None

    @property
    def result(self):
        """Return the shape and dtype of the weight's gradient."""
        return self.weight.shape, self.weight.dtype


def _numpy(out, a, b):
    """Multiply what kernels do not: float16, integers, objects."""
    if type(b) is not Prepared:
        a, b = as_array("matmul", "a", a), as_array("matmul", "b", b)
        if not all(x.dtype.kind == "f" and x.dtype.itemsize in (4, 8) for x in (a, b)):
            try:
                return np.matmul(a, b) if out is None else np.matmul(a, b, out=out)
            except (TypeError, ValueError) as error:
                raise (TypeError if isinstance(error, TypeError) else ValueError)(f"matmul: {error}") from None
    return NotImplemented


@operation("a b", prepared="b", otherwise=_numpy)
def _matmul(a, b):
    if a.ndim == 0 or b.ndim == 0:
        raise ValueError(f"matmul: operands must have at least one dimension, got shapes {a.shape} and {b.shape}")
    rows = b.shape[-min(b.ndim, 2)]
    if a.shape[-1] != rows:
        raise ValueError(
            f"matmul: a has {a.shape[-1]} columns (shape {a.shape}) but b has {rows} rows (shape {b.shape})"
        )
    try:
        return Matmul(a, b, np.broadcast_shapes(a.shape[:-2], b.shape[:-2]))
    except ValueError:
        raise ValueError(f"matmul: stacks of shapes {a.shape} and {b.shape} do not broadcast") from None


@operation("input weight", optional="bias", prepared="weight")
def _linear(input, weight, bias, activation):
    activation = _activation("linear", activation, FUSED)
    _check_input("linear", input, weight)
    if bias is not None and bias.shape != weight.shape[:1]:
        wanted = f"({weight.shape[0]},) as weight {weight.shape} says"
        raise ValueError(f"linear: bias must have shape {wanted}, got {bias.shape}")
    return Linear(input, weight, bias, activation)


@operation("dy input weight", optional="output", out="out_weight", out_place=1)
def _linear_backward(dy, input, weight, output, activation, needs):
    needs = needed("linear_backward", needs, 3)
    activation = _activation("linear_backward", activation, [name for name in FUSED if name != "gelu"])
    if activation is not None and output is None:
        raise ValueError(f"linear_backward: the gradient of {activation} needs output, what linear returned")
    _check_input("linear_backward", input, weight)
    shape = (*input.shape[:-1], weight.shape[0])
    for name, x in (("dy", dy), ("output", output if activation else None)):
        if x is not None and x.shape != shape:
            raise ValueError(
                f"linear_backward: {name} must have shape {shape} as input {input.shape} and weight "
                f"{weight.shape} say, got {x.shape}"
            )
    return LinearBackward(dy, input, weight, output if activation else None, activation, needs)


def _activation(function, activation, known):
    try:
        return choice(function, "activation", activation, known)
    except ValueError:
        if activation == "gelu":
            raise ValueError(f"{function}: the gradient of gelu needs more than the output") from None
        raise


def _check_input(function, input, weight):
    """Raise ValueError unless the last dimension of the input is the weight's."""
    if weight.ndim != 2 or input.ndim == 0 or input.shape[-1] != weight.shape[1]:
        last = weight.shape[-1] if weight.ndim else "K"
        raise ValueError(
            f"{function}: input has shape {input.shape} but weight expects (..., {last}) (shape {weight.shape})"
        )
