"""Copies and pickles of tensors, of their data, of subclasses; what PyTorch keeps is kept, what it drops is dropped."""

import copy
import pickle

import numpy as np
import pytest

from fastnn import Tensor, no_grad
from fastnn.nn import Buffer, Parameter

WAYS = {
    "deepcopy": copy.deepcopy,
    **{f"pickle {i}": lambda x, i=i: pickle.loads(pickle.dumps(x, i)) for i in range(2, pickle.HIGHEST_PROTOCOL + 1)},
}
ways = pytest.mark.parametrize("again", WAYS.values(), ids=WAYS)


class Named(Parameter):
    """A parameter with arguments and attributes of its own."""

    def __init__(self, name, *, size):
        super().__init__(np.zeros(size, np.float32))
        self.name = name


class Slotted(Tensor):
    __slots__ = ("unit",)


@ways
@pytest.mark.parametrize("make", [lambda x: x, lambda x: x.data], ids=["tensor", "data"])
@pytest.mark.parametrize("kind", [Tensor, Parameter, Buffer])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_classes_and_memory(again, make, kind, dtype):
    owner = kind(np.arange(6, dtype=dtype).reshape(2, 3))
    x = make(owner)
    twin = again(x)
    assert type(twin) is (kind if x is owner else Tensor)
    assert twin.requires_grad == x.requires_grad and twin.dtype is np.dtype(dtype)
    np.testing.assert_array_equal(twin.numpy(), x.numpy())
    assert not np.shares_memory(twin.numpy(), x.numpy())
    with no_grad():
        twin += 1
        twin[0] = 7
    twin.data -= 1
    assert owner.tolist() == np.arange(6.0).reshape(2, 3).tolist()


@ways
def test_versions_go_on(again):
    x = Parameter(np.ones(3, np.float32))
    twin = again(x)
    before = twin.version
    assert before != x.version
    twin.data[0] = 2
    assert twin.version > before and twin.version != x.version


@ways
def test_frozen_parameters_stay_frozen(again):
    x = Parameter(np.ones(3, np.float32), requires_grad=False)
    twin = again(x)
    assert not twin.requires_grad
    twin.requires_grad = True
    (twin * 2).sum().backward()
    assert twin.grad.tolist() == [2, 2, 2] and x.grad is None


@ways
def test_subclasses_keep_their_attributes(again):
    x = Named("weight", size=3)
    x.extra = [x.name]
    twin = again(x)
    assert type(twin) is Named and twin.name == "weight" and twin.extra == ["weight"] and twin.extra is not x.extra
    y = Slotted([1.0, 2.0])
    y.unit = "m"
    assert again(y).unit == "m" and type(again(y)) is Slotted
    assert not hasattr(again(Slotted([1.0])), "unit")


@ways
def test_tensors_of_one_array_stay_together(again):
    x = Tensor(np.zeros(3))
    first, second, array = again([x, x.detach(), x.numpy()])
    first[0] = 1
    assert second.tolist() == [1, 0, 0] and array[0] == 1
    one, other = again((x, x))
    assert one is other


def test_gradients():
    x, p = Tensor(np.ones(2), requires_grad=True), Parameter(np.ones(2))
    (x * 2 + p * 3).sum().backward()
    twin = copy.deepcopy(x)
    assert twin.grad.tolist() == [2, 2] and twin.grad is not x.grad
    assert copy.deepcopy(p).grad is None  # as in PyTorch
    assert pickle.loads(pickle.dumps(x)).grad is None and pickle.loads(pickle.dumps(p)).grad is None


def test_results_are_not_copied_deeply():
    x = Tensor(np.ones(2), requires_grad=True)
    y = x * 2
    with pytest.raises(RuntimeError, match="only leaf tensors.*use detach"):
        copy.deepcopy(y)
    assert copy.deepcopy(y.detach()).tolist() == copy.deepcopy(y.data).tolist() == [2, 2]
    with no_grad():
        assert copy.deepcopy(x * 2).tolist() == [2, 2]
    restored = pickle.loads(pickle.dumps(y))
    assert restored.is_leaf and restored.requires_grad


@ways
def test_read_only_memory_becomes_writable(again):
    array = np.ones(2)
    array.flags.writeable = False
    x = again(Tensor(array))
    x += 1
    assert x.tolist() == [2, 2]


def test_shallow_copies_share_memory():
    x = Tensor(np.ones(2), requires_grad=True)
    assert copy.copy(x).numpy() is x.numpy() and copy.copy(x.data).numpy() is x.numpy()
