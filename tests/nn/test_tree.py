"""What a module is made of: registering, finding and walking, buffers, state, conversions."""

import copy
import pickle

import numpy as np
import pytest

import fastnn
from fastnn import Tensor, nn, no_grad
from fastnn.nn import Buffer, Linear, Module, Parameter, Sequential


class Counting(Module):
    """A layer with a parameter, a buffer of each kind and one that comes later."""

    def __init__(self):
        super().__init__()
        self.register_parameter("scale", Parameter(np.ones(2, np.float32)))
        self.register_parameter("shift", None)
        self.register_buffer("count", fastnn.zeros(1, dtype=fastnn.int64))
        self.register_buffer("mask", np.tril(np.ones((2, 2), np.float32)), persistent=False)
        self.register_buffer("later", None)
        self.add_module("inner", Linear(2, 2))

    def forward(self, x):
        self.count += 1
        return self.inner(x) * self.scale


def test_registering_is_assigning():
    module = Counting()
    assert [name for name, _ in module.named_parameters()] == ["scale", "inner.weight", "inner.bias"]
    assert [name for name, _ in module.named_buffers()] == ["count", "mask"]
    assert list(module.state_dict()) == ["scale", "count", "inner.weight", "inner.bias"]
    assert module.shift is None and module.later is None
    module(fastnn.zeros(1, 2))
    assert module.count.item() == 1 and isinstance(module.count, Buffer)


def test_what_is_none_comes_later():
    module = Counting()
    module.later = fastnn.ones(3)
    module.shift = Parameter(np.zeros(2, np.float32))
    assert isinstance(module.later, Buffer) and {"later", "shift"} <= set(module.state_dict())
    module.later = None
    assert "later" not in module.state_dict()
    module.later = np.ones(2)
    assert isinstance(module.later, Buffer)
    other = Counting()
    with pytest.raises(TypeError, match="Counting.shift must be a Parameter or None, got Tensor"):
        other.shift = fastnn.ones(2)
    with pytest.raises(TypeError, match="Counting.later must be a Tensor or an array or None, got str"):
        other.later = "x"


def test_a_tensor_assigned_to_a_buffer_stays_one():
    module = Counting()
    module.mask = module.mask * 2
    module.count = np.array([7])
    assert isinstance(module.mask, Buffer) and not module.mask.persistent
    assert module.state_dict()["count"].tolist() == [7]
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert list(twin.state_dict()) == list(module.state_dict()) and twin.mask.tolist() == [[2, 0], [2, 2]]
    del module.mask
    assert "mask" not in dict(module.named_buffers()) and not hasattr(module, "mask")


@pytest.mark.parametrize("register", ["register_buffer", "register_parameter", "add_module"])
def test_bad_names_and_values(register):
    module = Counting()
    add = getattr(module, register)
    for name in ("a.b", "", "forward"):
        with pytest.raises(KeyError, match=register if register != "register_module" else "add_module"):
            add(name, None)
    with pytest.raises(TypeError, match="name must be a string, got int"):
        add(3, None)
    with pytest.raises(TypeError, match=register):
        add("new", "text")
    assert not hasattr(module, "new")


def test_finding():
    net = Sequential(Counting(), Sequential(Linear(2, 3)))
    assert net.get_submodule("") is net and net.get_submodule("1.0") is net[1][0]
    assert net.get_parameter("0.inner.weight") is net[0].inner.weight and net.get_buffer("0.mask") is net[0].mask
    net.set_submodule("1.0", Linear(2, 5))
    assert net[1][0].out_features == 5
    for find, name in (("submodule", "1.7"), ("parameter", "0.mask"), ("buffer", "0.scale"), ("submodule", "0.scale")):
        with pytest.raises(AttributeError, match=f"get_{find}"):
            getattr(net, f"get_{find}")(name)
    with pytest.raises(AttributeError, match="get_submodule"):
        net.set_submodule("1.9", Linear(1, 1), strict=True)


def test_walking():
    shared = Linear(2, 2)
    net = Sequential(shared, Counting(), shared)
    assert [name for name, _ in net.named_modules()] == ["", "0", "1", "1.inner"]
    assert [name for name, _ in net.named_modules(prefix="net", remove_duplicate=False)][-1] == "net.2"
    assert [name for name, _ in net.named_children()] == ["0", "1"] and len(net) == 3
    assert [name for name, _ in net.named_parameters(prefix="a", recurse=False)] == []
    assert [name for name, _ in net.named_parameters("a", remove_duplicate=False)][-1] == "a.2.bias"
    assert [p.shape for p in net[1].parameters(recurse=False)] == [(2,)]
    assert len(list(net.buffers())) == 2 and len(list(net.buffers(recurse=False))) == 0
    memo = {shared}
    assert [name for name, _ in net.named_modules(memo)] == ["", "1", "1.inner"]
    seen = []
    assert net.apply(lambda m: seen.append(type(m).__name__)) is net
    assert seen == ["Linear", "Linear", "Counting", "Sequential"]
    x = fastnn.randn(3, 2)
    np.testing.assert_array_equal(net(x).numpy(), shared(net[1](shared(x))).numpy())


def test_the_tables_of_pytorch():
    module = Counting()
    assert list(module._parameters) == ["scale"] and list(module._buffers) == ["count", "mask"]
    assert list(module._modules.items()) == [("inner", module.inner)]
    module._modules["inner"] = Linear(2, 4)
    assert module.inner.out_features == 4 and module._modules.pop("inner") and not hasattr(module, "inner")


def test_tied_weights():
    class Tied(Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = Linear(3, 3), Linear(3, 3, bias=False)
            self.b.weight = self.a.weight

        def forward(self, x):
            return self.b(self.a(x))

    net = Tied()
    assert len(list(net.parameters())) == 2 and list(net.state_dict()) == ["a.weight", "a.bias", "b.weight"]
    net(fastnn.ones(1, 3)).sum().backward()
    assert net.b.weight.grad is not None
    assert net.double().b.weight is net.a.weight and net.a.weight.dtype == np.float64


def test_modules_in_lists_are_not_part():
    module = Module()
    module.layers = [Linear(2, 2)]
    assert not list(module.parameters()) and not list(module.children())


class TestState:
    def test_state_is_made_of_tensors(self):
        layer = Linear(2, 3)
        state = layer.state_dict()
        assert isinstance(state["weight"], Tensor) and state["weight"].size() == (3, 2)
        assert not state["weight"].requires_grad and not isinstance(state["weight"], Parameter)
        state["weight"] *= 0
        assert layer.weight.numpy().any()
        assert layer.state_dict(keep_vars=True)["weight"] is layer.weight
        into = {"x": 1}
        assert list(layer.state_dict(destination=into, prefix="a.")) == ["x", "a.weight", "a.bias"]

    def test_what_one_side_lacks_is_told(self):
        layer = Linear(2, 1)
        assert repr(layer.load_state_dict(layer.state_dict())) == "<All keys matched successfully>"
        missing, unexpected = layer.load_state_dict({"bias": [1.0], "z": 1, "a": 2}, strict=False)
        assert missing == ["weight"] and unexpected == ["z", "a"] and layer.bias.item() == 1

    def test_programs_may_expect_either_error(self):
        for error in (ValueError, RuntimeError):
            with pytest.raises(error, match="missing: weight"):
                Linear(2, 1).load_state_dict({"bias": [1.0]})

    def test_gradients_become_zeros(self):
        layer = Linear(2, 1)
        layer(fastnn.ones(1, 2)).sum().backward()
        layer.zero_grad(set_to_none=False)
        assert layer.weight.grad.tolist() == [[0, 0]]
        layer.zero_grad()
        assert layer.weight.grad is None


class TestConversions:
    def test_to(self):
        layer = Counting()
        assert layer.to("cpu") is layer is layer.to(fastnn.device("cpu")) is layer.to(device="cpu", non_blocking=True)
        assert layer.scale.dtype == np.float32
        for target in (
            lambda: layer.to("cpu", fastnn.float64),
            lambda: layer.to(dtype=fastnn.float64),
            lambda: layer.to(fastnn.zeros(1, dtype=fastnn.float64)),
            lambda: layer.type(fastnn.float64),
            layer.double,
        ):
            assert target() is layer
            assert layer.scale.dtype == layer.mask.dtype == np.float64 and layer.count.dtype == np.int64
            assert layer.float().cpu().scale.dtype == np.float32

    @pytest.mark.parametrize("ask", [
        lambda m: m.cuda(), lambda m: m.to("cuda"), lambda m: m.bfloat16(), lambda m: m.to("cuda:1"),
    ])  # fmt: skip
    def test_what_is_not_there_says_so(self, ask):
        with pytest.raises(RuntimeError, match="fastnn computes"):
            ask(Counting())

    def test_bad_targets(self):
        with pytest.raises(TypeError, match="float32 or float64, not int64"):
            Counting().to(fastnn.int64)
        with pytest.raises(TypeError, match="unknown argument 'colour'"):
            Counting().to("cpu", colour=1)


class TestParameters:
    def test_as_in_pytorch(self):
        assert Parameter().shape == (0,) and not Parameter(fastnn.ones(2), False).requires_grad
        assert Parameter(data=[1.0], requires_grad=True).is_leaf
        assert Buffer(fastnn.ones(2)).persistent and not Buffer(fastnn.ones(2), persistent=False).persistent

    def test_without_a_shape(self):
        p = nn.UninitializedParameter(dtype=np.float64)
        assert repr(p) == "UninitializedParameter(dtype=float64)" and isinstance(p, Parameter)
        p.materialize((2, 3))
        assert type(p) is Parameter and p.shape == (2, 3) and p.dtype == np.float64 and p.requires_grad
        with no_grad():
            p += 1
        assert p.sum().item() == 6
