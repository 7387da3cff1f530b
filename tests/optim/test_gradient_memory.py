"""Gradients in flat memory: operands used twice, gradients that somebody keeps, and copies of models and optimizers."""

import copy
import pickle
import sys

import numpy as np
import pytest

from fastnn import Tensor, nn, optim
from fastnn import functional as F
from fastnn.nn import Parameter

USES = {
    "linear of itself": lambda w: F.linear(w, w),
    "linear of itself, gelu": lambda w: F.linear(w, w, activation="gelu"),
    "linear of itself with bias": lambda w: F.linear(w, w, w[0]),
    "linear of its transpose": lambda w: F.linear(w.T, w.T),
    "tied layers": lambda w: F.linear(F.linear(w[:2], w), w),
    "input and weight of another": lambda w: F.linear(w, F.linear(w, w)),
    "matmul of itself": lambda w: w @ w,
    "rows": lambda w: F.linear(w[[0, 2, 2]], w),
    "add": lambda w: w + w,
    "layer_norm": lambda w: F.layer_norm(w, w.shape, w, w),
    "rms_norm": lambda w: F.rms_norm(w, w.shape, w),
    "group_norm": lambda w: F.group_norm(w.unsqueeze(0), 1, w[0], w[0]),
    "conv1d": lambda w: F.conv1d(w.unsqueeze(0), w.unsqueeze(2)),
    "conv2d": lambda w: F.conv2d(w.unsqueeze(2).unsqueeze(0), w.unsqueeze(2).unsqueeze(2), w[0]),
    "conv_transpose1d": lambda w: F.conv_transpose1d(w.unsqueeze(0), w.unsqueeze(2)),
    "cat": lambda w: F.cat([w, w]),
    "where": lambda w: F.where(w > 0, w, w * 2),
    "clamp": lambda w: F.clamp(w, w - 1, w),
    "loss": lambda w: F.mse_loss(w, w * w),
}


@pytest.mark.parametrize("large", [1, 1 << 20], ids=["in place", "copied"])
@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("name", USES)
def test_a_parameter_used_twice_collects_all_of_its_gradient(name, flat, large, monkeypatch, rng):
    monkeypatch.setattr(sys.modules["fastnn.functional.matmul"], "LARGE", large)
    values = rng.normal(size=(4, 4))
    weight = Parameter(values)
    optimizer = optim.SGD([Parameter(np.ones(3)), weight] if flat else [Parameter(np.ones(3))])
    use, step = USES[name], 1e-6
    weights = rng.normal(size=use(weight).shape)
    expected = np.zeros((4, 4))
    for i in np.ndindex(4, 4):
        ends = []
        for sign in (1, -1):
            moved = values.copy()
            moved[i] += sign * step
            ends.append((use(Tensor(moved)).numpy() * weights).sum())
        expected[i] = (ends[0] - ends[1]) / (2 * step)
    if name == "clamp":  # where limits and input are equal the input takes the gradient
        expected = weights
    y = use(weight)
    y.backward(weights, retain_graph=True)
    np.testing.assert_allclose(weight.grad, expected, rtol=1e-5, atol=1e-6)
    y.backward(weights)
    use(weight).backward(weights)
    np.testing.assert_allclose(weight.grad, 3 * expected, rtol=1e-5, atol=1e-6)
    optimizer.zero_grad()
    weight.zero_grad()
    use(weight).backward(weights)
    np.testing.assert_allclose(weight.grad, expected, rtol=1e-5, atol=1e-6)


def test_a_large_weight_and_its_own_input():
    weight = Parameter(np.random.default_rng(0).normal(size=(1024, 1024)).astype(np.float32))
    optim.SGD([weight])
    F.linear(weight, weight).sum().backward()
    expected = 2 * weight.numpy().sum(0, dtype=np.float64)
    np.testing.assert_allclose(weight.grad, np.broadcast_to(expected, (1024, 1024)), atol=1e-3)


def test_mixed_precision_does_not_write_in_place(monkeypatch):
    monkeypatch.setattr(sys.modules["fastnn.functional.matmul"], "LARGE", 1)
    weight = Parameter(np.ones((2, 3), np.float32))
    optim.SGD([weight])
    F.linear(Tensor(np.ones((4, 3))), weight).sum().backward()
    assert weight.grad.dtype == np.float32 and weight.grad.tolist() == [[4.0] * 3] * 2


def test_the_gradient_itself_as_the_gradient_of_a_result():
    weight = Parameter(np.ones(3))
    optim.SGD([weight])
    y = weight + 0
    (weight * 3).sum().backward()
    y.backward(weight.grad)
    assert weight.grad.tolist() == [6, 6, 6]


FORGET = {
    "zero_grad of the optimizer": lambda model, optimizer: optimizer.zero_grad(),
    "zero_grad of the model": lambda model, optimizer: model.zero_grad(),
    "None": lambda model, optimizer: [setattr(p, "grad", None) for p in model.parameters()],
    "another gradient": lambda model, optimizer: [
        setattr(p, "grad", np.full(p.shape, 9.0)) for p in model.parameters()
    ],
    "a part of itself": lambda model, optimizer: [setattr(p, "grad", p.grad[::-1]) for p in model.parameters()],
    "freezing": lambda model, optimizer: model.requires_grad_(False).requires_grad_(True),
    "each its zero_grad": lambda model, optimizer: [p.zero_grad() for p in model.parameters()],
}
KEEP = {
    "gradient": lambda g: g,
    "row": lambda g: g[0],
    "reshaped": lambda g: g.reshape(-1),
    "view of a view": lambda g: g.T[:2][::2],
    "tensor": lambda g: Tensor(g).numpy(),
    "memoryview": lambda g: np.asarray(memoryview(g.numpy())),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("keep", KEEP.values(), ids=KEEP)
@pytest.mark.parametrize("forget", FORGET.values(), ids=FORGET)
def test_a_gradient_that_is_kept_stays(forget, keep, dtype, rng):
    model = nn.Sequential(nn.Linear(3, 4, dtype=dtype), nn.Linear(4, 2, dtype=dtype))
    optimizer = optim.Adam(model.parameters())
    x = Tensor(rng.normal(size=(5, 3)).astype(dtype))
    model(x).sum().backward()
    kept = [keep(p.grad) for p in model.parameters()]
    before = [g.copy() for g in kept]
    expected = [p.grad.copy() for p in model.parameters()]
    forget(model, optimizer)
    if model[0].weight.grad is not None:
        optimizer.zero_grad()
    model(x).sum().backward()
    for old, new in zip(expected, model.parameters(), strict=True):
        np.testing.assert_array_equal(new.grad, old)
    model(x * 3).sum().backward()
    optimizer.step()
    for g, old in zip(kept, before, strict=True):
        np.testing.assert_array_equal(g, old)


def test_one_gradient_kept_leaves_the_others_alone():
    a, b = Parameter(np.ones(2)), Parameter(np.ones(3))
    optimizer = optim.SGD([a, b], lr=1.0)
    ((a * 2).sum() + (b * 3).sum()).backward()
    kept = a.grad
    a.grad = None
    (a * 5).sum().backward()
    assert kept.tolist() == [2, 2] and a.grad.tolist() == [5, 5] and b.grad.tolist() == [3, 3, 3]
    assert optim.clip_grad_norm_([a, b], 1e9) == pytest.approx(np.sqrt(2 * 25 + 3 * 9))
    optimizer.step()
    assert a.tolist() == [-4, -4] and b.tolist() == [-2, -2, -2]


def test_gradients_of_a_parameter_that_changed_hands_stay_with_who_kept_them():
    weight = Parameter(np.ones(2))
    first = optim.SGD([weight])
    (weight * 2).sum().backward()
    kept = weight.grad
    second = optim.SGD([weight])
    assert weight.grad.tolist() == [2, 2]
    other = weight.grad
    first.zero_grad()
    (weight * 7).sum().backward()
    assert kept.tolist() == [2, 2] and other.tolist() == [2, 2] and weight.grad.tolist() == [7, 7]
    second.step()
    first.step()


def test_zeroing_in_place_is_seen_as_in_pytorch():
    weight = Parameter(np.ones(2))
    optimizer = optim.SGD([weight])
    (weight * 2).sum().backward()
    kept = weight.grad
    optimizer.zero_grad(set_to_none=False)
    assert kept is weight.grad and kept.tolist() == [0, 0]


def test_memory_is_used_again_where_nobody_keeps_it():
    model = nn.Linear(3, 4)
    optimizer = optim.SGD(model.parameters())
    memory = optimizer.flats()[0].gradients
    for _ in range(3):
        optimizer.zero_grad()
        model(Tensor(np.ones((2, 3), np.float32))).sum().backward()
        norms = [float(np.abs(p.grad).sum()) for p in model.parameters()]  # looked at, not kept
        optimizer.step()
    assert optimizer.flats()[0].gradients is memory and len(norms) == 2


def test_a_loop_that_holds_the_last_gradient_goes_to_and_fro():
    model = nn.Linear(3, 4)
    optimizer = optim.SGD(model.parameters(), lr=0.0)
    x, used, gradient = Tensor(np.ones((2, 3), np.float32)), [], None
    for i in range(8):
        optimizer.zero_grad()
        used.append(optimizer.flats()[0].gradients)
        before = None if gradient is None else gradient.copy()
        (model(x).sum() * i).backward()
        if before is not None:
            np.testing.assert_array_equal(gradient, before)
        for p in model.parameters():
            gradient = p.grad  # still held when the next step begins
            assert (gradient == 2 * i).all()
        optimizer.step()
    assert len({id(memory) for memory in used}) == 2
    kept = []
    for i in range(4):  # all kept: each its own memory
        optimizer.zero_grad()
        (model(x).sum() * i).backward()
        kept.append(model.weight.grad)
    assert [g[0, 0] for g in kept] == [0, 2, 4, 6]


OPTIMIZERS = {
    "SGD": lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
    "Adam": lambda p: optim.Adam(p, lr=0.1),
    "amsgrad": lambda p: optim.Adam(p, lr=0.1, amsgrad=True),
    "AdamW": lambda p: optim.AdamW(p, lr=0.1),
    "NAdam": lambda p: optim.NAdam(p, lr=0.1),
    "RAdam": lambda p: optim.RAdam(p, lr=0.1),
    "Adamax": lambda p: optim.Adamax(p, lr=0.1),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.1, momentum=0.5, centered=True),
    "Adagrad": lambda p: optim.Adagrad(p, lr=0.1, initial_accumulator_value=0.5),
    "Adadelta": lambda p: optim.Adadelta(p),
    "Lion": lambda p: optim.Lion(p, lr=0.1),
    "LBFGS": lambda p: optim.LBFGS(p, lr=0.1, max_iter=3),
}
WAYS = {"deepcopy": copy.deepcopy, "pickle": lambda x: pickle.loads(pickle.dumps(x))}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("again", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_copies_of_a_model_and_its_optimizer_go_on_alike(name, again, dtype, rng):
    model = nn.Sequential(nn.Linear(3, 4, dtype=dtype), nn.Tanh(), nn.Linear(4, 2, dtype=dtype))
    model[2].bias.requires_grad = name == "LBFGS"
    optimizer = OPTIMIZERS[name](model.parameters())
    average = optim.EMA(optimizer)
    schedule = optim.lr_scheduler.StepLR(optimizer, 2, gamma=0.5)
    x, y = Tensor(rng.normal(size=(5, 3)).astype(dtype)), rng.normal(size=(5, 2)).astype(dtype)

    def train(model, optimizer, average, schedule):
        def closure():
            optimizer.zero_grad()
            loss = F.mse_loss(model(x), y)
            loss.backward()
            return loss

        for i in range(3):
            if i == 1 and name != "LBFGS":  # one of them lags behind
                model[0].bias.requires_grad = False
            optimizer.step(closure)
            model[0].bias.requires_grad = True
            average.update()
            schedule.step()

    train(model, optimizer, average, schedule)
    model.eval()
    for _ in range(3):
        model(x)  # packs the weights
    model.train()
    frozen = [np.array(p) for p in model.parameters()]
    twins = again((model, optimizer, average, schedule))
    copied = twins[0]
    assert all(p is q for p, q in zip(copied.parameters(), twins[1].param_groups[0]["params"], strict=True))
    assert all(p.dtype is np.dtype(dtype) and p.grad is None for p in copied.parameters())
    twins[1].step(lambda: 0.0) if name == "LBFGS" else twins[1].step()  # without gradients nothing moves
    assert all(np.array_equal(p, q) for p, q in zip(copied.parameters(), frozen, strict=True))
    if name == "LBFGS":
        twins = again((model, optimizer, average, schedule))
        copied = twins[0]
    model.zero_grad()
    train(*twins)
    assert all(np.array_equal(p, q) for p, q in zip(model.parameters(), frozen, strict=True))  # nothing is shared
    train(model, optimizer, average, schedule)
    for p, q in zip(model.parameters(), copied.parameters(), strict=True):
        np.testing.assert_array_equal(p, q)
    with average.applied(), twins[2].applied():
        for p, q in zip(model.parameters(), copied.parameters(), strict=True):
            np.testing.assert_array_equal(p, q)
    assert twins[1].lr == optimizer.lr
    np.testing.assert_array_equal(copied.eval()(x).numpy(), model.eval()(x).numpy())


@pytest.mark.parametrize("again", WAYS.values(), ids=WAYS)
def test_an_optimizer_alone_takes_its_own_parameters_along(again):
    weight, plain = Parameter(np.ones(2)), Tensor(np.ones(3, np.float32), requires_grad=True)
    optimizer = optim.SGD([weight, plain], lr=0.5)
    twin = again(optimizer)
    for p in twin.param_groups[0]["params"]:
        (p * 2).sum().backward()
    twin.step()
    assert weight.tolist() == [1, 1] and plain.tolist() == [1, 1, 1]
    assert [p.tolist() for p in twin.param_groups[0]["params"]] == [[0, 0], [0, 0, 0]]
