"""Differentiable operations: the forward, and the backward that undoes it.

All take Tensors or arrays. Arrays in, array out: the same computation without a tape.
"""

from . import operators as operators
from .activation import gelu, leaky_relu, relu, sigmoid, tanh
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
from .conv_nd import conv1d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d, fold, unfold
from .dropout import dropout
from .loss import cross_entropy, mse_loss
from .matmul import linear, matmul
from .pad import pad
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
from .softmax import log_softmax, softmax

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
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "cross_entropy",
    "div",
    "dropout",
    "exp",
    "expand",
    "flatten",
    "fold",
    "gelu",
    "getitem",
    "leaky_relu",
    "linear",
    "log",
    "log_softmax",
    "matmul",
    "max",
    "max_pool2d",
    "maximum",
    "mean",
    "min",
    "minimum",
    "mse_loss",
    "mul",
    "neg",
    "pad",
    "permute",
    "pow",
    "relu",
    "reshape",
    "sigmoid",
    "softmax",
    "split",
    "sqrt",
    "squeeze",
    "stack",
    "sub",
    "sum",
    "tanh",
    "transpose",
    "unfold",
    "unsqueeze",
    "where",
]
