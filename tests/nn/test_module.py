"""Module: what belongs to it, state in and out, fusion in Sequential, packed weights, the summary."""

import numpy as np
import pytest

import fastnn_kernels as kernels
from fastnn import Tensor, no_grad
from fastnn import functional as F
from fastnn.nn import Buffer, Conv2d, Linear, Module, ModuleList, Parameter, ReLU, Sequential


class Scale(Module):
    """A layer of our own, with a parameter, a buffer and a child."""

    def __init__(self):
        super().__init__()
        self.inner = Linear(3, 3)
        self.factor = Parameter(np.full(3, 2.0, np.float32))
        self.offset = Buffer(np.ones(3, np.float32))

    def forward(self, x):
        return self.inner(x) * self.factor + self.offset


class Square(Module):
    """An activation that no kernel knows."""

    fused_name = None

    def forward(self, x):
        return x * x


def draw(*shape):
    return Tensor(np.random.default_rng(1).normal(size=shape).astype(np.float32))


class TestParts:
    def test_names_in_order_of_assignment(self):
        net = Sequential(Linear(2, 3), Scale())
        names = ["0.weight", "0.bias", "1.factor", "1.inner.weight", "1.inner.bias"]
        assert [name for name, _ in net.named_parameters()] == names
        assert list(net.state_dict()) == [*names[:3], "1.offset", *names[3:]]
        assert [name for name, _ in net.named_modules()] == ["", "0", "1", "1.inner"]
        assert list(net.children()) == [net[0], net[1]]

    def test_shared_parts_count_once(self):
        shared = Linear(2, 2)
        net = Sequential(shared, shared)
        assert len(list(net.parameters())) == 2 and len(list(net.modules())) == 2
        assert list(net.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]

    def test_parameters_cannot_be_replaced_by_accident(self):
        layer = Linear(2, 2)
        with pytest.raises(TypeError, match="Linear.weight is a Parameter"):
            layer.weight = np.ones((2, 2))
        layer.weight = Parameter(np.ones((2, 2)))
        layer.bias = None
        assert list(layer.state_dict()) == ["weight"]

    def test_modes_reach_everything(self):
        net = Sequential(Linear(2, 3), Scale())
        assert net.eval() is net and not any(module.training for module in net.modules())
        assert net.train() is net and all(module.training for module in net.modules())

    def test_freezing(self):
        net = Sequential(Linear(2, 3), Linear(3, 1))
        net[0].requires_grad_(False)
        net(draw(4, 2)).sum().backward()
        assert [p.grad is None for p in net.parameters()] == [True, True, False, False]
        net.zero_grad()
        assert all(p.grad is None for p in net.parameters())

    def test_conversion(self):
        net = Scale().double()
        assert {array.dtype for array in net.state_dict().values()} == {np.dtype(np.float64)}
        assert net(Tensor(np.ones((1, 3)))).dtype == np.float64
        assert net.float()(draw(1, 3)).dtype == np.float32
        with pytest.raises(TypeError, match="float32 or float64, not int64"):
            net.to(np.int64)

    def test_forward_must_be_defined(self):
        with pytest.raises(NotImplementedError, match="Module defines no forward"):
            Module()(1)

    def test_representation(self):
        assert repr(Sequential(Linear(2, 3), Sequential(Square()))) == (
            "Sequential(\n  (0): Linear(in_features=2, out_features=3, bias=True)\n"
            "  (1): Sequential(\n    (0): Square()\n  )\n)"
        )


class TestParameter:
    def test_data_is_copied_and_read_only(self):
        array = np.ones(2)
        p = Parameter(array)
        array[0] = 5
        assert p.tolist() == [1, 1]
        for view in (p.numpy(), p.numpy()[:1], p[0:1].detach().numpy(), p.reshape(2, 1).numpy(), p.data.numpy()):
            with pytest.raises(ValueError, match="read-only"):
                view[...] = 3

    def test_every_write_has_a_later_version(self):
        p = Parameter(np.ones(2))
        versions = [p.version]

        def item():
            p[0] = 4.0

        def in_place():
            nonlocal p
            p *= 3.0

        def data():
            p.data = [1.0, 2.0]

        def data_item():
            p.data[1] = 0.0

        def data_in_place():
            p.data += 1.0

        for write in (item, in_place, data, data_item, data_in_place):
            with no_grad():
                write()
            versions.append(p.version)
        assert versions == sorted(set(versions)) and p.tolist() == [2, 1]

    def test_freezing_forgets_the_gradient(self):
        p = Parameter(np.ones(2))
        p.sum().backward()
        p.requires_grad = False
        assert p.grad is None and not (p * 2).requires_grad
        p.requires_grad = True
        assert (p * 2).requires_grad and p.grad is None

    def test_only_floats(self):
        with pytest.raises(TypeError, match="Parameter: data must be float32 or float64, got int64"):
            Parameter(np.ones(2, int))


class TestState:
    def test_copies_go_out(self):
        layer = Linear(2, 2)
        state = layer.state_dict()
        layer.weight.data -= 1
        assert not np.array_equal(state["weight"], layer.weight.numpy())

    def test_takes_tensors_arrays_and_other_dtypes(self):
        layer = Linear(2, 1)
        layer.load_state_dict({"weight": [[1.0, 2.0]], "bias": Tensor(np.array([3.0]))})
        assert layer.weight.tolist() == [[1, 2]] and layer.weight.dtype == np.float32
        layer.load_state_dict({"bias": np.zeros(1), "other": 1}, strict=False)
        assert layer.bias.tolist() == [0]

    def test_all_problems_are_listed_and_nothing_is_changed(self):
        net = Sequential(Linear(2, 3), Linear(3, 1))
        before = net.state_dict()
        state = {"0.weight": np.zeros((2, 3)), "0.bias": np.zeros(3), "1.weight": np.zeros((1, 3), complex), "x": 1}
        with pytest.raises(ValueError, match="does not fit Sequential") as error:
            net.load_state_dict(state)
        for line in (
            "missing: 1.bias (1,)",
            "unexpected: x ()",
            "shape of 0.weight: (2, 3), expected (3, 2)",
            "dtype of 1.weight: complex128, expected float32",
        ):
            assert line in str(error.value)
        assert all(np.array_equal(before[name], array) for name, array in net.state_dict().items())

    def test_pytorch_weights_move_both_ways(self):
        torch = pytest.importorskip("torch")
        ours = Sequential(Linear(4, 3), ReLU(), Linear(3, 2))
        theirs = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
        x = draw(5, 4)
        ours.load_state_dict(theirs.state_dict())
        expected = theirs(torch.from_numpy(x.numpy())).detach().numpy()
        np.testing.assert_allclose(ours(x).numpy(), expected, rtol=1e-5, atol=1e-6)
        theirs.load_state_dict({name: torch.from_numpy(array.numpy()) for name, array in ours.state_dict().items()})


class TestSequential:
    def test_is_a_list(self):
        net = Sequential(Linear(2, 3), Square())
        net.append(Linear(3, 1))
        assert len(net) == 3 and list(net) == [net[0], net[1], net[-1]]
        assert isinstance(net[:2], Sequential) and list(net[1:].state_dict()) == ["2.weight", "2.bias"]
        net[1] = ReLU()
        assert isinstance(net[1], ReLU) and net(draw(4, 2)).shape == (4, 1)
        named = Sequential({"first": Linear(2, 3), "second": Linear(3, 1)})
        assert list(named.state_dict())[0] == "first.weight"
        with pytest.raises(TypeError, match="expected modules, got int at '1'"):
            Sequential(Linear(2, 3), 5)
        assert Sequential()(3) == 3

    @pytest.mark.parametrize("mode", ["train", "eval"])
    def test_activations_are_fused_into_the_layer_before(self, mode, monkeypatch):
        net = getattr(Sequential(Linear(4, 8), ReLU(), Linear(8, 8), Square(), ReLU(), Linear(8, 2)), mode)()
        x = draw(5, 4)
        plain = x
        for layer in net:
            plain = layer(plain)
        calls = []
        run = F.relu
        monkeypatch.setattr(F, "relu", lambda x: calls.append(x) or run(x))
        np.testing.assert_allclose(net(x).numpy(), plain.numpy(), rtol=1e-5, atol=1e-6)
        assert len(calls) == 1  # of net[4], which has no layer before it that takes an activation

    def test_fused_gradients_are_those_of_the_parts(self):
        net = Sequential(Linear(4, 8), ReLU(), Linear(8, 2)).double()
        x = Tensor(np.random.default_rng(1).normal(size=(5, 4)))
        (net(x) ** 2).sum().backward()
        fused = [p.grad.copy() for p in net.parameters()]
        net.zero_grad()
        y = x
        for layer in net:
            y = layer(y)
        (y**2).sum().backward()
        for one, other in zip(fused, net.parameters(), strict=True):
            np.testing.assert_allclose(one, other.grad, rtol=1e-12, atol=1e-13)

    def test_module_list(self):
        layers = ModuleList([Linear(2, 3), Linear(3, 1)])
        assert len(layers) == 2 and [name for name, _ in layers.named_parameters()][2] == "1.weight"
        assert list(layers)[1] is layers[1]


class TestPackedWeights:
    @pytest.fixture
    def packings(self, monkeypatch):
        """Count the packings."""
        calls = []
        pack = kernels.prepare_matmul
        monkeypatch.setattr(Linear, "_prepare", staticmethod(lambda b: calls.append(b) or pack(b)))
        return calls

    def test_packed_once_from_the_second_use_on(self, packings):
        layer, x = Linear(16, 8).eval(), draw(4, 16)
        ys = [layer(x).numpy() for _ in range(4)]
        assert len(packings) == 1
        for y in ys:
            np.testing.assert_allclose(y, x.numpy() @ layer.weight.numpy().T + layer.bias.numpy(), rtol=1e-5, atol=1e-6)

    def test_not_packed_in_training(self, packings):
        layer, x = Linear(16, 8), draw(4, 16)
        for _ in range(3):
            layer(x)
        assert not packings
        with no_grad():
            for _ in range(3):
                layer(x)
        assert len(packings) == 1

    def test_gradients_flow_in_eval_mode(self):
        layer, x = Linear(16, 8).eval(), draw(4, 16)
        for _ in range(3):
            layer.zero_grad()
            layer(x).sum().backward()
        np.testing.assert_allclose(layer.weight.grad, np.tile(x.numpy().sum(0), (8, 1)), rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("write", ["data", "in place", "load", "optimizer", "replaced", "converted"])
    def test_every_write_is_noticed(self, write):
        from fastnn import optim

        layer, x = Linear(16, 8).eval(), draw(4, 16)
        optimizer = optim.SGD(layer.parameters(), lr=0.5)
        for _ in range(3):
            layer(x).sum().backward()
        if write == "data":
            layer.weight.data[2:4, 3] = 7
        elif write == "in place":
            with no_grad():
                layer.weight *= 2
        elif write == "load":
            layer.load_state_dict(Linear(16, 8).state_dict())
        elif write == "optimizer":
            optimizer.step()
        elif write == "replaced":
            layer.weight = Linear(16, 8).weight
        else:
            layer, x = layer.double(), Tensor(x.numpy().astype(np.float64))
        for _ in range(3):
            expected = x.numpy() @ layer.weight.numpy().T + layer.bias.numpy()
            np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-5, atol=1e-5)

    def test_convolutions_pack_theirs_too(self, monkeypatch):
        calls, pack = [], kernels.prepare_conv2d
        monkeypatch.setattr(Conv2d, "_prepare", lambda w: calls.append(w) or pack(w))
        layer, x = Conv2d(16, 32, 3), draw(2, 16, 9, 9)
        for _ in range(3):
            before = layer(x).numpy()
        assert not calls
        layer.eval()
        for _ in range(3):
            np.testing.assert_allclose(layer(x).numpy(), before, rtol=0, atol=1e-5)
        assert len(calls) == 1
        with no_grad():
            layer.weight *= 2
            layer.bias *= 2
        for _ in range(3):
            np.testing.assert_allclose(layer(x).numpy(), 2 * before, rtol=0, atol=1e-5)
        assert len(calls) == 2
        layer.double()
        assert layer(Tensor(x.numpy().astype(np.float64))).dtype == np.float64


class TestSummary:
    def test_counts(self):
        net = Sequential(Linear(4, 8), ReLU(), Sequential(Linear(8, 2, bias=False)))
        net[0].requires_grad_(False)
        summary = net.summary((5, 4))
        assert [(row.name, row.layer, row.output_shape, row.parameters) for row in summary.rows] == [
            ("0", "Linear", (5, 8), 40),
            ("1", "ReLU", (5, 8), 0),
            ("2.0", "Linear", (5, 2), 16),
        ]
        assert summary.flops == 5 * (8 * 9 + 2 * 16)
        assert (summary.parameters, summary.trainable_parameters) == (56, 16)
        lines = repr(summary).splitlines()
        assert lines[0].split() == ["layer", "output", "shape", "parameters", "FLOPs"]
        assert lines[-2].split() == ["total", "56", "520"] and lines[-1] == "40 of the parameters are frozen"

    def test_layers_that_run_twice_and_own_modules(self):
        shared = Linear(3, 3)
        summary = Sequential(shared, shared, Scale()).summary((2, 3))
        assert [(row.name, row.layer, row.parameters) for row in summary.rows] == [
            ("0", "Linear", 12),
            ("0", "Linear", 0),
            ("2.inner", "Linear", 12),
            ("2", "Scale", 3),
        ]
        assert summary.parameters == 27

    def test_changes_nothing(self):
        net = Sequential(Linear(4, 8), ReLU()).train()
        net[0].eval()
        x = draw(2, 4)
        before = net(x).numpy()
        net.summary((1, 4))
        with pytest.raises(ValueError):
            net.summary((1, 5))
        assert net.training and not net[0].training and "forward" not in vars(net[0])
        np.testing.assert_array_equal(net(x).numpy(), before)
        assert all(p.grad is None for p in net.parameters())
