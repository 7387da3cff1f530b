"""Convolutions of signals, images and volumes, transposed ones, their gradients, and the windows they look at."""

from ..ground.prepared import Prepared as PreparedConv
from ..ground.prepared import Prepared as PreparedConv2d
from .conv import (
    choose as choose,
)
from .conv import (
    conv1d,
    conv1d_backward,
    conv2d,
    conv2d_backward,
    conv2d_backward_bias,
    conv2d_backward_input,
    conv2d_backward_weight,
    conv3d,
    conv3d_backward,
    prepare_conv1d,
    prepare_conv2d,
    prepare_conv3d,
    set_conv_precision,
)
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
