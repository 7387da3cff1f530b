"""Differentiable operations: the forward, and the backward that undoes it.

All take Tensors or arrays. Arrays in, array out: the same computation without a tape.
"""

from fastnn.tape import either_spelling

from . import (
    activation,
    arithmetic,
    comparison,
    composed,
    counting,
    derived,
    diagonals,
    distance,
    indexing,
    mathematics,
    operands,
    operators,
    products,
    rearrange,
    scan,
    scattering,
    sorting,
    statistics,
)
from . import numpy_arrays as numpy_arrays
from . import numpy_functions as numpy_functions
from . import numpy_numbers as numpy_numbers
from .activation import *  # noqa: F403  (its names follow from its table)
from .arithmetic import *  # noqa: F403
from .comparison import *  # noqa: F403  (its names follow from its table)
from .composed import *  # noqa: F403
from .conv import conv2d
from .conv_nd import conv1d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d, fold, unfold
from .counting import *  # noqa: F403
from .derived import *  # noqa: F403
from .diagonals import *  # noqa: F403
from .distance import *  # noqa: F403
from .dropout import alpha_dropout, dropout, dropout1d, dropout2d, dropout3d, feature_alpha_dropout
from .einsum import einsum
from .embedding import embedding
from .gate import glu, prelu, rrelu, rrelu_
from .indexing import *  # noqa: F403
from .loss import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cosine_embedding_loss,
    cross_entropy,
    ctc_loss,
    gaussian_nll_loss,
    hinge_embedding_loss,
    hinge_loss,
    huber_loss,
    kl_div,
    l1_loss,
    linear_cross_entropy,
    margin_ranking_loss,
    mse_loss,
    multi_margin_loss,
    multilabel_margin_loss,
    multilabel_soft_margin_loss,
    nll_loss,
    one_hot,
    poisson_nll_loss,
    smooth_l1_loss,
    soft_margin_loss,
    triplet_margin_loss,
    triplet_margin_with_distance_loss,
)
from .mathematics import *  # noqa: F403  (its names follow from its table)
from .matmul import linear, matmul
from .norm import batch_norm, group_norm, instance_norm, layer_norm, local_response_norm, normalize, rms_norm
from .operands import *  # noqa: F403  (its names follow from its table)
from .pad import pad
from .pool import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
    max_unpool1d,
    max_unpool2d,
    max_unpool3d,
    sum_pool2d,
)
from .products import *  # noqa: F403
from .rearrange import *  # noqa: F403
from .reduction import argmax, argmin, max, mean, min, prod, std, sum, var
from .resize import (
    affine_grid,
    channel_shuffle,
    grid_sample,
    interpolate,
    pixel_shuffle,
    pixel_unshuffle,
    upsample,
    upsample_bilinear,
    upsample_nearest,
)
from .scan import *  # noqa: F403
from .scattering import *  # noqa: F403
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
from .softmax import gumbel_softmax, log_softmax, softmax, softmin
from .sorting import *  # noqa: F403
from .statistics import *  # noqa: F403

__all__ = [
    "local_response_norm",
    "normalize",
    "affine_grid",
    "alpha_dropout",
    "grid_sample",
    "upsample",
    "upsample_bilinear",
    "upsample_nearest",
    "feature_alpha_dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    *activation.__all__,
    *arithmetic.__all__,
    *comparison.__all__,
    *composed.__all__,
    *counting.__all__,
    *derived.__all__,
    *diagonals.__all__,
    *distance.__all__,
    *indexing.__all__,
    *mathematics.__all__,
    *operands.__all__,
    *products.__all__,
    *rearrange.__all__,
    *scan.__all__,
    *scattering.__all__,
    *sorting.__all__,
    *statistics.__all__,
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "argmax",
    "argmin",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "batch_norm",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "broadcast_to",
    "cat",
    "channel_shuffle",
    "chunk",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "cosine_embedding_loss",
    "cross_entropy",
    "ctc_loss",
    "dropout",
    "embedding",
    "einsum",
    "expand",
    "flatten",
    "fold",
    "gaussian_nll_loss",
    "getitem",
    "glu",
    "group_norm",
    "gumbel_softmax",
    "hinge_embedding_loss",
    "hinge_loss",
    "huber_loss",
    "instance_norm",
    "interpolate",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "linear",
    "linear_cross_entropy",
    "log_softmax",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "margin_ranking_loss",
    "matmul",
    "max",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
    "mean",
    "min",
    "mse_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "nll_loss",
    "one_hot",
    "pad",
    "permute",
    "pixel_shuffle",
    "pixel_unshuffle",
    "poisson_nll_loss",
    "prelu",
    "prod",
    "reshape",
    "rms_norm",
    "rrelu",
    "rrelu_",
    "smooth_l1_loss",
    "soft_margin_loss",
    "softmax",
    "softmin",
    "split",
    "squeeze",
    "stack",
    "std",
    "sum",
    "sum_pool2d",
    "transpose",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
    "unfold",
    "unsqueeze",
    "var",
]


def functions() -> dict[str, object]:
    """Give all functions by name."""
    return {name: globals()[name] for name in __all__}


for _name in __all__:
    globals()[_name] = either_spelling(globals()[_name])
operators.install(functions())
