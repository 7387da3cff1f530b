"""Convolutions of signals, images and volumes, transposed ones, and their gradients."""

from ..cpu.conv.by_depth import PreparedConv
from ..cpu.conv.select import PreparedConv2d, set_conv_precision
from .conv import (
    choose as choose,
)
from .conv import (
    conv2d,
    conv2d_backward,
    conv2d_backward_bias,
    conv2d_backward_input,
    conv2d_backward_weight,
    prepare_conv2d,
)
from .conv_nd import conv1d, conv1d_backward, conv3d, conv3d_backward, prepare_conv1d, prepare_conv3d
from .transpose import (
    conv_transpose1d,
    conv_transpose1d_backward,
    conv_transpose2d,
    conv_transpose2d_backward,
    conv_transpose3d,
    conv_transpose3d_backward,
    prepare_conv_transpose1d,
    prepare_conv_transpose2d,
    prepare_conv_transpose3d,
)
from .unfold import fold, unfold

__all__ = [
    "PreparedConv",
    "PreparedConv2d",
    "conv1d",
    "conv1d_backward",
    "conv2d",
    "conv2d_backward",
    "conv2d_backward_bias",
    "conv2d_backward_input",
    "conv2d_backward_weight",
    "conv3d",
    "conv3d_backward",
    "conv_transpose1d",
    "conv_transpose1d_backward",
    "conv_transpose2d",
    "conv_transpose2d_backward",
    "conv_transpose3d",
    "conv_transpose3d_backward",
    "fold",
    "prepare_conv1d",
    "prepare_conv2d",
    "prepare_conv3d",
    "prepare_conv_transpose1d",
    "prepare_conv_transpose2d",
    "prepare_conv_transpose3d",
    "set_conv_precision",
    "unfold",
]
