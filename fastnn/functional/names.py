"""Which functions are found under which names: at the top level of `fastnn`, as methods of Tensor, in place.

A name stands here once, whether its function exists yet or not: what `fastnn.functional` has of these appears at the
other places by itself. The names are PyTorch's; `ALIASES` are further names of the same functions.
"""

from __future__ import annotations

# at the top level of fastnn, and as methods whose first argument is the tensor
BOTH = frozenset(
    """
    abs acos acosh add addbmm addcdiv addcmul addmm addmv addr all amax amin aminmax any argmax argmin argsort
    argwhere asin asinh atan atan2 atanh baddbmm bincount bitwise_and bitwise_left_shift bitwise_not bitwise_or
    bitwise_right_shift bitwise_xor bmm broadcast_to ceil cholesky chunk clamp clamp_max clamp_min clip copysign
    corrcoef cos cosh count_nonzero cov cross cummax cummin cumprod cumsum deg2rad det diag diag_embed diagflat
    diagonal diff digamma dist div dot dsplit eq erf erfc erfinv exp exp2 expm1 flatten flip fliplr flipud
    float_power floor floor_divide fmax fmin fmod frac frexp gather ge gt hardshrink heaviside histc hsplit hypot
    index_add index_copy index_fill index_put index_reduce index_select inner inverse isfinite isin isinf isnan
    isneginf isposinf isreal kron kthvalue ldexp le lerp lgamma log log10 log1p log2 log_softmax logaddexp
    logaddexp2 logcumsumexp logical_and logical_not logical_or logical_xor logit logsumexp lt masked_fill
    masked_scatter masked_select matmul matrix_power max maximum mean median min minimum mm mode moveaxis msort mul
    mv nan_to_num nanmean nanmedian nanquantile nansum narrow ne neg nextafter nonzero norm outer permute pinverse
    positive pow prelu prod quantile rad2deg reciprocal relu remainder renorm repeat_interleave reshape roll rot90
    round rsub rsqrt scatter scatter_add scatter_reduce select sgn sigmoid sign signbit sin sinc sinh slogdet
    softmax sort split sqrt square squeeze std sub sum svd swapaxes swapdims t take take_along_dim tan tanh tensor_split
    tile topk trace transpose tril triu trunc unbind unflatten unique unique_consecutive unsqueeze var vdot vsplit xlogy
    """.split()
)
# at the top level of fastnn only
TOP_LEVEL = frozenset(
    """
    adaptive_avg_pool1d adaptive_max_pool1d alpha_dropout atleast_1d atleast_2d atleast_3d avg_pool1d batch_norm
    bilinear binary_cross_entropy_with_logits block_diag broadcast_tensors bucketize cartesian_prod cat cdist celu
    chain_matmul channel_shuffle column_stack combinations conv1d conv2d conv3d conv_transpose1d conv_transpose2d
    conv_transpose3d cosine_embedding_loss cosine_similarity ctc_loss cumulative_trapezoid dropout dstack einsum
    embedding embedding_bag feature_alpha_dropout group_norm hinge_embedding_loss hstack instance_norm kl_div
    layer_norm margin_ranking_loss max_pool1d max_pool2d max_pool3d meshgrid pairwise_distance pdist pixel_shuffle
    pixel_unshuffle poisson_nll_loss rms_norm rrelu searchsorted selu stack std_mean tensordot threshold trapezoid
    tril_indices triplet_margin_loss triu_indices unravel_index vander var_mean vstack where
    """.split()
)
# methods only
METHODS = frozenset("expand repeat".split())
# methods that end in _ and write into the tensor, each made of the function before the _
IN_PLACE = frozenset(
    """
    abs acos acosh add addbmm addcdiv addcmul addmm addmv addr asin asinh atan atan2 atanh baddbmm bitwise_and
    bitwise_not bitwise_or bitwise_xor ceil clamp clamp_max clamp_min clip copysign cos cosh cumprod cumsum deg2rad
    digamma div eq erf erfc erfinv exp exp2 expm1 float_power floor floor_divide fmod frac ge gt heaviside hypot
    index_add index_copy index_fill index_put index_reduce le ldexp lerp lgamma log log10 log1p log2 logical_and
    logical_not logical_or logical_xor logit lt masked_fill masked_scatter mul nan_to_num ne neg pow rad2deg
    reciprocal relu remainder renorm round rsqrt scatter scatter_add scatter_reduce sgn sigmoid sign sin sinc sinh
    sqrt square sub tan tanh tril triu trunc xlogy
    """.split()
)
# ... and those that give it another shape
RESHAPING = frozenset("squeeze swapaxes swapdims t transpose unsqueeze".split())
# other names of functions
ALIASES = {
    "absolute": "abs",
    "arccos": "acos",
    "arccosh": "acosh",
    "arcsin": "asin",
    "arcsinh": "asinh",
    "arctan": "atan",
    "arctan2": "atan2",
    "arctanh": "atanh",
    "concat": "cat",
    "concatenate": "cat",
    "divide": "div",
    "fix": "trunc",
    "ger": "outer",
    "greater": "gt",
    "greater_equal": "ge",
    "less": "lt",
    "less_equal": "le",
    "movedim": "moveaxis",
    "multiply": "mul",
    "negative": "neg",
    "not_equal": "ne",
    "ravel": "flatten",
    "row_stack": "vstack",
    "subtract": "sub",
    "true_divide": "div",
}
# what an operator computes by, and by what its reflected form and its in-place form
OPERATORS = {
    "add": "add",
    "sub": "sub",
    "mul": "mul",
    "truediv": "div",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "pow": "pow",
    "matmul": "matmul",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
    "lshift": "bitwise_left_shift",
    "rshift": "bitwise_right_shift",
}
COMPARISONS = ("lt", "le", "gt", "ge", "eq", "ne")
