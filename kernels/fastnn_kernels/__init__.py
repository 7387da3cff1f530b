"""Kernels for neural networks on plain NumPy arrays, compiled by Numba for the CPU they run on.

They compute in float32 and float64. Wherever one takes such arrays, integers, booleans and float16 become float32, or
float64 where they meet that; arithmetic and matrix products of integers alone are NumPy's, and stay integers.
"""

from .ground import environment  # noqa: F401  (first: it makes Numba's import safe)

# isort: split
from . import activation, arithmetic, conv, image, loss, mathematics, norm, peak, pool
from .activation import *  # noqa: F403  (its names follow from its table)
from .arithmetic import *  # noqa: F403  (its names follow from its table)
from .conv import *  # noqa: F403
from .distance import cdist, cdist_backward
from .dropout import (
    alpha_dropout,
    alpha_dropout_backward,
    dropout,
    dropout_backward,
    feature_alpha_dropout,
    feature_alpha_dropout_backward,
    feature_dropout,
    feature_dropout_backward,
)
from .explain import explain
from .formulas.activation import FORMULAS as ACTIVATIONS
from .formulas.activation import FUSED
from .formulas.mathematics import FORMULAS as MATHEMATICS
from .glu import glu, glu_backward, prelu, prelu_backward, rrelu, rrelu_backward
from .ground import checks
from .ground.ahead import compile_kernels
from .ground.backend import use
from .ground.denormal import flush_denormal, get_flush_denormal, set_flush_denormal
from .ground.dry import dry_run
from .ground.memory import empty_pool, pool_stats, set_pool_limit
from .ground.prepared import Prepared
from .ground.threads import get_num_threads, set_num_threads, threading_layer, threads
from .image import *  # noqa: F403
from .info import info, specs
from .loss import *  # noqa: F403
from .mathematics import *  # noqa: F403  (its names follow from its table)
from .matmul import linear, linear_backward, matmul, prepare_matmul
from .move import contiguous
from .norm import *  # noqa: F403
from .optimizer import OPTIMIZER_RULES, clip_grad_norm, clip_grad_value, nadam_momentum, optimizer_step
from .pool import *  # noqa: F403
from .reduction import argmax, argmin, extremum_backward, max, mean, min, prod, prod_backward, std, sum, var
from .scan import cumprod, cumprod_backward, cumsum, logcumsumexp, logcumsumexp_backward
from .scatter import index_reduce
from .softmax import log_softmax, log_softmax_backward, softmax, softmax_backward
from .take import take

PreparedMatmul = Prepared

__all__ = [
    "ACTIVATIONS",
    "FUSED",
    "MATHEMATICS",
    "Prepared",
    "checks",
    "contiguous",
    "info",
    *activation.__all__,
    *arithmetic.__all__,
    *conv.__all__,
    *image.__all__,
    *loss.__all__,
    *mathematics.__all__,
    *norm.__all__,
    *pool.__all__,
    "OPTIMIZER_RULES",
    "PreparedMatmul",
    "alpha_dropout",
    "alpha_dropout_backward",
    "argmax",
    "argmin",
    "cdist",
    "cdist_backward",
    "clip_grad_norm",
    "clip_grad_value",
    "compile_kernels",
    "cumprod",
    "cumprod_backward",
    "cumsum",
    "dropout",
    "dropout_backward",
    "dry_run",
    "empty_pool",
    "explain",
    "extremum_backward",
    "feature_alpha_dropout",
    "feature_alpha_dropout_backward",
    "feature_dropout",
    "feature_dropout_backward",
    "flush_denormal",
    "get_flush_denormal",
    "get_num_threads",
    "glu",
    "glu_backward",
    "index_reduce",
    "linear",
    "linear_backward",
    "log_softmax",
    "log_softmax_backward",
    "logcumsumexp",
    "logcumsumexp_backward",
    "matmul",
    "max",
    "mean",
    "min",
    "nadam_momentum",
    "optimizer_step",
    "peak",
    "pool_stats",
    "prelu",
    "prelu_backward",
    "prepare_matmul",
    "prod",
    "prod_backward",
    "rrelu",
    "rrelu_backward",
    "set_flush_denormal",
    "set_num_threads",
    "set_pool_limit",
    "softmax",
    "softmax_backward",
    "specs",
    "std",
    "sum",
    "take",
    "threading_layer",
    "threads",
    "use",
    "var",
]
