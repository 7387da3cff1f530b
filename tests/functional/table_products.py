"""Rows of the table for products and distances of vectors, matrices and stacks of them."""

from __future__ import annotations

import numpy as np

from fastnn import functional as F
from tests.functional.row import Row

SCALED = {"beta": 0.5, "alpha": -2}

PRODUCTS = {
    "mm": Row(F.mm, ((3, 4), (4, 2))),
    "bmm": Row(F.bmm, ((2, 3, 4), (2, 4, 2))),
    "mv": Row(F.mv, ((3, 4), (4,))),
    "dot": Row(F.dot, ((4,), (4,))),
    "vdot": Row(F.vdot, ((4,), (4,))),
    "outer": Row(F.outer, ((3,), (4,))),
    "inner": Row(F.inner, ((2, 3, 4), (5, 4))),
    "inner scalar": Row(F.inner, ((2, 3), ())),
    "tensordot": Row(F.tensordot, ((2, 3, 4), (3, 4, 2))),
    "tensordot lists": Row(F.tensordot, ((2, 3, 4), (4, 2)), {"dims": ([0, 2], [1, 0])}),
    "tensordot none": Row(F.tensordot, ((2, 3), (4,)), {"dims": 0}),
    "kron": Row(F.kron, ((2, 3), (3, 1, 2))),
    "chain_matmul": Row(F.chain_matmul, ((2, 5), (5, 3), (3, 1), (1, 4))),
    "multi_dot": Row(lambda *xs: F.multi_dot(xs), ((3,), (3, 4), (4,))),
    "addmm": Row(lambda *xs: F.addmm(*xs, **SCALED), ((2,), (3, 4), (4, 2))),
    "addmm plain": Row(F.addmm, ((3, 2), (3, 4), (4, 2))),
    "addmv": Row(lambda *xs: F.addmv(*xs, **SCALED), ((3,), (3, 4), (4,))),
    "addr": Row(lambda *xs: F.addr(*xs, **SCALED), ((3, 1), (3,), (4,))),
    "baddbmm": Row(lambda *xs: F.baddbmm(*xs, **SCALED), ((3, 2), (2, 3, 4), (2, 4, 2))),
    "addbmm": Row(lambda *xs: F.addbmm(*xs, **SCALED), ((3, 2), (5, 3, 4), (5, 4, 2))),
    "bilinear": Row(F.bilinear, ((2, 3, 4), (2, 3, 5), (6, 4, 5), (6,))),
    "einsum": Row(lambda *xs: F.einsum("bij,bjk->bik", *xs), ((2, 3, 4), (2, 4, 3))),
    "einsum diagonal": Row(lambda x: F.einsum("iij->j", x), ((3, 3, 2),)),
    "einsum attention": Row(lambda *xs: F.einsum("bqhd,bkhd->bhqk", *xs), ((2, 3, 2, 4), (2, 5, 2, 4))),
    "einsum ellipsis": Row(lambda *xs: F.einsum("...i,ij->j...", *xs), ((2, 3, 4), (4, 5))),
    "einsum three": Row(lambda *xs: F.einsum("bn,anm,bm->ba", *xs), ((2, 3), (4, 3, 2), (2, 2))),
    "einsum elements": Row(lambda *xs: F.einsum("ij,j,k->kij", *xs), ((2, 3), (3,), (2,))),
    "einsum sums": Row(lambda *xs: F.einsum("ij,kl->", *xs), ((2, 3), (3, 2))),
    "einsum lists": Row(lambda x, y: F.einsum(x, [0, 1], y, [1, 2], [2, 0]), ((2, 3), (3, 4))),
    # --- distance
    "cdist": Row(F.cdist, ((2, 3, 4), (2, 5, 4))),
    "cdist broadcast": Row(F.cdist, ((2, 1, 3, 4), (5, 4)), {"p": 3.5}),
    "cdist sum": Row(F.cdist, ((3, 4), (2, 4)), {"p": 1}),
    "cdist largest": Row(F.cdist, ((3, 4), (2, 4)), {"p": np.inf}),
    "cdist of itself": Row(lambda x: F.cdist(x, x), ((3, 4),)),
    "pdist": Row(F.pdist, ((4, 3),)),
    "pairwise_distance": Row(F.pairwise_distance, ((3, 4), (4,)), {"eps": 0.1}),
    "pairwise_distance keepdim": Row(F.pairwise_distance, ((2, 1, 4), (3, 4)), {"p": 1, "keepdim": True}),
    "cosine_similarity": Row(F.cosine_similarity, ((3, 4), (3, 4))),
    "cosine_similarity broadcast": Row(F.cosine_similarity, ((2, 3, 4), (3, 1)), {"dim": -1, "eps": 0.9}),
    "triplet_margin_with_distance_loss": Row(
        F.triplet_margin_with_distance_loss, ((3, 4), (3, 4), (3, 4)), {"swap": True, "reduction": "sum"}
    ),
    "triplet_margin_with_distance_loss cosine": Row(
        F.triplet_margin_with_distance_loss, ((3, 4), (3, 4), (3, 4)), {"distance_function": F.cosine_similarity}
    ),
    "linear_cross_entropy": Row(
        lambda x, w, b: F.linear_cross_entropy(x, w, np.array([0, 2, 1]), linear_bias=b), ((3, 4), (5, 4), (5,))
    ),
    "linear_cross_entropy deep": Row(
        lambda x, w: F.linear_cross_entropy(x, w, np.array([[0, 2], [1, 1]]), label_smoothing=0.2), ((2, 4), (5, 2, 4))
    ),
}
