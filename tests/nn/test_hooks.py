"""Hooks: what they are told, what they may change, and that modules without any are as before."""

import copy

import numpy as np
import pytest

import fastnn
from fastnn import Tensor, nn
from fastnn.nn import Linear, MaxPool2d, Module, ReLU, Sequential


class Pair(Module):
    """Two inputs, two outputs."""

    def forward(self, a, b, scale=1):
        return a * scale, a * b


def leaf(*values):
    return Tensor(np.array(values, np.float32), requires_grad=True)


class TestForward:
    def test_sees_inputs_and_output(self):
        layer, seen, x = Linear(2, 3), [], fastnn.ones(1, 2)
        handle = layer.register_forward_hook(lambda *args: seen.append(args))
        y = layer(x)
        assert seen[0][0] is layer and seen[0][1] == (x,) and seen[0][2] is y
        handle.remove()
        handle.remove()
        layer(x)
        assert len(seen) == 1 and "_hooks" not in vars(layer)

    def test_changes_inputs_and_output(self):
        layer = nn.Identity()
        layer.register_forward_pre_hook(lambda module, args: args[0] * 2)
        layer.register_forward_pre_hook(lambda module, args: (args[0] + 1,))
        layer.register_forward_hook(lambda module, args, output: output * 10)
        assert layer(fastnn.tensor([1.0])).tolist() == [30]

    def test_keywords_and_order(self):
        layer, order = Pair(), []
        layer.register_forward_pre_hook(lambda module, args, options: (args, {**options, "scale": 5}), with_kwargs=True)
        layer.register_forward_hook(lambda module, args, options, output: order.append(options), with_kwargs=True)
        layer.register_forward_hook(lambda *_: order.append("last"))
        layer.register_forward_hook(lambda *_: order.append("first"), prepend=True)
        assert layer(fastnn.ones(1), fastnn.ones(1), scale=2)[0].item() == 5
        assert order == ["first", {"scale": 5}, "last"]

    def test_as_a_block_and_always(self):
        layer, seen = Linear(2, 3), []
        with layer.register_forward_hook(lambda *args: seen.append(args[-1]), always_call=True):
            with pytest.raises(ValueError):
                layer(fastnn.ones(1, 7))
        assert seen == [None] and "_hooks" not in vars(layer)

    def test_bad_hooks(self):
        layer = Linear(2, 3)
        with pytest.raises(TypeError, match="a hook must be a function, got int"):
            layer.register_forward_hook(3)
        assert "_hooks" not in vars(layer)
        layer.register_forward_pre_hook(lambda *_: 5, with_kwargs=True)
        with pytest.raises(RuntimeError, match=r"must give None or \(args, kwargs\), got int"):
            layer(fastnn.ones(1, 2))

    @pytest.mark.parametrize("place", [0, 1, 2])
    def test_inside_fused_layers(self, place):
        net = Sequential(nn.Conv2d(1, 2, 3), ReLU(), MaxPool2d(2), nn.Flatten(), Linear(8, 2), ReLU())
        x, seen = fastnn.randn(1, 1, 6, 6), []
        before = net(x)
        net[place].register_forward_hook(lambda module, args, output: seen.append((module, output)))
        after = net(x)
        np.testing.assert_allclose(after.numpy(), before.numpy(), rtol=1e-5, atol=1e-6)
        assert [module for module, _ in seen] == [net[place]]
        expected = net[: place + 1](x) if place else net[0](x)
        np.testing.assert_allclose(seen[0][1].numpy(), expected.numpy(), rtol=1e-5, atol=1e-6)

    def test_copies_have_their_own(self):
        layer, seen = Linear(2, 3), []
        handle = layer.register_forward_hook(lambda *args: seen.append(args[0]))
        twin = copy.deepcopy(layer)
        handle.remove()
        twin(fastnn.ones(1, 2)), layer(fastnn.ones(1, 2))
        assert seen == [twin]

    def test_saved_models_know_their_architecture(self, tmp_path):
        net = Sequential(Linear(2, 3), ReLU())
        net[0].register_forward_hook(lambda *_: None)
        fastnn.save(net, tmp_path / "net")
        assert repr(fastnn.load(tmp_path / "net")) == repr(net)


class TestBackward:
    def test_gradients_of_inputs_and_outputs(self):
        layer, seen = Pair(), []
        layer.register_full_backward_hook(lambda *args: seen.append(args))
        a, b = leaf(1, 2), leaf(3, 4)
        first, second = layer(a, b)
        (first * 2 + second).sum().backward()
        module, into, out = seen[0]
        assert module is layer and [x.tolist() for x in out] == [[2, 2], [1, 1]]
        assert [x.tolist() for x in into] == [[5, 6], [1, 2]]
        assert a.grad.tolist() == [5, 6] and b.grad.tolist() == [1, 2]

    def test_gradients_can_be_replaced(self):
        layer = nn.Identity()
        layer.register_full_backward_pre_hook(lambda module, out: (out[0] * 3,))
        layer.register_full_backward_hook(lambda module, into, out: (into[0] + out[0],))
        x = leaf(1, 2)
        layer(x).sum().backward()
        assert x.grad.tolist() == [6, 6]

    def test_inputs_without_gradient(self):
        layer, seen = Linear(2, 1), []
        layer.register_full_backward_hook(lambda module, into, out: seen.append((into, out[0].tolist())))
        layer(fastnn.ones(3, 2)).sum().backward()
        assert seen == [((None,), [[1]] * 3)] and layer.weight.grad.tolist() == [[3, 3]]
        with fastnn.no_grad():
            layer(fastnn.ones(3, 2))
        assert len(seen) == 1

    def test_as_pytorch(self):
        torch = pytest.importorskip("torch")
        ours, theirs = Sequential(Linear(3, 4), nn.Tanh(), Linear(4, 2)), torch.nn
        theirs = theirs.Sequential(theirs.Linear(3, 4), theirs.Tanh(), theirs.Linear(4, 2))
        theirs.load_state_dict({k: torch.from_numpy(v.numpy()) for k, v in ours.state_dict().items()})
        told = []
        for net in (ours, theirs):
            kept = []
            for layer in net:
                layer.register_full_backward_hook(
                    lambda module, into, out, kept=kept: kept.extend(x.tolist() for x in (*into, *out) if x is not None)
                )
            told.append(kept)
        x = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
        ours(Tensor(x, requires_grad=True)).sum().backward()
        theirs(torch.tensor(x, requires_grad=True)).sum().backward()
        assert len(told[0]) == len(told[1]) == 6
        for one, other in zip(*told, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)

    def test_wrong_answers(self):
        layer = nn.Identity()
        layer.register_full_backward_hook(lambda module, into, out: (1, 2))
        with pytest.raises(RuntimeError, match="backward hook must give None or 1 gradients, got 2"):
            layer(leaf(1.0)).sum().backward()
