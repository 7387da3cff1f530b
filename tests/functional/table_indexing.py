"""Rows of the table for elements that are picked, put, rearranged, repeated, joined and cut."""

from __future__ import annotations

import numpy as np

from fastnn import functional as F
from tests.functional.row import Row

ROWS_OF_4 = np.array([1, 3, 1, 0, 1])
PLACES = np.array([[0, 3, 1], [3, 3, 0]])
MASK = np.array([[True, False, True], [False, False, True]])
TIES = np.array([[1.0, 2.0, 0.0], [2.0, 0.0, 1.0], [3.0, 1.0, 0.0], [0.5, 4.0, 2.0]])
KINDS = [(reduce, include) for reduce in ("sum", "mean", "prod", "amax", "amin") for include in (True, False)]


def _joined(reduce: str, include: bool) -> dict[str, Row]:
    """Make rows of what joins elements; include: whether those of the input count."""
    name, options = f"{reduce}{'' if include else ' of others'}", {"reduce": reduce, "include_self": include}
    rows = {"scatter_reduce " + name: Row(lambda x, s, **o: F.scatter_reduce(x, 0, PLACES, s, **o), ((4, 3), (2, 3)))}
    if reduce != "sum":
        rows["index_reduce " + name] = Row(lambda x, s, **o: F.index_reduce(x, 0, ROWS_OF_4, s, **o), ((4, 3), (5, 3)))
    return {key: row._replace(options=options) for key, row in rows.items()}


INDEXING = {
    # --- indexing
    "gather": Row(F.gather, ((4, 3),), {"dim": 0, "index": PLACES}),
    "gather last": Row(F.gather, ((2, 4),), {"dim": -1, "index": PLACES}),
    "take": Row(F.take, ((2, 4),), {"index": np.array([[7, -1], [0, 7]])}),
    "take_along_dim": Row(F.take_along_dim, ((1, 4, 3),), {"indices": PLACES[:, :, None], "dim": 1}),
    "take_along_dim flat": Row(F.take_along_dim, ((2, 4),), {"indices": PLACES}),
    "index_select": Row(F.index_select, ((4, 2),), {"dim": 0, "index": ROWS_OF_4}),
    "index_select last": Row(F.index_select, ((2, 3, 4),), {"dim": -1, "index": ROWS_OF_4}),
    "select": Row(F.select, ((2, 3, 4),), {"dim": 1, "index": -1}),
    "narrow": Row(F.narrow, ((2, 5),), {"dim": 1, "start": -4, "length": 2}),
    "masked_select": Row(F.masked_select, ((2, 1),), {"mask": MASK}),
    "masked_fill": Row(F.masked_fill, ((2, 1),), {"mask": MASK, "value": 3}),
    "masked_fill tensor": Row(lambda x, v: F.masked_fill(x, MASK, v), ((2, 3), ())),
    "masked_scatter": Row(lambda x, s: F.masked_scatter(x, MASK, s), ((3,), (5,))),
    "index_add": Row(lambda x, s: F.index_add(x, 1, ROWS_OF_4, s, alpha=-0.5), ((2, 4), (2, 5))),
    "index_add scalar": Row(lambda x, s: F.index_add(x, 0, np.array(0), s), ((), ())),
    "index_copy": Row(lambda x, s: F.index_copy(x, 1, np.array([2, 0]), s), ((3, 4), (3, 2))),
    "index_fill": Row(F.index_fill, ((3, 4),), {"dim": 1, "index": np.array([2, 0]), "value": 1.5}),
    "scatter": Row(lambda x, s: F.scatter(x, 0, PLACES[:, ::2], s), ((4, 3), (2, 3))),
    "scatter number": Row(F.scatter, ((4, 3),), {"dim": 0, "index": PLACES, "value": 1.5}),
    "scatter multiply": Row(lambda x, s: F.scatter(x, 0, PLACES, s, reduce="multiply"), ((4, 3), (2, 3))),
    "scatter_add": Row(lambda x, s: F.scatter_add(x, 1, PLACES, s), ((2, 4), (2, 3))),
    **{name: row for kind in KINDS for name, row in _joined(*kind).items()},
    "scatter_reduce zeros": Row(
        lambda x, s: F.scatter_reduce(x, 0, PLACES, s, "prod"), make=lambda rng: (TIES, np.array([[2.0, 3, 0]] * 2))
    ),
    "getitem rows": Row(F.getitem, ((4, 3, 2),), {"index": ROWS_OF_4}),
    "getitem pairs of rows": Row(F.getitem, ((4, 3, 2),), {"index": (ROWS_OF_4 - 4, ROWS_OF_4 % 3)}),
    "getitem apart": Row(F.getitem, ((4, 3, 2, 2),), {"index": (ROWS_OF_4, slice(1, None), ROWS_OF_4 % 2)}),
    "getitem mask and rows": Row(F.getitem, ((2, 3, 4),), {"index": (MASK, [1, 1, 3])}),
    # --- rearrange
    "movedim": Row(F.movedim, ((2, 3, 4),), {"source": (0, -1), "destination": (1, 0)}),
    "swapaxes": Row(F.swapaxes, ((2, 3, 4),), {"axis0": 0, "axis1": -1}),
    "reshape shape": Row(F.reshape, ((2, 3),), {"shape": (3, 2)}),
    "permute dims": Row(F.permute, ((2, 3, 4),), {"dims": (2, 0, 1)}),
    "flip": Row(lambda x: F.flip(x, 0, -1), ((2, 3, 4),)),
    "fliplr": Row(F.fliplr, ((2, 3),)),
    "flipud": Row(F.flipud, ((2, 3),)),
    "roll": Row(F.roll, ((2, 3, 4),), {"shifts": (1, -5), "dims": (0, 2)}),
    "roll all": Row(F.roll, ((2, 3),), {"shifts": 2}),
    "rot90": Row(F.rot90, ((2, 3, 4),), {"k": 3, "dims": (2, 0)}),
    "rot90 twice": Row(F.rot90, ((2, 3),), {"k": -2}),
    "repeat": Row(lambda x: F.repeat(x, 2, 1, 3), ((2, 3),)),
    "tile": Row(lambda x: F.tile(x, 2), ((2, 3),)),
    "repeat_interleave": Row(F.repeat_interleave, ((2, 3),), {"repeats": 2, "dim": 1}),
    "repeat_interleave each": Row(F.repeat_interleave, ((2, 3),), {"repeats": np.array([2, 0, 3]), "dim": -1}),
    "repeat_interleave flat": Row(F.repeat_interleave, ((2, 3),), {"repeats": 3}),
    "unbind": Row(F.unbind, ((2, 3, 4),), {"dim": 1}),
    "unbind one used": Row(lambda x: F.unbind(x, -1)[2], ((2, 3),)),
    "tensor_split": Row(F.tensor_split, ((5, 2),), {"indices_or_sections": 3}),
    "tensor_split before": Row(F.tensor_split, ((2, 5),), {"indices_or_sections": [1, 4], "dim": 1}),
    "hsplit": Row(F.hsplit, ((2, 4),), {"indices_or_sections": 2}),
    "vsplit": Row(F.vsplit, ((4, 2),), {"indices_or_sections": [1]}),
    "dsplit": Row(F.dsplit, ((1, 2, 4),), {"indices_or_sections": 2}),
    "unfold_dimension": Row(F.unfold_dimension, ((2, 7, 3),), {"dimension": 1, "size": 3, "step": 2}),
    "unflatten": Row(F.unflatten, ((2, 6),), {"dim": 1, "sizes": (2, -1)}),
    "atleast_1d": Row(F.atleast_1d, ((),)),
    "atleast_2d": Row(F.atleast_2d, ((3,),)),
    "atleast_3d": Row(F.atleast_3d, ((2, 3), (4,), (1, 2, 3))),
    "hstack": Row(lambda *xs: F.hstack(xs), ((2, 3), (2, 1))),
    "vstack": Row(lambda *xs: F.vstack(xs), ((2, 3), (3,))),
    "dstack": Row(lambda *xs: F.dstack(xs), ((2, 3), (2, 3))),
    "column_stack": Row(lambda *xs: F.column_stack(xs), ((3,), (3, 2))),
    "broadcast_tensors": Row(F.broadcast_tensors, ((2, 1), (3,))),
    "meshgrid": Row(F.meshgrid, ((2,), (3,), (4,)), {"indexing": "xy"}),
    "cartesian_prod": Row(F.cartesian_prod, ((2,), (3,))),
    "combinations": Row(F.combinations, ((4,),), {"r": 2, "with_replacement": True}),
    # --- diagonals
    "tril": Row(F.tril, ((2, 3, 4),), {"diagonal": 1}),
    "triu": Row(F.triu, ((3, 4),), {"diagonal": -1}),
    "diagonal": Row(F.diagonal, ((3, 2, 4),), {"offset": 1, "dim1": -1, "dim2": 0}),
    "diag_embed": Row(F.diag_embed, ((2, 3),), {"offset": -1, "dim1": 0}),
    "diag": Row(F.diag, ((3,),), {"diagonal": 1}),
    "diag of a matrix": Row(F.diag, ((3, 4),), {"diagonal": -1}),
    "diagflat": Row(F.diagflat, ((2, 2),)),
    "trace": Row(F.trace, ((3, 4),)),
    "block_diag": Row(F.block_diag, ((2, 3), (2,), ())),
}
