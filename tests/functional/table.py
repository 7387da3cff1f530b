"""Every differentiable operation, a row or more each: `test_gradients.py` checks them all by finite differences.

To add an operation, add a row under its stem. Inputs are drawn from a normal distribution in float64, or made by
`make(rng)`; those that are floating-point arrays are differentiated, and so are lists of them. Keep shapes small and
unlike each other, and inputs away from kinks (a step is 1e-5 or so wide).
"""

from __future__ import annotations

from functools import wraps
from typing import Any

import numpy as np

from fastnn import functional as F
from fastnn import manual_seed
from fastnn_kernels.formulas.activation import FORMULAS
from tests.functional.row import Row, positive
from tests.functional.table_derived import DERIVED
from tests.functional.table_indexing import INDEXING
from tests.functional.table_mathematics import MATHEMATICS
from tests.functional.table_order import ORDER
from tests.functional.table_products import PRODUCTS
from tests.kernels.loss_rows import TABLE as LOSSES

REPEATED = np.array([[0, 2], [2, 2]])
LABELS = np.array([0, 3, 1, 1, 2])
MEANS = np.array([0.5, -1, 0.25, 1])
GRID = np.linspace(-1.9, 1.9, 24, dtype=np.float32).reshape(2, 3, 2, 2)
MASK = np.array([[True, False, True], [False, False, True]])


def _of_loss(row: Any) -> Row:
    """Make a row of one from the table of losses, with what is not differentiated already given."""
    loss = getattr(F, row.name)

    def make(rng: np.random.Generator) -> tuple[Any, ...]:
        return row.make(rng)[: row.operands]  # type: ignore[no-any-return]

    rest = row.make(np.random.default_rng(7))[row.operands :]

    @wraps(loss)
    def operation(*xs: Any) -> Any:
        others = [x.astype(xs[0].dtype) if x.dtype.kind == "f" else x for x in rest]
        return loss(*xs, *others, reduction="none", **row.options)

    return Row(operation, make=make)


TABLE = {
    # --- arithmetic
    "add": Row(F.add, ((3, 4), (3, 4))),
    "add broadcast": Row(F.add, ((2, 1, 4), (3, 1))),
    "add scalar array": Row(F.add, ((), (3, 2))),
    "sub": Row(F.sub, ((3, 1), (1, 4))),
    "mul": Row(F.mul, ((2, 3, 4), (3, 1))),
    "mul number": Row(F.mul, ((3, 4),), {"other": 2.5}),
    "div": Row(F.div, make=positive((3, 4), (4,))),
    "pow square": Row(F.pow, ((3, 4),), {"exponent": 2}),
    "pow cube": Row(F.pow, ((3, 4),), {"exponent": 3}),
    "pow zero": Row(F.pow, ((3, 4),), {"exponent": 0}),
    "pow negative": Row(F.pow, make=positive((3, 4)), options={"exponent": -1.5}),
    "pow array": Row(F.pow, make=positive((3, 1), (4,))),
    "exp": Row(F.exp, ((3, 4),)),
    "log": Row(F.log, make=positive((3, 4))),
    "clamp": Row(F.clamp, ((5, 4),), {"min": -0.5, "max": 0.7}),
    "clamp below": Row(F.clamp, ((5, 4),), {"min": -0.5}),
    "clamp between arrays": Row(
        F.clamp, make=lambda rng: (rng.normal(size=(5, 4)), np.full(4, -0.5), np.full((5, 1), 0.7))
    ),
    "clamp from an array": Row(F.clamp, make=lambda rng: (rng.normal(size=(5, 4)), np.full((5, 1), -0.2))),
    "clamp above": Row(F.clip, ((5, 4),), {"max": 0.1}),
    "where": Row(F.where, make=lambda rng: (MASK, rng.normal(size=(2, 1)), rng.normal(size=(3,)))),
    "maximum": Row(F.maximum, ((3, 4), (4,))),
    "minimum": Row(F.minimum, ((3, 1), (3, 4))),
    # --- shaping
    "reshape": Row(lambda x: F.reshape(x, 4, -1), ((2, 3, 4),)),
    "reshape tuple": Row(lambda x: F.reshape(x, (6, 4)), ((2, 3, 4),)),
    "flatten": Row(F.flatten, ((2, 3, 4),), {"start_dim": 1}),
    "transpose": Row(F.transpose, ((2, 3, 4),), {"dim0": 0, "dim1": -1}),
    "permute": Row(lambda x: F.permute(x, 1, -1, 0), ((2, 3, 4),)),
    "permute reversed": Row(F.permute, ((2, 3, 4),)),
    "squeeze": Row(F.squeeze, ((2, 1, 3, 1),)),
    "squeeze one": Row(F.squeeze, ((2, 1, 3, 1),), {"dim": 1}),
    "unsqueeze": Row(F.unsqueeze, ((2, 3),), {"dim": -1}),
    "broadcast_to": Row(F.broadcast_to, ((3, 1),), {"shape": (2, 3, 4)}),
    "expand": Row(lambda x: F.expand(x, 2, -1, 4), ((3, 1),)),
    "getitem slices": Row(F.getitem, ((4, 5, 6),), {"index": (slice(1, None, 2), slice(None, None, -1), 3)}),
    "getitem ellipsis": Row(F.getitem, ((4, 5, 6),), {"index": (..., None, 2)}),
    "getitem number": Row(F.getitem, ((4, 5),), {"index": -1}),
    "getitem mask": Row(F.getitem, ((2, 3),), {"index": MASK}),
    "getitem repeated": Row(F.getitem, ((4, 3),), {"index": REPEATED}),
    "getitem list": Row(F.getitem, ((4, 3),), {"index": [1, 1, 3]}),
    "getitem pairs": Row(F.getitem, ((4, 3),), {"index": (REPEATED, REPEATED - 1)}),
    "getitem mixed": Row(F.getitem, ((4, 3, 5),), {"index": (slice(1, 3), REPEATED)}),
    "cat": Row(lambda *xs: F.cat(xs, dim=1), ((2, 3), (2, 1), (2, 4))),
    "stack": Row(lambda *xs: F.stack(xs, dim=-1), ((2, 3), (2, 3))),
    "split": Row(lambda x: F.split(x, [1, 3, 2], dim=1), ((2, 6),)),
    "split even": Row(lambda x: F.split(x, 2), ((5, 2),)),
    "split one used": Row(lambda x: F.split(x, 2)[1], ((5, 2),)),
    "chunk": Row(F.chunk, ((5, 2),), {"chunks": 3}),
    # --- reduction
    "sum": Row(F.sum, ((2, 3, 4),)),
    "sum dim": Row(F.sum, ((2, 3, 4),), {"dim": 1}),
    "sum dims": Row(F.sum, ((2, 3, 4),), {"dim": (0, -1), "keepdim": True}),
    "mean": Row(F.mean, ((2, 3, 4),)),
    "mean dim": Row(F.mean, ((2, 3, 4),), {"dim": (0, 2)}),
    "sum scalar": Row(F.sum, ((),), {"dim": -1}),
    "mean scalar": Row(F.mean, ((),), {"dim": 0}),
    "mean all": Row(F.mean, ((2, 3),), {"dim": ()}),
    "var": Row(F.var, ((2, 3, 4),)),
    "var dim": Row(F.var, ((2, 3, 4),), {"dim": (0, 2), "correction": 0}),
    "var keepdim": Row(F.var, ((3, 4),), {"dim": -1, "keepdim": True}),
    "std": Row(F.std, ((2, 3, 4),)),
    "std dim": Row(F.std, ((3, 4),), {"dim": 0, "correction": 0.5}),
    "prod": Row(F.prod, ((2, 3),)),
    "prod dim": Row(F.prod, ((2, 3, 4),), {"dim": 1}),
    "prod keepdim": Row(F.prod, ((3, 4),), {"dim": -1, "keepdim": True}),
    "prod zero": Row(F.prod, options={"dim": 1}, make=lambda rng: (np.array([[1.0, 0, 2], [0, 3, 0], [1, 2, 3]]),)),
    "prod scalar": Row(F.prod, ((),)),
    "max": Row(F.max, ((3, 4),)),
    "max scalar": Row(lambda x: F.max(x, dim=-1).values, ((),)),
    "max dim": Row(lambda x: F.max(x, dim=1).values, ((3, 4),)),
    "max keepdim": Row(lambda x: F.max(x, dim=0, keepdim=True).values, ((3, 4),)),
    "min": Row(F.min, ((3, 4),)),
    "min dim": Row(lambda x: F.min(x, dim=-1).values, ((3, 4),)),
    # --- matmul
    "matmul": Row(F.matmul, ((3, 4), (4, 5))),
    "matmul vectors": Row(F.matmul, ((4,), (4,))),
    "matmul vector matrix": Row(F.matmul, ((4,), (4, 5))),
    "matmul matrix vector": Row(F.matmul, ((3, 4), (4,))),
    "matmul vector stack": Row(F.matmul, ((4,), (2, 4, 5))),
    "matmul stack vector": Row(F.matmul, ((2, 3, 4), (4,))),
    "matmul stacks": Row(F.matmul, ((2, 1, 3, 4), (5, 4, 2))),
    "matmul stack matrix": Row(F.matmul, ((2, 3, 4), (4, 5))),
    "matmul matrix stack": Row(F.matmul, ((3, 4), (2, 4, 5))),
    "embedding": Row(lambda weight: F.embedding(REPEATED, weight, padding_idx=-1), ((4, 3),)),
    "embedding by count": Row(lambda weight: F.embedding([2, 0, 1], weight, scale_grad_by_freq=True), ((4, 3),)),
    "linear": Row(F.linear, ((3, 4), (5, 4), (5,))),
    "linear without bias": Row(F.linear, ((2, 3, 4), (5, 4))),
    "linear vector": Row(F.linear, ((4,), (5, 4), (5,))),
    "linear relu": Row(F.linear, ((3, 4), (5, 4), (5,)), {"activation": "relu"}),
    "linear leaky_relu": Row(F.linear, ((3, 4), (5, 4), (5,)), {"activation": "leaky_relu"}),
    "linear sigmoid": Row(F.linear, ((3, 4), (5, 4), (5,)), {"activation": "sigmoid"}),
    "linear tanh": Row(F.linear, ((3, 4), (5, 4), (5,)), {"activation": "tanh"}),
    "linear gelu": Row(F.linear, ((3, 4), (5, 4), (5,)), {"activation": "gelu"}),
    # --- activation
    # --- softmax
    "softmax": Row(F.softmax, ((3, 4),)),
    "softmax dim": Row(F.softmax, ((2, 3, 4),), {"dim": 1}),
    "log_softmax": Row(F.log_softmax, ((3, 4),)),
    "log_softmax dim": Row(F.log_softmax, ((2, 3, 4),), {"dim": 0}),
    "gumbel_softmax": Row(lambda x: (manual_seed(3), F.gumbel_softmax(x, tau=0.7))[1], ((3, 4),)),
    # --- loss
    "cross_entropy labels": Row(F.cross_entropy, make=lambda rng: (rng.normal(size=(5, 4)), LABELS)),
    "cross_entropy none": Row(
        F.cross_entropy, make=lambda rng: (rng.normal(size=(5, 4)), LABELS), options={"reduction": "none"}
    ),
    "cross_entropy images": Row(
        F.cross_entropy, make=lambda rng: (rng.normal(size=(2, 4, 3, 5)), rng.integers(4, size=(2, 3, 5)))
    ),
    "cross_entropy probabilities": Row(F.cross_entropy, ((3, 4), (3, 4))),
    "cross_entropy probabilities none": Row(F.cross_entropy, ((2, 3, 4), (2, 3, 4)), {"reduction": "none"}),
    "cross_entropy vector": Row(F.cross_entropy, ((4,), (4,)), {"reduction": "sum"}),
    "cross_entropy weights": Row(
        F.cross_entropy,
        make=lambda rng: (rng.normal(size=(5, 4)), LABELS),
        options={"weight": np.array([0.5, 2.0, 1.0, 3.0]), "ignore_index": 1, "label_smoothing": 0.2},
    ),
    "nll_loss": Row(F.nll_loss, make=lambda rng: (rng.normal(size=(5, 4)), LABELS)),
    "ctc_loss": Row(
        F.ctc_loss,
        make=lambda rng: (
            rng.normal(size=(6, 2, 4)) - 2,
            np.array([[1, 2], [3, 3]]),
            np.array([6, 5]),
            np.array([2, 2]),
        ),
    ),
    **{f"loss {name}": _of_loss(row) for name, row in LOSSES.items()},
    # --- dropout: another mask at each call, so its gradient is tested on its own
    "dropout off": Row(F.dropout, ((3, 4),), {"training": False}),
    "dropout1d off": Row(F.dropout1d, ((3, 4),), {"training": False}),
    "dropout2d off": Row(F.dropout2d, ((3, 4, 2),), {"p": 0.0}),
    "dropout3d off": Row(F.dropout3d, ((3, 4, 2, 2),), {"p": 0.0}),
    "alpha_dropout off": Row(F.alpha_dropout, ((3, 4),)),
    "feature_alpha_dropout off": Row(F.feature_alpha_dropout, ((3, 4),)),
    # --- conv
    "conv2d": Row(F.conv2d, ((2, 3, 7, 6), (4, 3, 3, 2), (4,))),
    "conv2d without bias": Row(F.conv2d, ((3, 7, 6), (4, 3, 3, 2)), {"stride": 2, "padding": (2, 1)}),
    "conv2d groups": Row(F.conv2d, ((2, 4, 7, 6), (6, 2, 3, 2), (6,)), {"groups": 2, "dilation": 2, "padding": "same"}),
    "conv2d relu": Row(F.conv2d, ((2, 3, 7, 6), (4, 3, 3, 2), (4,)), {"activation": "relu"}),
    "conv2d tanh": Row(F.conv2d, ((2, 3, 7, 6), (4, 3, 3, 2), (4,)), {"activation": "tanh"}),
    "conv2d gelu": Row(F.conv2d, ((2, 3, 7, 6), (4, 3, 3, 2), (4,)), {"activation": "gelu"}),
    # --- pad
    "pad": Row(F.pad, ((2, 3, 4),), {"pad": (1, 2, -1, 3, 2, 0)}),
    "pad reflect": Row(F.pad, ((2, 4, 5),), {"pad": (3, 4, 1, -1), "mode": "reflect"}),
    "pad replicate": Row(F.pad, ((4, 3),), {"pad": (5, -1), "mode": "replicate"}),
    "pad circular": Row(F.pad, ((2, 4, 3, 2),), {"pad": (1, 2, 2, -1, 0, 2), "mode": "circular"}),
    "conv1d": Row(F.conv1d, ((2, 3, 11), (4, 3, 3), (4,)), {"stride": 2, "padding": 1, "activation": "relu"}),
    "conv1d gelu": Row(F.conv1d, ((3, 11), (4, 3, 3), (4,)), {"padding": "same", "activation": "gelu"}),
    "conv3d": Row(F.conv3d, ((2, 3, 4, 5, 3), (4, 3, 3, 2, 2), (4,)), {"padding": (1, 0, 2), "activation": "tanh"}),
    "conv3d groups": Row(
        F.conv3d, ((1, 4, 5, 4, 4), (6, 2, 2, 2, 1), (6,)), {"groups": 2, "stride": (2, 1, 1), "dilation": (2, 1, 2)}
    ),
    "conv_transpose1d": Row(F.conv_transpose1d, ((2, 3, 5), (3, 4, 3), (4,)), {"stride": 2, "activation": "relu"}),
    "conv_transpose2d": Row(
        F.conv_transpose2d, ((2, 3, 4, 3), (3, 2, 4, 3)), {"stride": (2, 3), "padding": 1, "output_padding": (0, 1)}
    ),
    "conv_transpose2d gelu": Row(
        F.conv_transpose2d, ((2, 4, 4, 3), (4, 3, 2, 3), (6,)), {"groups": 2, "dilation": 2, "activation": "gelu"}
    ),
    "conv_transpose3d": Row(
        F.conv_transpose3d, ((2, 3, 2, 3, 2), (3, 2, 3, 2, 2), (2,)), {"stride": (2, 1, 2), "padding": (1, 0, 0)}
    ),
    "unfold": Row(F.unfold, ((2, 3, 6, 5),), {"kernel_size": (3, 2), "dilation": (1, 2), "padding": 1, "stride": 2}),
    "fold": Row(F.fold, ((2, 12, 6),), {"output_size": (5, 7), "kernel_size": 2, "stride": (3, 2)}),
    # --- pool
    "max_pool1d": Row(F.max_pool1d, ((2, 3, 9),), {"kernel_size": 3, "stride": 2, "padding": 1}),
    "max_pool2d": Row(F.max_pool2d, ((2, 3, 6, 7),), {"kernel_size": 2}),
    "max_pool2d overlapping": Row(F.max_pool2d, ((3, 6, 7),), {"kernel_size": (3, 2), "stride": 2, "padding": 1}),
    "max_pool2d relu": Row(F.max_pool2d, ((3, 6, 7),), {"kernel_size": 2, "stride": 1, "activation": "relu"}),
    "max_pool2d indices": Row(lambda x: F.max_pool2d(x, 2, return_indices=True)[0], ((2, 3, 6, 7),)),
    "max_pool3d": Row(F.max_pool3d, ((2, 4, 5, 6),), {"kernel_size": 2, "dilation": (1, 2, 1), "ceil_mode": True}),
    "avg_pool1d": Row(F.avg_pool1d, ((2, 3, 9),), {"kernel_size": 4, "ceil_mode": True}),
    "avg_pool2d": Row(F.avg_pool2d, ((2, 3, 6, 7),), {"kernel_size": (3, 2), "stride": 2, "padding": 1}),
    "avg_pool2d inside": Row(F.avg_pool2d, ((3, 6, 7),), {"kernel_size": 3, "padding": 1, "count_include_pad": False}),
    "avg_pool3d": Row(F.avg_pool3d, ((2, 4, 5, 6),), {"kernel_size": 2, "stride": (1, 2, 2), "divisor_override": 3}),
    "sum_pool2d": Row(F.sum_pool2d, ((2, 3, 6, 7),), {"kernel_size": 3, "stride": 1}),
    "lp_pool1d": Row(F.lp_pool1d, make=positive((2, 3, 8)), options={"norm_type": 3.5, "kernel_size": 3, "stride": 2}),
    "lp_pool2d": Row(F.lp_pool2d, ((2, 3, 6, 7),), {"norm_type": 2, "kernel_size": 2, "ceil_mode": True}),
    "lp_pool3d": Row(F.lp_pool3d, ((2, 4, 4, 5),), {"norm_type": 2, "kernel_size": 2}),
    "adaptive_max_pool1d": Row(F.adaptive_max_pool1d, ((2, 3, 7),), {"output_size": 4}),
    "adaptive_max_pool2d": Row(F.adaptive_max_pool2d, ((2, 3, 6, 7),), {"output_size": (4, 3)}),
    "adaptive_max_pool3d": Row(F.adaptive_max_pool3d, ((2, 3, 4, 5),), {"output_size": (2, None, 3)}),
    "adaptive_avg_pool1d": Row(F.adaptive_avg_pool1d, ((2, 3, 7),), {"output_size": 4}),
    "adaptive_avg_pool2d": Row(F.adaptive_avg_pool2d, ((2, 3, 6, 7),), {"output_size": (4, 3)}),
    "adaptive_avg_pool3d": Row(F.adaptive_avg_pool3d, ((2, 3, 4, 5),), {"output_size": 1}),
    "max_unpool1d": Row(F.max_unpool1d, ((1, 4),), {"indices": np.array([[0, 3, 5, 6]]), "kernel_size": 2}),
    "max_unpool2d": Row(F.max_unpool2d, ((1, 2, 2),), {"indices": np.array([[[0, 3], [8, 15]]]), "kernel_size": 2}),
    "max_unpool3d": Row(F.max_unpool3d, ((1, 1, 1, 2),), {"indices": np.array([[[[0, 9]]]]), "kernel_size": 2}),
    # --- norm
    "layer_norm": Row(lambda x, w, b: F.layer_norm(x, (4, 5), w, b), ((3, 4, 5), (4, 5), (4, 5))),
    "layer_norm of everything": Row(lambda x, w, b: F.layer_norm(x, (4, 5), w, b), ((4, 5), (4, 5), (4, 5))),
    "rms_norm of everything": Row(lambda x, w: F.rms_norm(x, (4, 5), w), ((4, 5), (4, 5))),
    "layer_norm alone": Row(F.layer_norm, ((3, 7),), {"normalized_shape": 7, "eps": 0.1}),
    "rms_norm": Row(lambda x, w: F.rms_norm(x, 7, w), ((3, 7), (7,))),
    "group_norm": Row(lambda x, w, b: F.group_norm(x, 2, w, b), ((3, 6, 5), (6,), (6,))),
    "instance_norm": Row(lambda x, w, b: F.instance_norm(x, None, None, w, b), ((3, 4, 3, 2), (4,), (4,))),
    "batch_norm": Row(lambda x, w, b: F.batch_norm(x, None, None, w, b, True), ((3, 4, 3, 2), (4,), (4,))),
    "batch_norm of rows": Row(lambda x, w, b: F.batch_norm(x, None, None, w, b, True), ((5, 4), (4,), (4,))),
    "batch_norm in use": Row(lambda x, w: F.batch_norm(x, MEANS, MEANS + 2, w), ((3, 4, 5), (4,))),
    "batch_norm in use, rows": Row(lambda x, w: F.batch_norm(x, MEANS, MEANS + 2, w), ((3, 4), (4,))),
    "normalize": Row(F.normalize, ((3, 7),)),
    "normalize p": Row(F.normalize, ((3, 4, 5),), {"p": 3.5, "dim": 0}),
    "normalize largest": Row(F.normalize, ((3, 4),), {"p": np.inf}),
    "normalize sum": Row(F.normalize, ((3, 4),), {"p": 1, "dim": -1}),
    "normalize small": Row(F.normalize, ((3, 4),), {"eps": 100}),
    "local_response_norm": Row(F.local_response_norm, ((2, 6, 3, 2),), {"size": 3, "alpha": 0.9, "k": 0.5}),
    "local_response_norm even": Row(F.local_response_norm, ((2, 6, 3),), {"size": 4, "alpha": 2, "beta": 0.5}),
    # --- resize
    "interpolate": Row(F.interpolate, ((2, 3, 4, 5),), {"scale_factor": 1.7}),
    "interpolate linear": Row(F.interpolate, ((2, 3, 7),), {"size": 4, "mode": "linear"}),
    "interpolate bilinear": Row(F.interpolate, ((1, 2, 4, 5),), {"size": (7, 3), "mode": "bilinear"}),
    "interpolate trilinear": Row(
        F.interpolate, ((1, 2, 2, 3, 4),), {"size": (3, 5, 2), "mode": "trilinear", "align_corners": True}
    ),
    "interpolate bicubic": Row(F.interpolate, ((1, 2, 4, 5),), {"scale_factor": (2, 0.7), "mode": "bicubic"}),
    "interpolate area": Row(F.interpolate, ((1, 2, 5, 6),), {"size": (3, 8), "mode": "area"}),
    "interpolate antialias": Row(
        F.interpolate, ((1, 2, 6, 7),), {"size": (3, 9), "mode": "bicubic", "antialias": True}
    ),
    "upsample": Row(F.upsample, ((2, 3, 4, 5),), {"scale_factor": 2}),
    "upsample_nearest": Row(F.upsample_nearest, ((2, 3, 4),), {"size": 7}),
    "upsample_bilinear": Row(F.upsample_bilinear, ((2, 3, 4, 5),), {"size": (3, 7)}),
    **{
        f"grid_sample {mode} {padding} {axes} {align}": Row(
            F.grid_sample,
            ((2, 3, 4, 5), (2, 3, 2, 2)) if axes == 2 else ((2, 2, 3, 4, 5), (2, 2, 1, 3, 3)),
            {"mode": mode, "padding_mode": padding, "align_corners": align},
        )
        for mode, axes in (("bilinear", 2), ("bilinear", 3), ("bicubic", 2))
        for padding in ("zeros", "border", "reflection")
        for align in (False, True)
    },
    "grid_sample nearest": Row(lambda x: F.grid_sample(x, GRID, "nearest", "reflection"), ((2, 3, 4, 5),)),
    "affine_grid": Row(F.affine_grid, ((2, 2, 3),), {"size": (2, 3, 4, 5)}),
    "affine_grid volume": Row(F.affine_grid, ((2, 3, 4),), {"size": [2, 1, 3, 4, 1], "align_corners": True}),
    "pixel_shuffle": Row(F.pixel_shuffle, ((2, 8, 3, 2),), {"upscale_factor": 2}),
    "pixel_unshuffle": Row(F.pixel_unshuffle, ((2, 6, 9),), {"downscale_factor": 3}),
    "channel_shuffle": Row(F.channel_shuffle, ((2, 6, 3),), {"groups": 3}),
}
TABLE |= {  # --- activation
    name: Row(getattr(F, name), ((3, 4),), dict.fromkeys([k for k, v in spec.parameters.items() if v is None], 0.3))
    for name, spec in FORMULAS.items()
    if name != "gelu_tanh" and name not in TABLE
}
TABLE |= {
    "leaky_relu steep": Row(F.leaky_relu, ((3, 4),), {"negative_slope": -2.0}),
    "gelu tanh": Row(F.gelu, ((3, 4),), {"approximate": "tanh"}),
    "prelu": Row(F.prelu, ((2, 3, 5), (3,))),
    "prelu rows": Row(F.prelu, ((70, 3), (3,))),
    "prelu one": Row(F.prelu, ((3, 4), (1,))),
    "rrelu": Row(F.rrelu, ((3, 4),)),
    "glu": Row(F.glu, ((3, 4),)),
    "glu dim": Row(F.glu, ((2, 6, 3),), {"dim": 1}),
    "softmin": Row(F.softmin, ((3, 4),)),
}

TABLE |= {  # --- in place, of a result that is to be kept
    "celu_": Row(lambda x: F.celu_(F.mul(x, 1)), ((3, 4),)),
    "elu_": Row(lambda x: F.elu_(F.mul(x, 1), 0.5), ((3, 4),)),
    "hardtanh_": Row(lambda x: F.hardtanh_(F.mul(x, 1), -0.5, 0.7), ((3, 4),)),
    "leaky_relu_": Row(lambda x: F.leaky_relu_(F.mul(x, 1), negative_slope=0.3), ((3, 4),)),
    "relu_": Row(lambda x: F.relu_(F.mul(x, 1)), ((3, 4),)),
    "rrelu_": Row(lambda x: F.rrelu_(F.mul(x, 1)), ((3, 4),)),
    "selu_": Row(lambda x: F.selu_(F.mul(x, 1)), ((3, 4),)),
    "threshold_": Row(lambda x: F.threshold_(F.mul(x, 1), 0.1, 0.7), ((3, 4),)),
}
TABLE |= {
    "normalize negative": Row(F.normalize, make=positive((3, 4)), options={"p": -1.5}),
    "normalize smallest": Row(F.normalize, make=positive((3, 4)), options={"p": -np.inf, "dim": 0}),
    "normalize number": Row(F.normalize, ((3, 4),), {"p": 0}),
    "avg_pool2d negative": Row(
        F.avg_pool2d, ((2, 3, 6, 7),), {"kernel_size": (3,), "padding": (1,), "divisor_override": -3}
    ),
    "prelu scalar": Row(F.prelu, ((3, 4), ())),
    "softmax none": Row(F.softmax, ((2, 3, 4),), {"dim": None}),
    "softmin none": Row(F.softmin, ((2, 3),), {"dim": None}),
    "gaussian_nll_loss broadcast": Row(F.gaussian_nll_loss, ((3, 1), (4,)), {"var": 0.5, "reduction": "sum"}),
    "multi_margin_loss number": Row(lambda x: F.multi_margin_loss(x, np.array(0)), ((),)),
    "multi_margin_loss vector": Row(lambda x: F.multi_margin_loss(x, np.array([2]), reduction="none"), ((4,),)),
    "multilabel_margin_loss number": Row(lambda x: F.multilabel_margin_loss(x, np.array(0)), ((),)),
    "triplet_margin_loss numbers": Row(F.triplet_margin_loss, ((), (), ())),
}
TABLE |= DERIVED | INDEXING | MATHEMATICS | ORDER | PRODUCTS

WITHOUT_GRADIENT = {
    "isin",
    "argmax", "argmin", "argsort", "argwhere", "bincount", "bucketize", "histc", "nonzero", "one_hot", "searchsorted",
    "count_nonzero", "float_power", "heaviside", "isneginf", "isposinf", "isreal", "positive",
    "tril_indices", "triu_indices", "unique", "unique_consecutive", "unravel_index", *F.comparison.__all__,
}  # fmt: skip
