"""Dtypes of mixed operands are PyTorch's: nothing that looks like a number turns float32 into float64."""

import operator
import pickle

import numpy as np
import pytest

from fastnn import Tensor
from fastnn import functional as F
from fastnn.nn import Parameter

NUMBERS = [
    2, 2.0, True, np.float64(2), np.float32(2), np.float16(2), np.longdouble(2), np.int64(2), np.uint8(2),
    np.bool_(True), np.array(2.0), np.array(2), Tensor(np.float64(2)), Tensor(2),
]  # fmt: skip
OTHERS = [
    [1.0, 2.0], [1, 2], np.array([1, 2]), np.array([1, 2], np.int8), np.array([1, 2], np.uint64),
    np.array([True, True]), Tensor([1, 2]),
]  # fmt: skip
OPERATIONS = {
    **{name: getattr(operator, name) for name in ("add", "sub", "mul", "truediv", "pow")},
    "maximum": F.maximum,
    "minimum": F.minimum,
    "where": lambda a, b: F.where(np.array([True, False]), a, b),
    "numpy.add": np.add,
    "numpy.power": np.power,
    "numpy.where": lambda a, b: np.where(np.array([True, False]), a, b),
}
operands = pytest.mark.parametrize("other", NUMBERS + OTHERS, ids=lambda x: f"{type(x).__name__} {x!r}")


def single(recorded=False):
    return Tensor(np.array([1.0, 4.0], np.float32), requires_grad=recorded)


@operands
@pytest.mark.parametrize("name", OPERATIONS)
def test_float32_stays_float32_on_either_side(name, other):
    operation = OPERATIONS[name]
    exact = np.asarray(other, np.float64)
    for swap in (False, True):
        x = single(recorded=True)
        y = operation(other, x) if swap else operation(x, other)
        assert isinstance(y, Tensor) and y.dtype == np.float32
        wide = np.asarray(x, np.float64)
        np.testing.assert_allclose(y.numpy(), operation(exact, wide) if swap else operation(wide, exact), rtol=1e-6)
        y.sum().backward()
        assert x.grad.dtype == np.float32 and np.isfinite(x.grad).all()


@operands
@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "pow", "maximum", "minimum", "clamp"])
def test_functions_of_arrays(name, other):
    assert getattr(F, name)(single().numpy(), other).dtype == np.float32


@operands
@pytest.mark.parametrize("name", ["iadd", "isub", "imul", "itruediv", "ipow"])
def test_in_place(name, other):
    x = single()
    y = getattr(operator, name)(x, other)
    assert y is x and x.dtype == np.float32


@operands
def test_limits(other):
    x = single()
    for y in (x.clamp(other, 5), x.clamp(max=other), F.clamp(x, min=other), np.clip(x, other, 5.0)):
        assert isinstance(y, Tensor) and y.dtype == np.float32


def test_a_numpy_scalar_leaves_float32_alone():
    scores = Tensor(np.ones((2, 3), np.float32), requires_grad=True)
    assert F.softmax(scores / np.sqrt(64)).dtype == np.float32
    assert (np.sqrt(64) * scores).dtype == np.float32


def test_comparisons_are_made_in_the_precision_of_the_tensor():
    x = Tensor(np.array([0.1], np.float32))
    assert (x == np.float64(0.1)).tolist() == (np.float64(0.1) == x).tolist() == (x >= np.array(0.1)).tolist() == [True]
    assert (x == None).tolist() == [False]  # noqa: E711


@pytest.mark.parametrize(
    ("make", "dtype"),
    [
        (lambda: Tensor([1, 2]) / Tensor([1, 2]), "float32"),
        (lambda: Tensor([1, 2]) / 2, "float32"),
        (lambda: Tensor([True]) / Tensor([True]), "float32"),
        (lambda: Tensor([1, 2]) * 2.5, "float32"),
        (lambda: Tensor([1, 2]) ** 0.5, "float32"),
        (lambda: Tensor([1, 2]) * np.float64(2.5), "float32"),
        (lambda: F.clamp(Tensor([1, 2]), 0.5), "float32"),
        (lambda: Tensor([1, 2]).sqrt(), "float32"),
        (lambda: Tensor([1, 2]).exp(), "float32"),
        (lambda: F.log(np.array([1, 2])), "float32"),
        (lambda: F.cat([single(), Tensor([1, 2])]), "float32"),
        (lambda: F.stack([single(), Tensor([1, 2])]), "float32"),
        (lambda: F.stack([single().sum(), Tensor(2)]), "float32"),
        (lambda: F.clamp(single().numpy(), np.array([0, 0], np.int32)), "float32"),
        (lambda: F.where([True, False], Tensor([1, 2]), 0.5), "float32"),
        (lambda: Tensor([1, 2]) + 1, "int64"),
        (lambda: Tensor(np.array([1, 2], np.int8)) * Tensor(np.array([1, 2], np.int16)), "int16"),
        (lambda: single() * Tensor(np.ones(2)), "float64"),  # arrays with dimensions do promote
        (lambda: Tensor([1, 2]) * Tensor(np.float64(2)), "float64"),  # integers leave the choice to the float
        (lambda: single().sum() * Tensor(np.float64(2)), "float64"),  # two without dimensions
        (lambda: single().sum() * np.float64(2), "float32"),
        (lambda: F.stack([single().sum(), Tensor(np.float64(2))]), "float64"),
    ],
)
def test_dtypes_of_pytorch(make, dtype):
    assert make().dtype == dtype


def test_a_tensor_without_dimensions_gets_a_gradient_of_its_own_dtype():
    scale, x = Tensor(np.float64(3), requires_grad=True), single(recorded=True)
    y = x * scale
    y.sum().backward()
    assert y.dtype == x.grad.dtype == np.float32 and scale.grad.dtype == np.float64
    assert scale.grad == 5 and x.grad.tolist() == [3, 3]


def test_limits_that_are_tensors_have_gradients():
    x = Tensor(np.array([-2.0, 0.5, 7.0, 1.0]), requires_grad=True)
    low, high = Tensor(np.zeros(1), requires_grad=True), Tensor(np.array([1.0, 1.0, 2.0, 2.0]), requires_grad=True)
    y = F.clamp(x, low, high)
    y.backward(np.array([1.0, 10.0, 100.0, 1000.0]))
    assert y.tolist() == [0, 0.5, 2, 1]
    assert x.grad.tolist() == [0, 10, 0, 1000] and low.grad.tolist() == [1] and high.grad.tolist() == [0, 0, 100, 0]
    low, high = Tensor(np.array([3.0]), requires_grad=True), Tensor(np.array([2.0]), requires_grad=True)
    F.clamp(x, low, high).sum().backward()  # a crossed pair: the upper limit decides
    assert low.grad.tolist() == [0] and high.grad.tolist() == [4]


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "i8", "u2", "?"])
def test_tensors_hold_native_arrays_with_numpys_own_dtypes(dtype):
    own = np.dtype(np.dtype(dtype).type)
    array = np.array([[0, 1, 1], [1, 0, 1]], dtype)
    for data in (
        array.astype(own.newbyteorder(">")),
        array.astype(own.newbyteorder("<")),
        pickle.loads(pickle.dumps(array)),
        array.view(np.dtype(dtype, metadata={"unit": "m"})),
    ):
        x = Tensor(data, requires_grad=own.kind == "f")
        assert x.dtype is own
        np.testing.assert_array_equal(x.numpy(), array)
        if data.dtype.isnative:
            assert np.shares_memory(x.numpy(), data)
        if own.kind == "f":
            (x * x).sum().backward()
            np.testing.assert_array_equal(x.grad, 2 * array)
            assert Parameter(data).dtype is own and pickle.loads(pickle.dumps(x)).dtype is own


def test_gradients_from_swapped_and_unpickled_arrays():
    x = Tensor(np.ones(2, np.float32), requires_grad=True)
    for gradient in (np.array([1, 2], ">f4"), pickle.loads(pickle.dumps(np.array([1, 2], np.float32)))):
        x.grad = gradient
        assert x.grad.dtype is np.dtype(np.float32) and x.grad.tolist() == [1, 2]
        x.grad = None
        (x * 2).backward(gradient)
        assert x.grad.dtype is np.dtype(np.float32) and x.grad.tolist() == [2, 4]


@pytest.mark.parametrize("name", OPERATIONS)
def test_results_with_unpickled_and_swapped_arrays(name):
    for other in (pickle.loads(pickle.dumps(np.array([1, 2], np.float32))), np.array([1, 2], ">f4")):
        for y in (OPERATIONS[name](single(), other), OPERATIONS[name](other, single())):
            assert y.dtype is np.dtype(np.float32)
    assert F.cat([single(), other]).dtype is F.stack([other, single()]).dtype is np.dtype(np.float32)


@pytest.mark.parametrize("number", [0.5, 2, np.float64(0.5), np.float32(0.5)], ids=lambda x: type(x).__name__)
def test_numbers_are_joined_in_the_dtype_of_the_tensors(number):
    for x in (Tensor(np.float32(3)), Tensor(np.float32(3), requires_grad=True)):
        y = np.stack([x, number, x])
        assert y.dtype is np.dtype(np.float32) and y.tolist() == [3, number, 3]


def test_masked_arrays_are_refused():
    with pytest.raises(TypeError, match="Tensor: data is a masked array; fill it first"):
        Tensor(np.ma.array([1.0, 2.0], mask=[False, True]))


@pytest.mark.parametrize(
    "operation", [operator.add, operator.mul, F.maximum, F.matmul, F.clamp], ids=lambda f: f.__name__
)
def test_masks_are_not_lost(operation):
    masked = np.ma.array(np.ones(2, np.float32), mask=[False, True])
    for x in (single(), single(recorded=True), single().numpy()):
        if isinstance(x, np.ndarray) and operation in (operator.add, operator.mul):
            continue  # NumPy's own business
        with pytest.raises(TypeError, match="masked array; fill it first"):
            operation(x, masked)


def test_a_matrix_is_an_array_here():
    x, matrix = Tensor(np.ones((2, 2), np.float32)), np.array([[1.0, 2.0], [3.0, 4.0]]).view(np.matrix)
    assert (x * matrix).tolist() == [[1, 2], [3, 4]] and type((x * matrix).numpy()) is np.ndarray


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: single() + None, "add: other must be a tensor, an array or a number, got None"),
        (lambda: F.maximum(None, single()), "maximum: input must be"),
        (lambda: F.where([True, False], single(), None), "where: other must be"),
        (lambda: F.stack([single(), None]), r"stack: tensors\[1\] must be"),
    ],
)
def test_nothing_is_no_operand(call, message):
    with pytest.raises(TypeError, match=message):
        call()


@pytest.mark.parametrize(
    "mode, theirs", [("constant", "constant"), ("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap")]
)
@pytest.mark.parametrize("dtype", [np.int64, np.uint8, bool])
def test_padding_keeps_integers(mode, theirs, dtype):
    x = np.arange(12).reshape(3, 4).astype(dtype)
    more = {"constant_values": 1} if mode == "constant" else {}
    y = F.pad(Tensor(x)[None], (1, 2), mode, value=1)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y[0], np.pad(x, ((0, 0), (1, 2)), theirs, **more))
    assert F.pad(x, (-1, 0, 1, 0), value=1).tolist() == np.pad(x, ((1, 0), (0, 0)), constant_values=1)[:, 1:].tolist()
    assert F.pad(x[:0], (1, 0, 2, 0)).shape == (2, 5)
