"""What PyTorch's scripts give optimizers: names, tensors, settings that are ignored, classes of their own."""

import numpy as np
import pytest

import fastnn
from fastnn import nn, no_grad, optim
from tests.optim.rows import ROWS


@pytest.mark.parametrize(
    "make", [*dict.fromkeys(row.make for row in ROWS.values()), optim.Muon], ids=lambda x: x.__name__
)
def test_names_tensors_and_ignored_settings(make):
    weight = nn.Parameter(np.ones((2, 2), np.float32))
    optimizer = make(
        [("w", weight)], lr=fastnn.tensor(0.5), foreach=False, fused=True, capturable=False, differentiable=False
    )
    group = optimizer.param_groups[0]
    assert group["lr"] == 0.5 and type(group["lr"]) is float and group["param_names"] == ["w"]
    weight.grad = np.ones((2, 2))
    optimizer.step()
    assert not np.array_equal(weight.numpy(), np.ones((2, 2)))
    twin = make([nn.Parameter(np.ones((2, 2), np.float32))])
    twin.load_state_dict(optimizer.state_dict())
    assert twin.lr == 0.5
    with pytest.raises(TypeError, match=f"{make.__name__}: unexpected argument 'colour'"):
        make([weight], colour=1)


def test_groups():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    optimizer = optim.SGD([{"params": net[0].named_parameters()}, {"params": net[1].parameters(), "lr": 0.5}], lr=0.1)
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.5]
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    optimizer.add_param_group({"params": nn.Linear(1, 1).parameters(), "lr": fastnn.tensor([0.25]), "foreach": None})
    assert optimizer.param_groups[2]["lr"] == 0.25
    optimizer.lr = fastnn.tensor(0.125)
    assert optimizer.lr == 0.125


class Descent(optim.Optimizer):
    """An optimizer as people write it for PyTorch."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, {"lr": lr})

    @no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                state["mean"] = 0.5 * state.get("mean", 0) + p.grad
                p.data -= group["lr"] * state["mean"]


def test_own_optimizers():
    p = nn.Parameter(np.ones(2, np.float32))
    optimizer = Descent([p], lr=0.5)
    schedule = optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
    for _ in range(2):
        optimizer.zero_grad()
        (p * 2).sum().backward()
        optimizer.step()
        schedule.step()
    assert p.tolist() == [1 - 0.5 * 2 - 0.25 * 3] * 2 and optimizer.updates == 2 and optimizer.lr == 0.125
