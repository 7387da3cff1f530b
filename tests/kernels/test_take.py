"""Rows that are gathered."""

import numpy as np
import pytest

import fastnn_kernels as kernels


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.uint8, np.bool_, np.complex128, ">f4"])
@pytest.mark.parametrize("shape", [(1,), (), (3, 5), (0,), (700,)])
def test_take(rng, shape, dtype):
    a = rng.integers(0, 99, (50, *shape)).astype(dtype)
    indices = rng.integers(0, 50, 31)
    for kind in (np.int64, np.int32, np.uint8):
        np.testing.assert_array_equal(kernels.take(a, indices.astype(kind)), a[indices])
    np.testing.assert_array_equal(kernels.take(a[::2], indices // 2), a[::2][indices // 2])
    edges = np.array([-7, 0, 49, 99, 3])
    np.testing.assert_array_equal(kernels.take(a, edges, "clip"), a[[0, 0, 49, 49, 3]])
    if not a.dtype.isnative:
        return
    out = np.zeros((31, *shape), a.dtype)
    assert kernels.take(a, indices, out=out) is out
    np.testing.assert_array_equal(out, a[indices])


@pytest.mark.parametrize("width", [3, 700])
def test_indices_of_any_kind(rng, width):
    a, where = rng.random((300, width)), rng.integers(0, 255, 31)
    expected = a[where]
    unaligned = np.frombuffer(b"." + where.astype(np.int64).tobytes(), np.uint8)[1:].view(np.int64)
    kinds = ">i8", ">u2", "<u8", "u1", "i4"
    lying = unaligned, where.repeat(2)[::2], where[::-1].copy()[::-1], where.tolist()
    for indices in (*lying, *map(where.astype, kinds)):
        np.testing.assert_array_equal(kernels.take(a, indices), expected)
        np.testing.assert_array_equal(kernels.take(a, indices, "clip"), expected)
    np.testing.assert_array_equal(kernels.take(a, np.broadcast_to(np.int64(7), (5,))), a[[7] * 5])
    huge = np.array([2**64 - 1, 2**63, 299, 0], np.uint64)
    np.testing.assert_array_equal(kernels.take(a, huge, "clip"), a[[299, 299, 299, 0]])
    np.testing.assert_array_equal(kernels.take(a[:200], np.array([255, 0], np.uint8), "clip"), a[[199, 0]])
    for bad in (huge, np.array([2**32], np.int64), np.array([-(2**63)]), np.array([1 << 31, 0], np.uint32)):
        with pytest.raises(IndexError, match="take: indices must be in 0..299, got"):
            kernels.take(a, bad)


@pytest.mark.parametrize("width", [3, 700])
def test_rows_of_any_layout(rng, width):
    a, where = rng.random((50, width)), rng.integers(0, 50, 31)
    record = np.zeros(50, [("x", "u1"), ("a", "f8", width)])
    record["a"] = a
    frozen = np.frombuffer(a.tobytes()).reshape(a.shape)
    for rows in (record["a"], frozen, a[::-1][::-1], np.asfortranarray(a), a.repeat(2, 1)[:, ::2], a.view(np.recarray)):
        np.testing.assert_array_equal(kernels.take(rows, where), a[where])
        out = np.zeros(31, [("x", "u1"), ("y", "f8", width)])["y"]
        assert kernels.take(rows, where, out=out) is out
        np.testing.assert_array_equal(out, a[where])
    np.testing.assert_array_equal(kernels.take(record, where), record[where])
    for swapped in (a.astype(">f8"), a.astype(">f8")[:, ::2], record.astype([("x", ">u2"), ("a", ">f8", width)])):
        y = kernels.take(swapped, where)
        assert y.dtype == swapped.dtype.newbyteorder("=") and y.dtype.isnative
        np.testing.assert_array_equal(y, swapped[where].astype(y.dtype))
        assert kernels.take(swapped, where, "clip", out=y) is y
    with pytest.raises(ValueError, match="take: out overlaps an input"):
        kernels.take(a, where, out=a[:31])
    places = np.arange(62, dtype=np.int64).reshape(31, 2)
    with pytest.raises(ValueError, match="take: out overlaps an input"):
        kernels.take(np.zeros((99, 2), np.int64), places.reshape(-1)[:31], out=places)
    with pytest.raises(ValueError, match="take: out is read-only"):
        kernels.take(a, where, out=frozen[:31])


@pytest.mark.parametrize(
    ("a", "indices", "error", "message"),
    [
        (np.zeros((3, 2)), np.array([0, 3]), IndexError, r"take: indices must be in 0..2, got 0..3"),
        (np.zeros((3, 2)), np.array([-1, 0]), IndexError, "got -1..0"),
        (np.zeros((3, 2)), np.array([0.0]), ValueError, r"got \(3, 2\) and float64 \(1,\)"),
        (np.zeros(()), np.array([0]), ValueError, r"got \(\) and int64"),
        (np.zeros((3, 2)), np.array([[0]]), ValueError, r"int64 \(1, 1\)"),
        (np.zeros((3, 2)), np.array([True]), ValueError, "bool"),
        (None, np.array([0]), TypeError, "a must be an array, got None"),
        (np.zeros((3, 2)), None, TypeError, "indices must be an array, got None"),
        (np.ma.masked_all((3, 2)), np.array([0]), TypeError, "a is a masked array"),
        (np.zeros((3, 2)), np.ma.masked_all(1, int), TypeError, "indices is a masked array"),
        (np.zeros((0, 2)), np.array([0]), IndexError, "there are no rows"),
        (np.zeros(3, object), np.array([0]), TypeError, "array of objects"),
    ],
)
def test_bad_input(a, indices, error, message):
    with pytest.raises(error, match=message):
        kernels.take(a, indices)
