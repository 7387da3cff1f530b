"""Differentiable operations: the forward, and the backward that undoes it.

All take Tensors or arrays. Arrays in, array out: the same computation without a tape.
"""

from . import operators as operators
from .arithmetic import (
    abs,
    add,
    clamp,
    clip,
    div,
    exp,
    log,
    maximum,
    minimum,
    mul,
    neg,
    pow,
    sqrt,
    sub,
    where,
)
from .matmul import linear, matmul
from .reduction import argmax, max, mean, min, sum
from .shaping import (
    broadcast_to,
    cat,
    chunk,
    expand,
    flatten,
    getitem,
    permute,
    reshape,
    split,
    squeeze,
    stack,
    transpose,
    unsqueeze,
)

__all__ = [
    "abs",
    "add",
    "argmax",
    "broadcast_to",
    "cat",
    "chunk",
    "clamp",
    "clip",
    "div",
    "exp",
    "expand",
    "flatten",
    "getitem",
    "linear",
    "log",
    "matmul",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "mul",
    "neg",
    "permute",
    "pow",
    "reshape",
    "split",
    "sqrt",
    "squeeze",
    "stack",
    "sub",
    "sum",
    "transpose",
    "unsqueeze",
    "where",
]
