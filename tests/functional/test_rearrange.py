"""Other orders, copies, joined and cut tensors, diagonals: the values of NumPy, and what is refused."""

from itertools import combinations, product

import numpy as np
import pytest

from fastnn import Tensor
from fastnn import functional as F

X = np.arange(24.0).reshape(2, 3, 4)
CASES = [
    (lambda x: F.flip(x, 0, -1), lambda x: np.flip(x, (0, -1))),
    (lambda x: F.flip(x, (1,)), lambda x: np.flip(x, 1)),
    (F.fliplr, np.fliplr),
    (F.flipud, np.flipud),
    (lambda x: F.roll(x, 5), lambda x: np.roll(x, 5)),
    (lambda x: F.roll(x, (1, -2), (0, 2)), lambda x: np.roll(x, (1, -2), (0, 2))),
    *[(lambda x, k=k: F.rot90(x, k, (2, 0)), lambda x, k=k: np.rot90(x, k, (2, 0))) for k in range(-1, 5)],
    (lambda x: F.repeat(x, 2, 1, 2, 3), lambda x: np.tile(x, (2, 1, 2, 3))),
    (lambda x: F.tile(x, (2,)), lambda x: np.tile(x, 2)),
    (lambda x: F.repeat_interleave(x, 3, 1), lambda x: np.repeat(x, 3, 1)),
    (lambda x: F.repeat_interleave(x, np.array([2, 0, 1]), 1), lambda x: np.repeat(x, [2, 0, 1], 1)),
    (lambda x: F.repeat_interleave(x, 2), lambda x: np.repeat(x, 2)),
    (lambda x: F.movedim(x, (0, 1), (-1, 0)), lambda x: np.moveaxis(x, (0, 1), (-1, 0))),
    (lambda x: F.swapaxes(x, 0, -1), lambda x: np.swapaxes(x, 0, -1)),
    (lambda x: F.tensor_split(x, 3, 2), lambda x: np.array_split(x, 3, 2)),
    (lambda x: F.tensor_split(x, (1, 3), -1), lambda x: np.array_split(x, (1, 3), -1)),
    (lambda x: F.hsplit(x, 3), lambda x: np.hsplit(x, 3)),
    (lambda x: F.vsplit(x, [1]), lambda x: np.vsplit(x, [1])),
    (lambda x: F.dsplit(x, 2), lambda x: np.dsplit(x, 2)),
    (lambda x: F.unbind(x, 1), lambda x: list(np.moveaxis(x, 1, 0))),
    (
        lambda x: F.unfold_dimension(x, 2, 3, 1),
        lambda x: np.lib.stride_tricks.sliding_window_view(x, 3, 2),
    ),
    (lambda x: F.unflatten(x, -1, (2, -1)), lambda x: x.reshape(2, 3, 2, 2)),
    (lambda x: F.hstack([x, x]), lambda x: np.hstack([x, x])),
    (lambda x: F.hstack([x[0, 0], x[1, 0]]), lambda x: np.hstack([x[0, 0], x[1, 0]])),
    (lambda x: F.vstack([x[0, 0], x[1]]), lambda x: np.vstack([x[0, 0], x[1]])),
    (lambda x: F.dstack([x[0], x[1]]), lambda x: np.dstack([x[0], x[1]])),
    (lambda x: F.column_stack([x[0, 0], x[1].T]), lambda x: np.column_stack([x[0, 0], x[1].T])),
    (lambda x: F.atleast_3d(x[0, 0], x[0]), lambda x: [np.atleast_3d(x[0, 0]), np.atleast_3d(x[0])]),
    (lambda x: F.atleast_2d(x[0, 0, 0]), lambda x: np.atleast_2d(x[0, 0, 0])),
    (lambda x: F.atleast_1d(x[0, 0, 0]), lambda x: np.atleast_1d(x[0, 0, 0])),
    (lambda x: F.broadcast_tensors(x[:1], x[0]), lambda x: np.broadcast_arrays(x[:1], x[0])),
    (lambda x: F.meshgrid(x[0, 0], x[0, :, 0]), lambda x: np.meshgrid(x[0, 0], x[0, :, 0], indexing="ij")),
    (lambda x: F.meshgrid(x[0, 0], x[0, :, 0], indexing="xy"), lambda x: np.meshgrid(x[0, 0], x[0, :, 0])),
    (lambda x: F.cartesian_prod(x[:, 0, 0], x[0, 0, :2]), lambda x: list(product(x[:, 0, 0], x[0, 0, :2]))),
    (lambda x: F.combinations(x[0, 0, :3]), lambda x: list(combinations(x[0, 0, :3], 2))),
    (lambda x: F.tril(x, -1), lambda x: np.tril(x, -1)),
    (lambda x: F.triu(x, 1), lambda x: np.triu(x, 1)),
    (lambda x: F.diagonal(x, 1, 1, 2), lambda x: np.diagonal(x, 1, 1, 2)),
    (lambda x: F.diag(x[0, 0], -1), lambda x: np.diag(x[0, 0], -1)),
    (lambda x: F.diag(x[0], 1), lambda x: np.diag(x[0], 1)),
    (lambda x: F.diagflat(x[0], 2), lambda x: np.diagflat(x[0], 2)),
    (lambda x: F.diag_embed(x[0]), lambda x: np.stack([np.diag(row) for row in x[0]])),
    (lambda x: F.trace(x[0]), lambda x: np.trace(x[0])),
    (lambda x: F.block_diag(x[0, 0], x[0, :, :1]), lambda x: np.block([
        [x[:1, 0], np.zeros((1, 1))], [np.zeros((3, 4)), x[0, :, :1]],
    ])),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(CASES)))
def test_values_are_those_of_numpy(number):
    ours, theirs = CASES[number]
    for x in (X, X.astype(np.float32)[::-1], X.astype(int), np.asfortranarray(X), X.astype(">f8")):
        got, expected = ours(x), theirs(X[::-1] if x.dtype == np.float32 else X)
        if not isinstance(got, tuple):
            got, expected = [got], [expected]
        assert len(got) == len(expected)
        for a, b in zip(got, expected, strict=True):
            np.testing.assert_array_equal(a, b)
            assert a.dtype.type is x.dtype.type


def test_indices_of_triangles():
    np.testing.assert_array_equal(F.tril_indices(3, 4, 1), np.tril_indices(3, 1, 4))
    np.testing.assert_array_equal(F.triu_indices(3, 4, -1, device="cpu"), np.triu_indices(3, -1, 4))
    assert (
        isinstance(F.triu_indices(2, 2, dtype=np.int32), Tensor) and F.triu_indices(2, 2, dtype=np.int32).dtype == "i4"
    )
    with pytest.raises(RuntimeError, match="tril_indices: there is no device 'cuda'"):
        F.tril_indices(2, 2, device="cuda")


def test_arguments_by_name():
    for by_name, by_place in (
        (F.flip(X, dims=[0, 1]), F.flip(X, 0, 1)),
        (F.tile(X, dims=(2,)), F.tile(X, 2)),
        (F.repeat(X, repeats=(1, 2, 1)), F.repeat(X, 1, 2, 1)),
        (F.permute(input=X, dims=(2, 0, 1)), F.permute(X, 2, 0, 1)),
        (F.reshape(X, shape=(6, 4)), F.reshape(X, 6, 4)),
        (F.swapaxes(X, axis0=0, axis1=2), F.swapdims(X, dim0=0, dim1=2)),
        (F.tensor_split(X, sections=2, dim=2)[1], F.tensor_split(X, 2, 2)[1]),
        (F.tensor_split(X, indices=(1,), dim=2)[1], F.tensor_split(X, (1,), 2)[1]),
        (F.repeat_interleave(repeats=2, input=X, dim=1), F.repeat_interleave(X, 2, 1)),
    ):
        np.testing.assert_array_equal(by_name, by_place)
    np.testing.assert_array_equal(F.repeat_interleave(np.array([1, 0, 2])), [0, 2, 2])
    assert isinstance(F.repeat_interleave(Tensor([1, 2])), Tensor)
    with pytest.raises(TypeError, match="tensor_split: give one of indices_or_sections, sections and indices"):
        F.tensor_split(X, 2, sections=2)


def test_no_elements_and_no_dimensions():
    none, one = np.zeros((0, 3)), np.array(5.0)
    assert F.flip(none, 0).shape == F.roll(none, 1, 0).shape == F.repeat(none, 2, 1).shape == (0, 3)
    assert F.repeat_interleave(one, 2).tolist() == F.repeat(one, 2).tolist() == [5, 5]
    assert F.flip(one, 0) == F.movedim(one, 0, 0) == 5 and F.repeat(X, 0, 1, 1).shape == (0, 3, 4)
    assert F.unbind(none) == () and F.tril(none).shape == (0, 3)


def test_a_diagonal_can_be_written_to():
    x = np.zeros((2, 2))
    F.diagonal(x)[:] = 1
    np.testing.assert_array_equal(x, np.eye(2))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: F.flip(X, 0, -3), ValueError, r"flip: dims \(0, -3\) holds a dimension twice"),
        (lambda: F.flip(X, 3), ValueError, "flip: dims must be from -3 to 2"),
        (lambda: F.roll(X, (1, 2), 0), ValueError, "roll: shifts"),
        (lambda: F.roll(X, 1.5, 0), TypeError, "roll: shifts must be integers, got 1.5"),
        (lambda: F.rot90(X[0, 0]), ValueError, r"rot90: expected two dims of at least 2"),
        (lambda: F.repeat(X, 2), ValueError, r"repeat: 1 repeats \(2,\) for an input of shape \(2, 3, 4\)"),
        (lambda: F.tile(X, -1), ValueError, "tile: repeats must not be negative"),
        (lambda: F.repeat_interleave(X, [1, 2], 1), ValueError, "repeat_interleave: repeats must be an integer or 3"),
        (lambda: F.repeat_interleave(X, -1, 1), ValueError, "repeat_interleave: repeats must not be negative"),
        (lambda: F.movedim(X, (0, 1), 2), ValueError, "movedim: source"),
        (lambda: F.hsplit(X, 2), ValueError, "hsplit: dim 1 of shape .* cannot be cut into 2 parts"),
        (lambda: F.tensor_split(X, 0), ValueError, "tensor_split: dim 0"),
        (lambda: F.vsplit(X[0, 0], 2), ValueError, "vsplit: input must have at least 2 dimensions"),
        (lambda: F.unfold_dimension(X, 1, 4, 1), ValueError, "unfold_dimension: size 4 is more than dim 1"),
        (lambda: F.unflatten(X, 2, (3, -1)), ValueError, r"unflatten: sizes \(3, -1\) do not make up dim 2"),
        (lambda: F.broadcast_tensors(X, X[0, 0, :3]), ValueError, "broadcast_tensors: shapes"),
        (lambda: F.meshgrid(X), ValueError, "meshgrid: expected vectors"),
        (lambda: F.hstack([]), ValueError, "hstack: expected at least one tensor"),
        (lambda: F.vstack([X, None]), TypeError, r"vstack: tensors\[1\] must be a tensor or an array, got None"),
        (lambda: F.tril(X[0, 0]), ValueError, r"tril: input must have at least 2 dimensions, got shape \(4,\)"),
        (lambda: F.diagonal(X, 0, 1, -2), ValueError, "diagonal: dim1 and dim2 must differ"),
        (lambda: F.diag(X), ValueError, "diag: input must be a vector or a matrix"),
        (lambda: F.trace(X), ValueError, "trace: input must be a matrix"),
        (lambda: F.block_diag(X), ValueError, r"block_diag: tensors\[0\] must have at most 2"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
