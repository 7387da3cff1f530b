"""Methods that end in _, in-place operators and item assignment: one rule for memory and gradients."""

import numpy as np
import pytest

import fastnn
from fastnn import Tensor, nn, no_grad
from fastnn.functional import names

POSITIVE = np.linspace(0.1, 0.9, 6).reshape(2, 3)
MORE = {  # arguments, where the tensor alone is not enough
    **dict.fromkeys(("add", "sub", "mul", "div", "pow", "fmod", "remainder", "copysign", "hypot", "atan2"), (2.0,)),
    **dict.fromkeys(("eq", "ne", "lt", "le", "gt", "ge", "floor_divide", "float_power", "xlogy"), (0.5,)),
    **dict.fromkeys(("logical_and", "logical_or", "logical_xor", "ldexp", "heaviside"), (Tensor([1.0]),)),
    **dict.fromkeys(("clamp", "clip"), (0.2, 0.6)),
    **dict.fromkeys(("cumsum", "cumprod"), (1,)),
    **dict.fromkeys(("clamp_max", "clamp_min"), (0.5,)),
    "masked_fill": (Tensor(POSITIVE > 0.5), 9.0),
    "lerp": (Tensor(np.ones((2, 3))), 0.25),
    "renorm": (2, 0, 0.5),
    "addcmul": (Tensor(POSITIVE), Tensor(POSITIVE)),
    "addcdiv": (Tensor(POSITIVE), Tensor(POSITIVE)),
    "scatter": (1, Tensor([[0], [2]]), 7.0),
    "scatter_add": (1, Tensor([[0], [2]]), Tensor([[7.0], [8.0]])),
    "scatter_reduce": (1, Tensor([[0], [2]]), Tensor([[7.0], [8.0]]), "sum"),
    "index_fill": (1, Tensor([0, 2]), 7.0),
    "index_add": (1, Tensor([0, 2]), Tensor(POSITIVE[:, :2].copy())),
    "index_copy": (1, Tensor([0, 2]), Tensor(POSITIVE[:, :2].copy())),
    "index_reduce": (1, Tensor([0, 2]), Tensor(POSITIVE[:, :2].copy()), "amax"),
    "index_put": ((Tensor([0, 1]), Tensor([2, 0])), Tensor([7.0, 8.0])),
    "masked_scatter": (Tensor(POSITIVE > 0.5), Tensor(POSITIVE)),
}
# those that want matrices, integers or bools have tests of their own
OTHERS = {"addmm", "addmv", "addr", "addbmm", "baddbmm", "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not"}
NAMES = sorted((names.IN_PLACE & set(fastnn.functional.__all__)) - OTHERS)


@pytest.mark.parametrize("name", NAMES)
def test_in_place_is_as_out_of_place(name):
    args = MORE.get(name, ())
    expected = getattr(Tensor(POSITIVE), name)(*args)
    memory = POSITIVE.copy()
    x = Tensor(memory)
    assert getattr(x, f"{name}_")(*args) is x and x.numpy() is memory
    np.testing.assert_array_equal(memory, expected.numpy().astype(np.float64))
    if expected.dtype == bool:
        return
    leaf, twin = Tensor(POSITIVE, requires_grad=True), Tensor(POSITIVE, requires_grad=True)
    y = leaf * 1.0
    before = y
    getattr(y, f"{name}_")(*args)
    getattr(twin * 1.0, name)(*args).sum().backward()
    y.sum().backward()
    assert before is y
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(leaf.grad, twin.grad)
    with pytest.raises(RuntimeError, match="cannot be changed in place while operations are recorded"):
        getattr(leaf, f"{name}_")(*args)
    with no_grad():
        getattr(leaf, f"{name}_")(*args)
    np.testing.assert_array_equal(leaf, expected)
    assert leaf.requires_grad


def test_masks_and_integers():
    x = Tensor([6, 3])
    x &= 2
    x |= Tensor([1, 1])
    assert x.bitwise_xor_(2).tolist() == [1, 1]
    assert Tensor([True, False]).bitwise_not_().tolist() == [False, True]
    with pytest.raises(TypeError, match="the result is float32, this tensor int64"):
        x.add_(0.5)
    with pytest.raises(TypeError, match="the result is float32, this tensor int64"):
        x /= 2
    assert x.mul_(3).tolist() == [3, 3]


def test_the_shape_stays():
    with pytest.raises(ValueError, match=r"the result has shape \(2, 3\), this tensor \(3,\): not in place"):
        Tensor([1.0, 2.0, 3.0]).add_(np.ones((2, 3)))


def test_a_recorded_operand():
    memory = np.zeros(3)
    x, w = Tensor(memory), Tensor([1.0, 2.0, 3.0], requires_grad=True)
    x[:2].add_(w[:2])
    assert memory.tolist() == [1, 2, 0]  # written through the view
    x.add_(w * 2)
    assert x.requires_grad and x.tolist() == [3, 6, 6]
    x.mul_(w).sum().backward()
    np.testing.assert_array_equal(w.grad, [5, 10, 12])


def test_recorded_inside_no_grad_keeps_its_history():
    w = Tensor([1.0, 2.0], requires_grad=True)
    y = w * 3
    with no_grad():
        y.clamp_(max=4.0)
        y += 1
    assert y.requires_grad and y.tolist() == [4, 5]
    y.sum().backward()
    assert w.grad.tolist() == [3, 3]


def test_parameters_and_data_notice_writes():
    p = nn.Parameter(np.ones(2))
    version = p.version
    with no_grad():
        p.add_(1).mul_(2).fill_(3).copy_([4, 5])
        p[0] = 9
        p.uniform_(0, 1).normal_().zero_()
    assert p.version > version and p.tolist() == [0, 0] and p.requires_grad
    version = p.version
    p.data.add_(1)
    assert p.version > version and p.tolist() == [1, 1]


def test_fill_zero_copy():
    w = Tensor(np.ones((2, 3)), requires_grad=True)
    s = Tensor(np.arange(3.0), requires_grad=True)
    y = w * 2
    y.copy_(s)
    assert y.tolist() == [[0, 1, 2]] * 2
    y.sum().backward()
    assert s.grad.tolist() == [2, 2, 2] and w.grad.tolist() == [[0] * 3] * 2
    y = w * 2
    y.zero_().add_(w).sum().backward()
    assert w.grad.tolist() == [[1] * 3] * 2
    assert Tensor([1, 2]).fill_(7).tolist() == [7, 7] and Tensor([1, 2]).copy_(Tensor([3, 4])).tolist() == [3, 4]
    with pytest.raises(ValueError, match=r"copy_: src of shape \(4,\) does not fit"):
        w.detach().copy_(np.ones(4))


INDICES = {
    "number": (0, (3,)),
    "slice": (slice(None, None, -1), (2, 3)),
    "ellipsis": ((..., 1), (2,)),
    "new dimension": ((None, 1), (1, 3)),
    "mask": (POSITIVE > 0.4, None),
    "mask tensor": (Tensor(POSITIVE > 0.4), None),
    "arrays": ((Tensor([0, 1]), Tensor([2, 0])), (2,)),
    "list": ([1, 0], (2, 3)),
    "element": ((1, 2), ()),
    "nothing": (slice(0, 0), (0, 3)),
}


@pytest.mark.parametrize("name", INDICES)
@pytest.mark.parametrize("single", [True, False])
def test_item_assignment(name, single, rng):
    index, shape = INDICES[name]
    plain = index.numpy() if isinstance(index, Tensor) else index
    plain = tuple(np.asarray(i) if isinstance(i, Tensor) else i for i in plain) if type(plain) is tuple else plain
    shape = POSITIVE[plain].shape if shape is None else shape
    value = np.asarray(rng.normal(size=() if single else shape))
    expected = POSITIVE.copy()
    expected[plain] = value
    x = Tensor(POSITIVE.copy())
    x[index] = Tensor(value)
    np.testing.assert_array_equal(x, expected)
    w, v = Tensor(POSITIVE, requires_grad=True), Tensor(value, requires_grad=True)
    y = w * 1
    y[index] = v
    np.testing.assert_array_equal(y, expected)
    weights = rng.normal(size=(2, 3))
    y.backward(weights)
    kept = weights.copy()
    kept[plain] = 0
    np.testing.assert_array_equal(w.grad, kept)
    np.testing.assert_allclose(v.grad, weights[plain].sum() if single else weights[plain], rtol=1e-12)


def test_shapes_in_place():
    x = fastnn.zeros(2, 1, 3)
    assert x.squeeze_(1) is x and x.shape == (2, 3)
    assert x.t_().shape == (3, 2) and x.unsqueeze_(0).shape == (1, 3, 2) and x.transpose_(1, 2).shape == (1, 2, 3)
    w = Tensor(POSITIVE, requires_grad=True)
    y = w * 2
    y.t_()[0].sum().backward()
    assert w.grad.tolist() == [[2, 0, 0], [2, 0, 0]]
    with pytest.raises(RuntimeError, match="t_: the shape of a leaf tensor"):
        w.t_()


@pytest.mark.parametrize("method", ["mul_", "div_", "pow_", "hypot_", "atan2_"])
def test_gradients_of_operands_come_from_the_numbers_before(method):
    rng = np.random.default_rng(0)
    before = rng.uniform(0.5, 2, 5)
    w = fastnn.tensor(rng.uniform(0.5, 2, 5), requires_grad=True)
    getattr(fastnn, method[:-1])(fastnn.tensor(before), w).sum().backward()
    expected, w.grad = w.grad, None
    x = fastnn.tensor(before)
    getattr(x, method)(w)
    x.sum().backward()
    np.testing.assert_allclose(w.grad, expected)
