"""PyTorch's module paths."""

from importlib import import_module

import numpy as np
import pytest

from fastnn import nn, optim


@pytest.mark.parametrize(("path", "name"), [
    ("nn.modules", "Module"),
    ("nn.modules.module", "Module"),
    ("nn.modules.batchnorm", "_BatchNorm"),
    ("nn.modules.conv", "_ConvNd"),
    ("nn.modules.loss", "_Loss"),
    ("nn.modules.linear", "Linear"),
    ("nn.modules.activation", "Softmax"),
    ("nn.modules.padding", "ZeroPad2d"),
    ("nn.modules.pooling", "MaxPool2d"),
    ("nn.modules.container", "Sequential"),
    ("nn.modules.utils", "_pair"),
    ("nn.parallel", "DataParallel"),
    ("nn.parameter", "Parameter"),
    ("nn.utils.clip_grad", "clip_grad_norm_"),
    ("nn.utils.parametrizations", "weight_norm"),
    ("optim.optimizer", "Optimizer"),
    ("optim.adam", "Adam"),
    ("optim.lr_scheduler", "_LRScheduler"),
    ("optim.swa_utils", "AveragedModel"),
])  # fmt: skip
def test_can_be_imported_from(path, name):
    assert hasattr(import_module(f"fastnn.{path}"), name)


def test_families():
    from fastnn.nn.modules.utils import _pair, _triple

    assert _pair(3) == (3, 3) and _pair([1, 2]) == (1, 2) and _triple(1) == (1, 1, 1)
    for layer in (nn.BatchNorm1d(2), nn.BatchNorm3d(2), nn.SyncBatchNorm(2)):
        assert isinstance(layer, nn.modules.batchnorm._BatchNorm)
    for layer in (nn.Conv1d(1, 1, 1), nn.ConvTranspose3d(1, 1, 1)):
        assert isinstance(layer, nn.modules.conv._ConvNd)
    net = nn.Sequential(nn.BatchNorm1d(2))
    assert nn.SyncBatchNorm.convert_sync_batchnorm(net) is net


def test_state_of_optimizers():
    layer = nn.Linear(2, 2)
    optimizer = optim.Adam(layer.parameters(), lr=0.1)
    assert len(optimizer.state) == 0
    layer.weight.grad, layer.bias.grad = np.ones((2, 2)), np.zeros(2)
    optimizer.step()
    state = optimizer.state[layer.weight]
    assert list(state) == ["step", "exp_avg", "exp_avg_sq"] and state["step"].item() == 1
    np.testing.assert_allclose(state["exp_avg"].numpy(), np.full((2, 2), 0.1), rtol=1e-6)
    state["exp_avg"].zero_()
    assert not optimizer.state_dict()["state"][0]["exp_avg"].any()
    optimizer.state = {}
    assert len(optimizer.state) == 0
    muon = optim.Muon([layer.weight])
    muon.step()
    assert muon.state[layer.weight]["momentum_buffer"].shape == (2, 2)


def test_weights_of_losses_are_buffers():
    loss = nn.CrossEntropyLoss(weight=[1.0, 2.0])
    assert loss.state_dict()["weight"].tolist() == [1, 2] and loss.double().weight.dtype == np.float64
