"""Arguments of layers in the positions that PyTorch gives them."""

import inspect

import numpy as np
import pytest

import fastnn
from fastnn import nn

PLACED = {
    "Linear": (2, 3), "Bilinear": (2, 3, 4), "Conv1d": (1, 2, 3), "Conv2d": (1, 2, 3), "Conv3d": (1, 2, 3),
    "ConvTranspose1d": (1, 2, 3), "ConvTranspose2d": (1, 2, 3), "ConvTranspose3d": (1, 2, 3), "BatchNorm1d": (2,),
    "BatchNorm2d": (2,), "BatchNorm3d": (2,), "GroupNorm": (1, 2), "LayerNorm": (3,), "RMSNorm": (3,), "PReLU": (),
}  # fmt: skip


@pytest.mark.parametrize("name", PLACED)
def test_device_and_dtype(name):
    kind, given = getattr(nn, name), PLACED[name]
    names = [n for n, p in inspect.signature(kind).parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert names[-2:] == ["device", "dtype"]
    layer = kind(*given, device=fastnn.device("cpu"), dtype=fastnn.float64)
    assert {p.dtype for p in layer.parameters()} == {np.dtype(np.float64)}
    assert {p.dtype for p in kind(*given).parameters()} == {np.dtype(np.float32)}
    with pytest.raises(RuntimeError, match="fastnn computes on the CPU"):
        kind(*given, device="cuda")
    try:
        fastnn.set_default_dtype(fastnn.float64)
        assert {p.dtype for p in kind(*given).parameters()} == {np.dtype(np.float64)}
    finally:
        fastnn.set_default_dtype(fastnn.float32)


@pytest.mark.parametrize("make", [
    lambda: nn.BatchNorm1d(2, bias=False),
    lambda: nn.InstanceNorm1d(2, affine=True, bias=False),
    lambda: nn.GroupNorm(1, 2, bias=False),
    lambda: nn.LayerNorm(3, bias=False),
])  # fmt: skip
def test_norms_without_bias(make):
    layer = make()
    assert layer.bias is None and [name for name, _ in layer.named_parameters()] == ["weight"]
    y = layer(fastnn.randn(4, 2, 3))
    y.sum().backward()
    assert y.shape == (4, 2, 3) and layer.weight.grad is not None


def test_older_names_of_reductions():
    assert nn.MSELoss(size_average=False).reduction == "sum" and nn.MSELoss(reduce=False).reduction == "none"
    assert nn.CrossEntropyLoss(None, True, -1).ignore_index == -1
    assert nn.NLLLoss(None, None, -1).reduction == "mean"
    assert nn.PoissonNLLLoss(True, False, None, 1e-6).eps == 1e-6
    with pytest.raises(TypeError, match="MSELoss: size_average must be True or False; write reduction='sum'"):
        nn.MSELoss("sum")
