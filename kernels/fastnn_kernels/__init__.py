"""Kernels for neural networks on plain NumPy arrays, compiled by Numba for the CPU they run on."""

from . import peak
from ._jit import specs
from ._memory import empty_pool, pool_stats, set_pool_limit
from ._parallel import get_num_threads, set_num_threads, threading_layer, threads
from .activation import (
    exp,
    exp_backward,
    gelu,
    gelu_backward,
    leaky_relu,
    leaky_relu_backward,
    log,
    log_backward,
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    tanh,
    tanh_backward,
)
from .conv import (
    conv2d,
    conv2d_backward,
    conv2d_backward_bias,
    conv2d_backward_input,
    conv2d_backward_weight,
    prepare_conv2d,
)
from .conv_algorithms import PreparedConv2d, set_conv_precision
from .conv_nd import conv1d, conv1d_backward, conv3d, conv3d_backward
from .conv_transpose import (
    conv_transpose1d,
    conv_transpose1d_backward,
    conv_transpose2d,
    conv_transpose2d_backward,
    conv_transpose3d,
    conv_transpose3d_backward,
)
from .dropout import dropout, dropout_backward
from .loss import (
    cross_entropy,
    cross_entropy_backward,
    cross_entropy_with_gradient,
    mse_loss,
    mse_loss_backward,
)
from .matmul import PreparedMatmul, linear, linear_backward, matmul, prepare_matmul
from .optimizer import adam_step, sgd_step
from .pad import pad, pad_backward
from .pool import avg_pool2d, avg_pool2d_backward, max_pool2d, max_pool2d_backward, max_pool2d_gradient
from .softmax import log_softmax, log_softmax_backward, softmax, softmax_backward
from .unfold import fold, unfold

__all__ = [
    "PreparedConv2d",
    "PreparedMatmul",
    "adam_step",
    "avg_pool2d",
    "avg_pool2d_backward",
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
    "cross_entropy",
    "cross_entropy_backward",
    "cross_entropy_with_gradient",
    "dropout",
    "dropout_backward",
    "empty_pool",
    "exp",
    "exp_backward",
    "fold",
    "gelu",
    "gelu_backward",
    "get_num_threads",
    "leaky_relu",
    "leaky_relu_backward",
    "linear",
    "linear_backward",
    "log",
    "log_backward",
    "log_softmax",
    "log_softmax_backward",
    "matmul",
    "max_pool2d",
    "max_pool2d_backward",
    "max_pool2d_gradient",
    "mse_loss",
    "mse_loss_backward",
    "pad",
    "pad_backward",
    "peak",
    "pool_stats",
    "prepare_conv2d",
    "prepare_matmul",
    "relu",
    "relu_backward",
    "set_conv_precision",
    "set_num_threads",
    "set_pool_limit",
    "sgd_step",
    "sigmoid",
    "sigmoid_backward",
    "softmax",
    "softmax_backward",
    "specs",
    "tanh",
    "tanh_backward",
    "threading_layer",
    "threads",
    "unfold",
]
