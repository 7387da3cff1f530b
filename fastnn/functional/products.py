"""Products of vectors, matrices and stacks of them, all by one matrix product or element by element.

Sizes that do not fit raise ValueError with both shapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from fastnn_kernels import checks

from .arithmetic import add, mul
from .matmul import matmul
from .rearrange import several
from .shaping import check_array, permute, reshape

__all__ = [
    "addbmm",
    "addmm",
    "addmv",
    "addr",
    "baddbmm",
    "bilinear",
    "bmm",
    "chain_matmul",
    "dot",
    "inner",
    "kron",
    "mm",
    "multi_dot",
    "mv",
    "outer",
    "tensordot",
    "vdot",
]


def _product(function: str, a: Any, b: Any, names: tuple[str, str], dims: tuple[int, int]) -> Any:
    """Multiply two operands that must have so many dimensions."""
    for name, x, ndim in zip(names, (a, b), dims, strict=True):
        check_array(function, name, x)
        if x.ndim != ndim:
            raise ValueError(f"{function}: {name} must have {ndim} dimensions, got shape {x.shape}")
    stacked = dims == (3, 3) and a.shape[0] != b.shape[0]
    if stacked or a.shape[-1] != b.shape[0 if dims[1] == 1 else -2]:
        raise ValueError(f"{function}: {names[0]} of shape {a.shape} and {names[1]} of shape {b.shape} do not fit")
    return matmul(a, b)


def mm(input: Any, mat2: Any) -> Any:
    """Multiply two matrices: (M, K), (K, N) -> (M, N)."""
    return _product("mm", input, mat2, ("input", "mat2"), (2, 2))


def bmm(input: Any, mat2: Any) -> Any:
    """Multiply matrices pair by pair: (B, M, K), (B, K, N) -> (B, M, N)."""
    return _product("bmm", input, mat2, ("input", "mat2"), (3, 3))


def mv(input: Any, vec: Any) -> Any:
    """Multiply a matrix by a vector: (M, K), (K,) -> (M,)."""
    return _product("mv", input, vec, ("input", "vec"), (2, 1))


def dot(input: Any, tensor: Any) -> Any:
    """Give the sum of the products of two vectors: (K,), (K,) -> ()."""
    return _product("dot", input, tensor, ("input", "tensor"), (1, 1))


def vdot(input: Any, other: Any) -> Any:
    """Give the sum of the products of two vectors, as `dot`: there are no complex numbers here."""
    return _product("vdot", input, other, ("input", "other"), (1, 1))


def outer(input: Any, vec2: Any) -> Any:
    """Multiply each element of a vector by each of another: (M,), (N,) -> (M, N)."""
    for name, x in (("input", input), ("vec2", vec2)):
        check_array("outer", name, x)
        if x.ndim != 1:
            raise ValueError(f"outer: {name} must be a vector, got shape {x.shape}")
    return mul(reshape(input, -1, 1), vec2)


def inner(input: Any, other: Any) -> Any:
    """Multiply along the last dimensions: (..., K), (..., K) -> (..., ...); elements by a tensor without dimensions."""
    check_array("inner", "input", input)
    check_array("inner", "other", other)
    if not input.ndim or not other.ndim:
        return mul(input, other)
    if input.shape[-1] != other.shape[-1]:
        raise ValueError(f"inner: shapes {input.shape} and {other.shape} end in different lengths")
    return _contracted(input, other, [input.ndim - 1], [other.ndim - 1])


def tensordot(a: Any, b: Any, dims: int | Sequence[Sequence[int]] = 2) -> Any:
    """Multiply and sum over dimensions of two tensors: the last `dims` of a with the first of b, or those listed.

    dims: a number, or dimensions of a and as many of b. The others follow each other in the result.
    """
    check_array("tensordot", "a", a)
    check_array("tensordot", "b", b)
    if isinstance(dims, int | np.integer):
        count = int(dims)
        if not 0 <= count <= min(a.ndim, b.ndim):
            raise ValueError(f"tensordot: dims {count} is too many for shapes {a.shape} and {b.shape}")
        given: Any = list(range(a.ndim - count, a.ndim)), list(range(count))
    else:
        given = [list(d) if isinstance(d, tuple | list) else [d] for d in dims]
        if len(given) != 2:
            raise ValueError(f"tensordot: dims must be a number or two lists, got {dims!r}")
    of_a, of_b = (
        [checks.normalize_dim("tensordot", d, x.ndim, "dims") for d in ds] for x, ds in zip((a, b), given, strict=True)
    )
    if [a.shape[d] for d in of_a] != [b.shape[d] for d in of_b]:
        raise ValueError(f"tensordot: dims {dims} of shapes {a.shape} and {b.shape} have different lengths")
    return _contracted(a, b, of_a, of_b)


def _contracted(a: Any, b: Any, of_a: list[int], of_b: list[int]) -> Any:
    """Multiply and sum over dimensions of both, by one matrix product."""
    left, right = ([d for d in range(x.ndim) if d not in dims] for x, dims in ((a, of_a), (b, of_b)))
    rows, columns = [a.shape[d] for d in left], [b.shape[d] for d in right]
    count = prod(a.shape[d] for d in of_a)
    x = reshape(ordered(a, left + of_a), prod(rows), count)
    y = reshape(ordered(b, of_b + right), count, prod(columns))
    return reshape(matmul(x, y), (*rows, *columns))


def ordered(x: Any, dims: list[int]) -> Any:
    """Put the dimensions into an order; a tensor that has it stays as it is."""
    return x if dims == list(range(x.ndim)) else permute(x, dims)


def kron(input: Any, other: Any) -> Any:
    """Multiply each element by the whole of `other`: blocks side by side (Kronecker product)."""
    check_array("kron", "input", input)
    check_array("kron", "other", other)
    count = max(input.ndim, other.ndim)
    a, b = ((1,) * (count - x.ndim) + tuple(x.shape) for x in (input, other))
    x = reshape(input, [n for size in a for n in (size, 1)])
    y = reshape(other, [n for size in b for n in (1, size)])
    return reshape(mul(x, y), tuple(m * n for m, n in zip(a, b, strict=True)))


def chain_matmul(*matrices: Any) -> Any:
    """Multiply several matrices in the order that takes the fewest multiplications."""
    given = several("chain_matmul", matrices)
    return _chain("chain_matmul", given)


def multi_dot(tensors: Sequence[Any]) -> Any:
    """Multiply several matrices, the first and the last may be vectors, in the order of the fewest multiplications."""
    given = several("multi_dot", (list(tensors),))
    if len(given) < 2:
        raise ValueError("multi_dot: expected at least two tensors")
    row, column = given[0].ndim == 1, given[-1].ndim == 1
    if row:
        given[0] = reshape(given[0], 1, -1)
    if column:
        given[-1] = reshape(given[-1], -1, 1)
    y = _chain("multi_dot", given)
    return reshape(y, [n for n, drop in zip(y.shape, (row, column), strict=True) if not drop]) if row or column else y


def _chain(function: str, given: list[Any]) -> Any:
    shapes = [tuple(x.shape) for x in given]
    if any(len(s) != 2 for s in shapes) or any(a[1] != b[0] for a, b in zip(shapes, shapes[1:], strict=False)):
        raise ValueError(f"{function}: shapes {', '.join(map(str, shapes))} are not those of matrices in a row")
    sizes, count = [shapes[0][0], *(s[1] for s in shapes)], len(given)
    cost = {(i, i): (0, i) for i in range(count)}
    for length in range(1, count):
        for i in range(count - length):
            j = i + length
            cost[i, j] = min(
                (cost[i, k][0] + cost[k + 1, j][0] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)
            )

    def product(i: int, j: int) -> Any:
        if i == j:
            return given[i]
        k = cost[i, j][1]
        return matmul(product(i, k), product(k + 1, j))

    return product(0, count - 1)


# --- added to something


def _scaled(input: Any, product: Any, beta: float, alpha: float) -> Any:
    scaled = product if alpha == 1 else mul(product, alpha)
    if beta == 0:  # whatever the input holds
        return scaled
    return add(input if beta == 1 else mul(input, beta), scaled)


def _added(function: str, input: Any, product: Any, beta: float, alpha: float) -> Any:
    check_array(function, "input", input)
    shape = product.shape
    try:
        fits = np.broadcast_shapes(input.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"{function}: input of shape {input.shape} cannot be added to a product of shape {shape}")
    return _scaled(input, product, beta, alpha)


def addmm(input: Any, mat1: Any, mat2: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    """Give ``beta * input + alpha * (mat1 @ mat2)``: input broadcast to (M, N), mat1 (M, K), mat2 (K, N)."""
    product = _product("addmm", mat1, mat2, ("mat1", "mat2"), (2, 2))
    return _added("addmm", input, product, beta, alpha)


def addmv(input: Any, mat: Any, vec: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    """Give ``beta * input + alpha * (mat @ vec)``: input broadcast to (M,), mat (M, K), vec (K,)."""
    return _added("addmv", input, _product("addmv", mat, vec, ("mat", "vec"), (2, 1)), beta, alpha)


def addr(input: Any, vec1: Any, vec2: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    """Give ``beta * input + alpha * outer(vec1, vec2)``: input broadcast to (M, N), vec1 (M,), vec2 (N,)."""
    return _added("addr", input, outer(vec1, vec2), beta, alpha)


def baddbmm(input: Any, batch1: Any, batch2: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    """Give ``beta * input + alpha * bmm(batch1, batch2)``: input broadcast to (B, M, N)."""
    product = _product("baddbmm", batch1, batch2, ("batch1", "batch2"), (3, 3))
    return _added("baddbmm", input, product, beta, alpha)


def addbmm(input: Any, batch1: Any, batch2: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    """Give ``beta * input + alpha * bmm(batch1, batch2).sum(0)``: input broadcast to (M, N); one product does it."""
    for name, x in (("batch1", batch1), ("batch2", batch2)):
        check_array("addbmm", name, x)
        if x.ndim != 3:
            raise ValueError(f"addbmm: {name} must have 3 dimensions, got shape {x.shape}")
    if batch1.shape[0] != batch2.shape[0] or batch1.shape[2] != batch2.shape[1]:
        raise ValueError(f"addbmm: batch1 of shape {batch1.shape} and batch2 of shape {batch2.shape} do not fit")
    return _added("addbmm", input, _contracted(batch1, batch2, [0, 2], [0, 1]), beta, alpha)


def bilinear(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Any:
    """Give y[..., o] = sum over i and j of input1[..., i] weight[o, i, j] input2[..., j], plus bias[o].

    input1 (..., I), input2 (..., J), weight (O, I, J), bias (O,) or None -> (..., O). ValueError for other shapes.
    """
    for name, x in (("input1", input1), ("input2", input2), ("weight", weight)):
        check_array("bilinear", name, x)
    if weight.ndim != 3 or not input1.ndim or input1.shape[:-1] != input2.shape[:-1] or weight.shape[1:] != (
        input1.shape[-1], input2.shape[-1],
    ):  # fmt: skip
        raise ValueError(
            f"bilinear: input1 of shape {input1.shape} and input2 of shape {input2.shape} do not fit a weight "
            f"(O, I, J) of shape {weight.shape}"
        )
    count, before, after = weight.shape
    rows = prod(input1.shape[:-1])
    half = reshape(
        matmul(reshape(input1, rows, before), reshape(permute(weight, 1, 0, 2), before, -1)), rows, count, after
    )
    y = reshape(matmul(half, reshape(input2, rows, after, 1)), (*input1.shape[:-1], count))
    if bias is None:
        return y
    check_array("bilinear", "bias", bias)
    if bias.shape != (count,):
        raise ValueError(f"bilinear: bias must have shape ({count},), got {bias.shape}")
    return add(y, bias)
