"""A convolution or linear layer and the batch norm behind it as one layer, for use."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

from fastnn import functional as F
from fastnn.tape import no_grad

from ..module import Module, Parameter

Layer = TypeVar("Layer", bound=Module)


def _fuse(layer: Layer, bn: Any, weights: Any, *options: Any) -> Layer:
    for name, module in (("the layer", layer), ("the norm", bn)):
        if module.training:
            raise ValueError(f"fusion: {name} must be in eval mode: in training, norms use the statistics of the batch")
    if bn.running_mean is None:
        raise ValueError("fusion: the norm has no running statistics")
    made: Any = copy.deepcopy(layer)
    statistics = bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
    made.weight, made.bias = weights(made.weight, made.bias, *statistics, *options)
    return made  # type: ignore[no-any-return]


def fuse_conv_bn_eval(conv: Layer, bn: Module, transpose: bool = False) -> Layer:
    """Give a convolution that computes `conv` and the batch norm `bn` behind it, both in eval mode.

    transpose: for transposed convolutions. Raises ValueError for layers in training.
    """
    return _fuse(conv, bn, fuse_conv_bn_weights, transpose)


def fuse_linear_bn_eval(linear: Any, bn: Any) -> Any:
    """Give a linear layer that computes `linear` and the batch norm `bn` behind it, both in eval mode.

    Raises ValueError for layers in training, and for a norm of other features.
    """
    features, outputs = bn.num_features, linear.weight.shape[0]
    if features not in (outputs, 1):
        raise ValueError(f"fuse_linear_bn_eval: the layer gives {outputs} features, the norm takes {features}")
    return _fuse(linear, bn, fuse_linear_bn_weights)


def fuse_conv_bn_weights(
    conv_w: Any, conv_b: Any, bn_rm: Any, bn_rv: Any, bn_eps: float, bn_w: Any, bn_b: Any, transpose: bool = False
) -> tuple[Parameter, Parameter]:
    """Give weight and bias of the one layer; None stands for no bias and for a norm's 1 and 0."""
    axis, groups = (1, conv_w.shape[0]) if transpose else (0, 1)
    with no_grad():
        scale = F.rsqrt(F.add(bn_rv, bn_eps))
        if bn_w is not None:
            scale = F.mul(scale, bn_w)
        shift = F.neg(bn_rm) if conv_b is None else F.sub(conv_b, bn_rm)
        shift = F.mul(shift, scale)
        if bn_b is not None:
            shift = F.add(shift, bn_b)
        each = conv_w.shape[axis]
        if transpose and len(scale) != each:  # the filters of each group stand in rows of their own
            parts = len(scale) // each
            factor = F.repeat_interleave(F.reshape(scale, (parts, each)), groups // parts, 0)
        else:
            factor = F.reshape(scale, (1, each) if transpose else (each, 1))
        factor = F.reshape(factor, (*factor.shape, *[1] * (conv_w.ndim - 2)))
        return Parameter(F.mul(conv_w, factor)), Parameter(shift)


def fuse_linear_bn_weights(
    linear_w: Any, linear_b: Any, bn_rm: Any, bn_rv: Any, bn_eps: float, bn_w: Any, bn_b: Any
) -> tuple[Parameter, Parameter]:
    """Give weight and bias of the one layer; None stands for no bias and for a norm's 1 and 0."""
    return fuse_conv_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b)
