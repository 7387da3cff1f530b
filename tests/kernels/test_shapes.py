"""Argument checks: what passes, what is converted, and what each error says."""

import pickle
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastnn_kernels.ground import checks as shapes
from fastnn_kernels.ground.checks import (
    as_float_array,
    check_out,
    contiguous,
    conv_output_size,
    integer,
    normalize_dim,
    output,
    overlap,
    padding_sides,
    pair,
    promote,
)

X = np.arange(12, dtype=np.float32).reshape(3, 4)


def says(message):
    return re.escape(message)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_arrays_pass_untouched(dtype):
    x = X.astype(dtype)
    for view in (x, x.T, x[::2, ::-1], x[:0], x[1, 1, ...]):
        assert as_float_array("f", "x", view) is view


@pytest.mark.parametrize(
    ("x", "dtype"),
    [
        ([1.0, 2.0], np.float64),
        (3.5, np.float64),
        (np.float32(2), np.float32),
        (np.array([1, 2], ">f4"), np.float32),
        (np.array([1, 2], ">f8"), np.float64),
        (memoryview(np.ones(3, np.float32)), np.float32),
        (np.ones((2, 2)).view(np.recarray), np.float64),
    ],
)
def test_what_is_float_in_another_form_is_converted(x, dtype):
    made = as_float_array("f", "x", x)
    assert type(made) is np.ndarray and made.dtype == dtype and made.dtype.isnative
    np.testing.assert_array_equal(made, np.asarray(x))


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_a_matrix_becomes_a_plain_view():
    matrix = np.matrix([[1.0, 2.0]])
    made = as_float_array("f", "x", matrix)
    assert type(made) is np.ndarray and np.shares_memory(made, matrix)


@pytest.mark.parametrize(
    ("x", "name"),
    [
        (np.ones(2, np.int64), "int64"),
        (np.ones(2, bool), "bool"),
        (np.ones(2, np.float16), "float16"),
        (np.ones(2, np.complex64), "complex64"),
        (np.ones(2, np.longdouble), str(np.dtype(np.longdouble))),
        (np.array([1.0, None]), "object"),
        (["a"], "<U1"),
        ([1, 2], "int64"),
        (np.ones(2, ">i4"), "byte-swapped int32"),
        (np.zeros(2, [("a", "f4")]), "[('a', '<f4')]"),
    ],
)
def test_other_dtypes_are_refused_by_name(x, name):
    with pytest.raises(TypeError, match=f"^{says(f'conv2d: weight must be float32 or float64, got {name}')}$"):
        as_float_array("conv2d", "weight", x)


def test_what_is_missing_is_refused():
    with pytest.raises(TypeError, match="^conv2d: weight must be an array, got None$"):
        as_float_array("conv2d", "weight", None)


def test_masked_and_ragged_arrays_are_refused():
    with pytest.raises(TypeError, match=says("relu: input is a masked array; fill it first: input.filled(0)")):
        as_float_array("relu", "input", np.ma.masked_equal([1.0, 2.0], 2.0))
    with pytest.raises(ValueError, match="relu: input is not rectangular"):
        as_float_array("relu", "input", [[1.0], [1.0, 2.0]])


def test_ranks():
    assert as_float_array("f", "x", X, 2) is X and as_float_array("f", "x", X, (2, 3)) is X
    with pytest.raises(ValueError, match=says("f: x must have 4 dimensions, got shape (3, 4)")):
        as_float_array("f", "x", X, 4)
    with pytest.raises(ValueError, match=says("f: x must have 1 dimension, got shape (3, 4)")):
        as_float_array("f", "x", X, 1)
    with pytest.raises(ValueError, match=says("f: x must have 3 or 4 dimensions, got shape (3, 4)")):
        as_float_array("f", "x", X, (3, 4))


def test_promote():
    x4, x8 = X, X.astype(np.float64)
    assert [a is b for a, b in zip(promote("f", a=x4, b=x4.T, c=None), (x4, x4.T, None), strict=True)] == [1, 0, 1]
    assert promote("f", a=x8, b=x8) == (x8, x8) or promote("f", a=x8, b=x8)[0] is x8
    for mixed in (promote("f", a=x4, b=x8), promote("f", a=x8, b=x4), promote("f", a=x4, b=[[1.0]])):
        assert [a.dtype for a in mixed] == [np.float64] * 2
    a, b, c = promote("f", a=None, b=x4.astype(">f4"), c=x4)
    assert a is None and b.dtype == c.dtype == np.float32 and c is x4
    with pytest.raises(TypeError, match=says("linear: bias must be float32 or float64, got int64")):
        promote("linear", input=x4, weight=x4, bias=np.arange(3))


def test_contiguous():
    zero = np.array(3.0)
    assert contiguous(X) is X and contiguous(zero) is zero
    assert contiguous(X.T).flags.c_contiguous and (contiguous(X.T) == X.T).all()


def test_pair_and_integer():
    assert pair("f", "stride", 2, 1) == (2, 2) == pair("f", "stride", np.int32(2), 1) == pair("f", "stride", [2, 2], 1)
    assert pair("f", "stride", (1, np.int64(3)), 1) == (1, 3) == pair("f", "stride", np.array([1, 3]), 1)
    assert all(type(v) is int for v in pair("f", "stride", np.array([1, 3]), 1))
    assert integer("f", "groups", np.uint8(4), 1) == 4
    for value, error, message in [
        (0, ValueError, "f: stride must be at least 1, got 0"),
        ((1, -2), ValueError, "f: stride must be at least 1, got -2"),
        ((1, 2, 3), ValueError, "f: stride must be an integer or a pair of them, got (1, 2, 3)"),
        (2**31, ValueError, "f: stride must be below 2**31, got 2147483648"),
        ((1, 2**70), ValueError, "f: stride must be below 2**31"),
        (1.5, TypeError, "f: stride must be an integer, got 1.5"),
        ((1, 2.0), TypeError, "f: stride must be an integer, got 2.0"),
        (True, TypeError, "f: stride must be an integer, got True"),
        ("same", TypeError, "f: stride must be an integer or a pair of them, got 'same'"),
        (None, TypeError, "f: stride must be an integer or a pair of them, got None"),
        (((1, 2), (3, 4)), TypeError, "f: stride must be an integer or a pair of them"),
    ]:
        with pytest.raises(error, match=says(message)):
            pair("f", "stride", value, 1)


def test_padding():
    assert padding_sides("f", 2, (3, 3)) == (2, 2, 2, 2) and padding_sides("f", (1, 0), (3, 3)) == (1, 1, 0, 0)
    assert padding_sides("f", "valid", (3, 3), (2, 2)) == (0, 0, 0, 0)
    assert padding_sides("f", "same", (3, 4)) == (1, 1, 1, 2)
    assert padding_sides("f", "same", (3, 4, 5), None, (1, 3, 1)) == (1, 1, 4, 5, 2, 2)
    assert padding_sides("f", 2, (3,)) == (2, 2) == padding_sides("f", [2], (3,))
    with pytest.raises(ValueError, match=says("f: padding must be an integer or 3 of them, got (1, 2)")):
        padding_sides("f", (1, 2), (3, 3, 3))
    with pytest.raises(ValueError, match=says("f: padding must be 'same', 'valid' or integers, got 'full'")):
        padding_sides("f", "full", (3, 3))
    with pytest.raises(ValueError, match=says("f: padding='same' needs stride 1, got (2, 1)")):
        padding_sides("f", "same", (3, 3), (2, 1))
    with pytest.raises(ValueError, match="f: padding must be at least 0, got -1"):
        padding_sides("f", -1, (3, 3))


window = st.tuples(st.integers(1, 9), st.integers(1, 5), st.integers(1, 3), st.integers(0, 3), st.integers(1, 3))


@given(window, window)
def test_output_size_counts_the_places_of_the_window(vertical, horizontal):
    def places(size, kernel, stride, padding, dilation):
        last = size + 2 * padding - 1
        return sum(1 for start in range(0, last + 1, stride) if start + dilation * (kernel - 1) <= last)

    size, kernel, stride, padding, dilation = zip(vertical, horizontal, strict=True)
    expected = places(*vertical), places(*horizontal)
    if min(expected) < 1:
        with pytest.raises(ValueError, match="pool: kernel .* is larger than the padded input"):
            conv_output_size("pool", size, kernel, stride, padding, dilation)
    else:
        assert conv_output_size("pool", size, kernel, stride, padding, dilation) == expected


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4))
def test_same_padding_keeps_the_size(size, kernel, dilation):
    pads = padding_sides("conv2d", "same", (kernel, 1), (1, 1), (dilation, 1))
    assert conv_output_size("conv2d", (size, 7), (kernel, 1), (1, 1), pads, (dilation, 1)) == (size, 7)


def test_normalize_dim():
    assert [normalize_dim("f", d, 3) for d in (-3, -1, 0, 2, np.int8(1))] == [0, 2, 0, 2, 1]
    assert normalize_dim("f", -1, 0) == 0
    with pytest.raises(ValueError, match="softmax: dim must be from -2 to 1 for 2 dimensions, got 2"):
        normalize_dim("softmax", 2, 2)
    for wrong in (1.0, None, True):
        with pytest.raises(TypeError, match="softmax: dim must be an integer"):
            normalize_dim("softmax", wrong, 2)


def test_check_out():
    out = np.empty((3, 4), np.float32)
    assert output("f", out, (3, 4), X.dtype, X, None) is out
    assert check_out("f", out[:, ::2], (3, 2), X.dtype, X).shape == (3, 2)
    made = output("f", None, (3, 4), X.dtype, X)
    assert made.shape == (3, 4) and made.dtype == X.dtype
    frozen = out.copy()
    frozen.flags.writeable = False
    for wrong, error, message in [
        ([1.0], TypeError, "f: out must be a plain array, got list"),
        (np.ones((1, 1)).view(np.matrix), TypeError, "f: out must be a plain array, got matrix"),
        (np.ma.ones(1), TypeError, "f: out must be a plain array, got MaskedArray"),
        (np.empty((3, 4)), TypeError, "f: out must be float32, got float64"),
        (np.empty((3, 4), ">f4"), TypeError, "f: out must be float32, got byte-swapped float32"),
        (np.empty((4, 3), np.float32), ValueError, "f: out must have shape (3, 4), got (4, 3)"),
        (frozen, ValueError, "f: out is read-only"),
        (np.lib.stride_tricks.as_strided(out, (3, 4), (0, 4)), ValueError, "f: out is broadcast"),
        (X, ValueError, "f: out overlaps an input"),
        (X[::-1], ValueError, "f: out overlaps an input"),
    ]:
        with pytest.raises(error, match=says(message)):
            check_out("f", wrong, (3, 4), X.dtype, None, X)


def test_overlap_is_exact_for_interleaved_views():
    both = np.empty((4, 8))
    assert not overlap(both[:, ::2], both[:, 1::2])
    assert overlap(both[:, 1:], both[:, :2])
    assert not overlap(both[:0], both)


def test_sizes_that_overflow():
    for shape in [(2**31, 2**31, 2**31), (2**62, 4), (2**63,), (2**40, 2**20), (2**46,)]:
        with pytest.raises(ValueError, match=says(f"conv2d: an output of shape {shape} does not fit into memory")):
            output("conv2d", None, shape, X.dtype)


class TestOperand:
    def test_plain_arrays_are_handed_through(self):
        x = np.ones((3, 4), np.float32)
        assert shapes.operand("f", "x", x, (3, 4)) is x

    @pytest.mark.parametrize(
        "make",
        [
            lambda x: x[::-1][::-1],
            lambda x: np.asfortranarray(x),
            lambda x: np.repeat(x, 2, axis=1)[:, ::2],
            lambda x: x.astype(x.dtype.newbyteorder()),
            lambda x: pickle.loads(pickle.dumps(x)),
            lambda x: np.frombuffer(b"." + x.tobytes(), np.uint8)[1:].view(x.dtype).reshape(x.shape),
            lambda x: x.astype(np.dtype(x.dtype, metadata={"unit": "m"})),
            lambda x: x.view(np.recarray),
            lambda x: x.tolist(),
        ],
    )
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_every_layout_becomes_plain(self, make, dtype):
        x = np.arange(12, dtype=dtype).reshape(3, 4)
        y = shapes.operand("f", "x", make(x), (3, 4), np.dtype(dtype))
        assert type(y) is np.ndarray and y.dtype is np.dtype(dtype)
        assert y.flags.c_contiguous and y.flags.aligned
        np.testing.assert_array_equal(y, x)

    def test_errors(self):
        with pytest.raises(ValueError, match=r"f: output must have shape \(3, 4\), got \(4, 3\)"):
            shapes.operand("f", "output", np.ones((4, 3)), (3, 4))
        with pytest.raises(TypeError, match="f: output must be an array, got None"):
            shapes.operand("f", "output", None, (3, 4))
        with pytest.raises(TypeError, match="f: output is a masked array"):
            shapes.operand("f", "output", np.ma.ones((3, 4)), (3, 4))
        with pytest.raises(TypeError, match="f: output must be float32 or float64, got object"):
            shapes.operand("f", "output", [10**400], (1,))


class TestIndices:
    @pytest.mark.parametrize("dtype", ["i1", ">i2", "i4", "u4", ">i8", "u8"])
    def test_integers_of_any_kind(self, dtype):
        x = np.array([[3, 0, 9], [1, 2, 4]], dtype)[:, ::-1]
        y = shapes.indices("f", "index", x, (2, 3), 10)
        assert y.dtype is np.dtype(np.int64) and y.flags.c_contiguous
        np.testing.assert_array_equal(y, [[9, 0, 3], [4, 2, 1]])

    @pytest.mark.parametrize(
        ("x", "error", "message"),
        [
            (np.array([2**32]), ValueError, "f: index must be from 0 to 9, got 4294967296"),
            (np.array([-1]), ValueError, "f: index must be from 0 to 9, got -1"),
            (np.array([2**63], np.uint64), ValueError, "got 9223372036854775808"),
            ([10**400], TypeError, "f: index must be integers, got object"),
            (np.ones(1), TypeError, "f: index must be integers, got float64"),
            (np.ones(1, bool), TypeError, "f: index must be integers, got bool"),
            (None, TypeError, "f: index must be an array, got None"),
            (np.zeros((1, 1), int), ValueError, r"f: index must have shape \(1,\), got \(1, 1\)"),
        ],
    )
    def test_errors(self, x, error, message):
        with pytest.raises(error, match=message):
            shapes.indices("f", "index", x, (1,), 10)
