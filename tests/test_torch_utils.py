"""`fastnn.utils`: activations that are computed twice, and curves for TensorBoard."""

import struct

import numpy as np
import pytest

import fastnn as torch
import fastnn.nn as nn
from fastnn.utils.checkpoint import checkpoint, checkpoint_sequential
from fastnn.utils.tensorboard import SummaryWriter


def block():
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 4), nn.Sigmoid())


def gradients(call):
    model, x = block(), torch.linspace(-1, 1, 12).reshape(3, 4).requires_grad_()
    torch.manual_seed(1)
    y = call(model, x)
    y.pow(2).sum().backward()
    return [y, x.grad, *[p.grad for p in model.parameters()]]


class TestCheckpoint:
    @pytest.mark.parametrize("call", [
        lambda model, x: checkpoint(model, x, use_reentrant=False),
        lambda model, x: checkpoint(lambda a, gain: model(a * gain), x, gain=1.0),
        lambda model, x: checkpoint_sequential(model, 2, x),
        lambda model, x: checkpoint(lambda a, b, flag: (model(a), b)[0 if flag else 1], x, x * 2, True),
    ])  # fmt: skip
    def test_same_numbers_as_without(self, call):
        for a, b in zip(gradients(call), gradients(lambda model, x: model(x)), strict=True):
            assert np.array_equal(a.numpy(), b.numpy())

    def test_runs_twice_and_draws_as_if_once(self):
        calls, x = [], torch.ones(3, requires_grad=True)

        def f(a):
            calls.append(torch.is_grad_enabled())
            return a * torch.rand(3)

        torch.manual_seed(0)
        y = checkpoint(f, x)
        after = torch.rand(1).item()
        y.sum().backward()
        assert calls == [False, True] and x.grad.tolist() == y.tolist()
        torch.manual_seed(0)
        torch.rand(3)
        assert torch.rand(1).item() == after

    def test_several_results(self):
        x = torch.tensor([1.0, 2.0], requires_grad=True)
        y, z, n = checkpoint(lambda a: (a * 2, a**2, 5), x)
        (y + z).sum().backward()
        assert n == 5 and x.grad.tolist() == [4, 6]

    def test_gradients_add_up(self):
        w, x = torch.tensor([3.0], requires_grad=True), torch.tensor([2.0], requires_grad=True)
        (checkpoint(lambda a: a * w, x) + w * 10).sum().backward()
        assert w.grad.tolist() == [12] and x.grad.tolist() == [3]

    def test_without_gradient_nothing_is_done_twice(self):
        calls, w = [], torch.tensor([3.0], requires_grad=True)

        def f(a):
            calls.append(1)
            return a * w

        with torch.no_grad():
            assert not checkpoint(f, torch.ones(1, requires_grad=True)).requires_grad
        checkpoint(f, torch.ones(1)).sum().backward()
        assert len(calls) == 2 and w.grad.tolist() == [1]

    def test_segments(self):
        with pytest.raises(ValueError, match=r"segments must be in \[1, 5\], got 6"):
            checkpoint_sequential(block(), 6, torch.ones(1, 4))


def events(path):
    """Read a file's events as (step, tag, value); None for the first, which holds the version alone."""
    data, found = path.read_bytes(), []
    while data:
        (size,) = struct.unpack("<Q", data[:8])
        event, data = data[12 : 12 + size], data[16 + size :]
        if b"brain.Event:2" in event:
            found.append(None)
            continue
        assert event[9] == 16
        step, summary = event[10], event[13:]
        tag = summary[4 : 4 + summary[3]]
        found.append((step, tag.decode(), struct.unpack("<f", summary[-4:])[0]))
    return found


class TestSummaryWriter:
    def test_scalars(self, tmp_path):
        with SummaryWriter(log_dir=tmp_path / "run", flush_secs=1) as writer:
            writer.add_scalar("Loss/train", torch.tensor(0.5), 3)
            writer.add_scalar("accuracy", 0.25, global_step=4, walltime=1.0)
            writer.add_scalars("both", {"a": 1, "b": np.float64(2)}, 5)
            writer.flush()
        (file,) = (tmp_path / "run").glob("events*")
        assert events(file) == [None, (3, "Loss/train", 0.5), (4, "accuracy", 0.25)]
        (file,) = (tmp_path / "run" / "both_b").glob("events*")
        assert events(file) == [None, (5, "both", 2)] and writer.get_logdir() == str(tmp_path / "run")

    def test_folder_of_its_own(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        writer = SummaryWriter(comment="_trial")
        writer.add_scalar("x", 1)
        writer.close()
        writer.close()
        (folder,) = (tmp_path / "runs").iterdir()
        assert folder.name.endswith("_trial")

    def test_others_are_refused(self, tmp_path):
        writer = SummaryWriter(tmp_path)
        with pytest.raises(NotImplementedError, match="add_image: only scalars are written"):
            writer.add_image("x", np.zeros((3, 4, 4)))
        with pytest.raises(AttributeError, match="SummaryWriter has no attribute 'nonsense'"):
            writer.nonsense  # noqa: B018
