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
from .conv import conv2d
from .matmul import linear, matmul
from .pool import avg_pool2d, max_pool2d
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
    "avg_pool2d",
    "broadcast_to",
    "cat",
    "chunk",
    "clamp",
    "clip",
    "conv2d",
    "div",
    "exp",
    "expand",
    "flatten",
    "getitem",
    "linear",
    "log",
    "matmul",
    "max",
    "max_pool2d",
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
