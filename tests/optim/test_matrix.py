"""Adafactor and Muon, which see a parameter as a whole."""

import pickle

import numpy as np
import pytest

from fastnn import optim
from fastnn.nn import Parameter
from tests.reference import optimizer as reference

MUON = {
    "plain": ({}, {}),
    "momentum": ({"momentum": 0.7, "nesterov": False}, {"momentum": 0.7, "nesterov": False}),
    "steps": ({"ns_steps": 2}, {"steps": 2}),
    "climbing": ({"maximize": True}, {}),
}


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4), (1, 6)])
@pytest.mark.parametrize("name", MUON)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_muon_follows_the_rule(name, shape, dtype, rng):
    options, implied = MUON[name]
    value, steps = rng.normal(size=shape).astype(dtype), [rng.normal(size=shape).astype(dtype) for _ in range(6)]
    p = Parameter(value)
    optimizer = optim.Muon([p], lr=0.1, weight_decay=0.2, **options)
    for gradient in steps:
        p.grad = gradient
        optimizer.step()
    signs = [-g for g in steps] if options.get("maximize") else steps
    more = {"weight_decay": 0.2, "decoupled_weight_decay": True}
    expected = reference.follow("muon", value, signs, lr=0.1, **more, **implied)
    np.testing.assert_allclose(p.numpy(), expected, rtol=1e-4 if dtype == np.float32 else 1e-10, atol=1e-5)


def test_muon_scales():
    for options, scale in (({}, np.sqrt(2)), ({"adjust_lr_fn": "match_rms_adamw"}, 0.2 * np.sqrt(6))):
        p, gradient = Parameter(np.zeros((6, 3))), np.random.default_rng(1).normal(size=(6, 3))
        p.grad = gradient
        optim.Muon([p], lr=0.5, **options).step()
        expected = reference.follow("muon", np.zeros((6, 3)), [gradient], lr=0.5, scale=scale)
        np.testing.assert_allclose(p.numpy(), expected, rtol=1e-10)


def test_muon_continues_bit_for_bit(rng):
    values, gradients = rng.normal(size=(4, 3)), [rng.normal(size=(4, 3)) for _ in range(5)]
    results = []
    for way in ("straight", "state", "pickle"):
        p = Parameter(values)
        optimizer = optim.Muon([("w", p)], lr=0.1)
        for i, gradient in enumerate(gradients):
            if i == 2 and way == "state":
                state = optimizer.state_dict()
                assert list(state["state"][0]) == ["momentum_buffer"] and state["param_groups"][0]["params"] == [0]
                p = Parameter(p)
                optimizer = optim.Muon([p])
                optimizer.load_state_dict(state)
            if i == 2 and way == "pickle":
                optimizer = pickle.loads(pickle.dumps(optimizer))
                p = optimizer.param_groups[0]["params"][0]
            p.grad = gradient
            optimizer.step()
        results.append(p.numpy().copy())
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


@pytest.mark.parametrize(("make", "message"), [
    (lambda: optim.Muon([Parameter(np.ones(3))]), r"parameters must be matrices, got shape \(3,\)"),
    (lambda: optim.Muon([Parameter(np.ones((3, 1)))], ns_steps=100), "ns_steps must be an integer from 0 to 99"),
    (lambda: optim.Muon([Parameter(np.ones((3, 1)))], ns_coefficients=(1, 2)), "must be three numbers"),
    (lambda: optim.Muon([Parameter(np.ones((3, 1)))], adjust_lr_fn="x"), "adjust_lr_fn must be 'original'"),
    (lambda: optim.Adafactor([Parameter(np.ones(3))], eps=(1,)), "eps must be two numbers"),
    (lambda: optim.Adafactor([Parameter(np.ones(3))], beta2_decay=1), "beta2_decay must not be positive"),
    (lambda: optim.Adafactor([Parameter(np.ones(3))], d=0.5), "d must be at least 1"),
    (lambda: optim.Rprop([Parameter(np.ones(3))], etas=(1.2, 0.5)), r"0 < etas\[0\] < 1 < etas\[1\]"),
    (lambda: optim.ASGD([Parameter(np.ones(3))], lambd=-1), "lambd must not be negative"),
])  # fmt: skip
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_adafactor_keeps_rows_and_columns(rng):
    p, q = Parameter(rng.normal(size=(2, 3, 4))), Parameter(rng.normal(size=5))
    p.grad, q.grad = rng.normal(size=(2, 3, 4)), rng.normal(size=5)
    optimizer = optim.Adafactor([p, q], lr=0.1)
    optimizer.step()
    state = optimizer.state_dict()["state"]
    assert {name: np.shape(x) for name, x in state[0].items()} == {
        "step": (), "row_var": (2, 3, 1), "col_var": (2, 1, 4),
    }  # fmt: skip
    assert {name: np.shape(x) for name, x in state[1].items()} == {"step": (), "variance": (5,)}
    with pytest.raises(ValueError, match="load_state_dict"):
        optimizer.load_state_dict({**optimizer.state_dict(), "state": {0: {"step": 1.0, "row_var": np.zeros((3, 2))}}})


def test_adafactor_decays_apart(rng):
    value, gradient = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    moved = []
    for decay in (0.0, 0.5):
        p = Parameter(value)
        p.grad = gradient
        optim.Adafactor([p], lr=0.1, weight_decay=decay).step()
        moved.append(p.numpy().copy())
    np.testing.assert_allclose(moved[1] - moved[0], -0.1 * 0.5 * value, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["Adafactor", "Muon"])
def test_as_pytorch(name, rng):
    torch = pytest.importorskip("torch")
    value = rng.normal(size=(4, 6)).astype(np.float32)
    ours, theirs = Parameter(value), torch.nn.Parameter(torch.from_numpy(value.copy()))
    options = {"lr": 0.02, "weight_decay": 0.1}
    one, other = getattr(optim, name)([ours], **options), getattr(torch.optim, name)([theirs], **options)
    for _ in range(8):
        gradient = rng.normal(size=(4, 6)).astype(np.float32)
        ours.grad, theirs.grad = gradient, torch.from_numpy(gradient.copy())
        one.step(), other.step()
    tolerance = 1e-5 if name == "Adafactor" else 5e-3  # PyTorch's Muon computes in bfloat16
    np.testing.assert_allclose(ours.numpy(), theirs.detach().numpy(), atol=tolerance)
