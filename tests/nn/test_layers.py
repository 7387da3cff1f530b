"""Every layer, a row or more each, through the same tests. To add a layer, add a row."""

import copy
import pickle
from typing import Any, NamedTuple

import numpy as np
import pytest

from fastnn import Tensor, manual_seed, nn, no_grad
from fastnn.nn import Module
from fastnn_kernels.formulas.activation import FORMULAS


class Row(NamedTuple):
    """A layer by class and arguments, and the shapes, without the batch dimension, that it takes and gives."""

    layer: type[Module]
    arguments: dict[str, Any]
    input: tuple[int, ...]
    output: tuple[int, ...]
    mixes_batch: bool = False  # gives other results for a sample in another batch

    def make(self) -> Module:
        manual_seed(3)
        return self.layer(**self.arguments)

    def batch(self, count: int, dtype: Any = np.float32) -> np.ndarray:
        return np.random.default_rng(5).normal(size=(count, *self.input)).astype(dtype)


TABLE = {
    "Linear": Row(nn.Linear, {"in_features": 6, "out_features": 4}, (6,), (4,)),
    "Linear in sequences": Row(nn.Linear, {"in_features": 6, "out_features": 4}, (3, 6), (3, 4)),
    "Linear without bias": Row(nn.Linear, {"in_features": 6, "out_features": 4, "bias": False}, (6,), (4,)),
    "Conv2d": Row(nn.Conv2d, {"in_channels": 3, "out_channels": 4, "kernel_size": 3}, (3, 7, 8), (4, 5, 6)),
    "Conv2d in groups": Row(
        nn.Conv2d,
        {"in_channels": 4, "out_channels": 6, "kernel_size": (3, 2), "padding": "same", "groups": 2, "bias": False},
        (4, 7, 8),
        (6, 7, 8),
    ),
    "ZeroPad1d": Row(nn.ZeroPad1d, {"padding": 2}, (3, 7), (3, 11)),
    "ZeroPad2d": Row(nn.ZeroPad2d, {"padding": (1, 2, 3, -1)}, (3, 7, 8), (3, 9, 11)),
    "ZeroPad3d": Row(nn.ZeroPad3d, {"padding": 1}, (2, 3, 4, 5), (2, 5, 6, 7)),
    "ConstantPad1d": Row(nn.ConstantPad1d, {"padding": 2, "value": 0.5}, (3, 7), (3, 11)),
    "ConstantPad2d": Row(nn.ConstantPad2d, {"padding": (1, 2, 3, -1), "value": 0.5}, (3, 7, 8), (3, 9, 11)),
    "ConstantPad3d": Row(nn.ConstantPad3d, {"padding": 1, "value": 0.5}, (2, 3, 4, 5), (2, 5, 6, 7)),
    "ReflectionPad1d": Row(nn.ReflectionPad1d, {"padding": 2}, (3, 7), (3, 11)),
    "ReflectionPad2d": Row(nn.ReflectionPad2d, {"padding": (1, 2, 3, -1)}, (3, 7, 8), (3, 9, 11)),
    "ReflectionPad3d": Row(nn.ReflectionPad3d, {"padding": 1}, (2, 3, 4, 5), (2, 5, 6, 7)),
    "ReplicationPad1d": Row(nn.ReplicationPad1d, {"padding": 2}, (3, 7), (3, 11)),
    "ReplicationPad2d": Row(nn.ReplicationPad2d, {"padding": (1, 2, 3, -1)}, (3, 7, 8), (3, 9, 11)),
    "ReplicationPad3d": Row(nn.ReplicationPad3d, {"padding": 1}, (2, 3, 4, 5), (2, 5, 6, 7)),
    "CircularPad1d": Row(nn.CircularPad1d, {"padding": 2}, (3, 7), (3, 11)),
    "CircularPad2d": Row(nn.CircularPad2d, {"padding": (1, 2, 3, -1)}, (3, 7, 8), (3, 9, 11)),
    "CircularPad3d": Row(nn.CircularPad3d, {"padding": 1}, (2, 3, 4, 5), (2, 5, 6, 7)),
    "Conv2d reflecting": Row(
        nn.Conv2d,
        {"in_channels": 2, "out_channels": 3, "kernel_size": (3, 4), "padding": "same", "padding_mode": "reflect"},
        (2, 7, 8),
        (3, 7, 8),
    ),
    "Conv1d": Row(
        nn.Conv1d,
        {"in_channels": 3, "out_channels": 4, "kernel_size": 3, "padding": 2, "padding_mode": "circular"},
        (3, 11),
        (4, 13),
    ),
    "Conv3d": Row(
        nn.Conv3d,
        {"in_channels": 3, "out_channels": 4, "kernel_size": 3, "stride": (1, 2, 1)},
        (3, 5, 7, 6),
        (4, 3, 3, 4),
    ),
    "ConvTranspose1d": Row(
        nn.ConvTranspose1d, {"in_channels": 3, "out_channels": 4, "kernel_size": 3, "stride": 2}, (3, 5), (4, 11)
    ),
    "ConvTranspose2d": Row(
        nn.ConvTranspose2d,
        {"in_channels": 4, "out_channels": 6, "kernel_size": 4, "stride": 2, "padding": 1, "groups": 2, "bias": False},
        (4, 5, 6),
        (6, 10, 12),
    ),
    "ConvTranspose3d": Row(
        nn.ConvTranspose3d,
        {"in_channels": 3, "out_channels": 2, "kernel_size": 2, "stride": 2, "output_padding": 1, "dilation": 2},
        (3, 2, 3, 4),
        (2, 6, 8, 10),
    ),
    "DepthwiseConv2d": Row(
        nn.DepthwiseConv2d, {"channels": 3, "kernel_size": 3, "multiplier": 2, "padding": 1}, (3, 5, 6), (6, 5, 6)
    ),
    "SeparableConv2d": Row(
        nn.SeparableConv2d,
        {"in_channels": 3, "out_channels": 4, "kernel_size": 3, "stride": 2, "activation": "relu"},
        (3, 7, 8),
        (4, 3, 3),
    ),
    "Unfold": Row(nn.Unfold, {"kernel_size": 2, "stride": 2}, (3, 6, 8), (12, 12)),
    "Fold": Row(nn.Fold, {"output_size": (6, 8), "kernel_size": 2, "stride": 2}, (12, 12), (3, 6, 8)),
    "MaxPool1d": Row(nn.MaxPool1d, {"kernel_size": 3, "stride": 2}, (3, 9), (3, 4)),
    "MaxPool2d": Row(nn.MaxPool2d, {"kernel_size": 2}, (3, 7, 8), (3, 3, 4)),
    "MaxPool3d": Row(nn.MaxPool3d, {"kernel_size": 2, "ceil_mode": True}, (2, 3, 4, 5), (2, 2, 2, 3)),
    "AvgPool1d": Row(nn.AvgPool1d, {"kernel_size": 3}, (3, 9), (3, 3)),
    "AvgPool2d": Row(nn.AvgPool2d, {"kernel_size": 3, "stride": 2, "padding": 1}, (3, 7, 8), (3, 4, 4)),
    "AvgPool3d": Row(nn.AvgPool3d, {"kernel_size": 2}, (2, 3, 4, 5), (2, 1, 2, 2)),
    "LPPool1d": Row(nn.LPPool1d, {"norm_type": 2, "kernel_size": 3}, (3, 9), (3, 3)),
    "LPPool2d": Row(nn.LPPool2d, {"norm_type": 2, "kernel_size": 2}, (3, 7, 8), (3, 3, 4)),
    "LPPool3d": Row(nn.LPPool3d, {"norm_type": 2, "kernel_size": 2}, (2, 3, 4, 5), (2, 1, 2, 2)),
    "AdaptiveMaxPool1d": Row(nn.AdaptiveMaxPool1d, {"output_size": 2}, (3, 9), (3, 2)),
    "AdaptiveMaxPool2d": Row(nn.AdaptiveMaxPool2d, {"output_size": (None, 3)}, (3, 7, 8), (3, 7, 3)),
    "AdaptiveMaxPool3d": Row(nn.AdaptiveMaxPool3d, {"output_size": 2}, (2, 3, 4, 5), (2, 2, 2, 2)),
    "AdaptiveAvgPool1d": Row(nn.AdaptiveAvgPool1d, {"output_size": 2}, (3, 9), (3, 2)),
    "AdaptiveAvgPool2d": Row(nn.AdaptiveAvgPool2d, {"output_size": 1}, (3, 7, 8), (3, 1, 1)),
    "AdaptiveAvgPool3d": Row(nn.AdaptiveAvgPool3d, {"output_size": 2}, (2, 3, 4, 5), (2, 2, 2, 2)),
    "Upsample": Row(nn.Upsample, {"scale_factor": 1.5, "mode": "bicubic"}, (3, 7, 8), (3, 10, 12)),
    "UpsamplingNearest2d": Row(nn.UpsamplingNearest2d, {"scale_factor": 2}, (3, 7, 8), (3, 14, 16)),
    "UpsamplingBilinear2d": Row(nn.UpsamplingBilinear2d, {"size": (5, 9)}, (3, 7, 8), (3, 5, 9)),
    "PixelShuffle": Row(nn.PixelShuffle, {"upscale_factor": 2}, (8, 3, 5), (2, 6, 10)),
    "PixelUnshuffle": Row(nn.PixelUnshuffle, {"downscale_factor": 2}, (2, 6, 10), (8, 3, 5)),
    "ChannelShuffle": Row(nn.ChannelShuffle, {"groups": 3}, (6, 5), (6, 5)),
    "BatchNorm1d": Row(nn.BatchNorm1d, {"num_features": 4}, (4,), (4,), mixes_batch=True),
    "BatchNorm1d of signals": Row(
        nn.BatchNorm1d, {"num_features": 4, "momentum": None}, (4, 5), (4, 5), mixes_batch=True
    ),
    "BatchNorm2d": Row(nn.BatchNorm2d, {"num_features": 4}, (4, 3, 5), (4, 3, 5), mixes_batch=True),
    "BatchNorm3d": Row(
        nn.BatchNorm3d,
        {"num_features": 4, "affine": False, "track_running_stats": False},
        (4, 3, 5, 2),
        (4, 3, 5, 2),
        mixes_batch=True,
    ),
    "SyncBatchNorm": Row(nn.SyncBatchNorm, {"num_features": 4}, (4, 3, 5), (4, 3, 5), mixes_batch=True),
    "GroupNorm": Row(nn.GroupNorm, {"num_groups": 2, "num_channels": 6}, (6, 3, 4), (6, 3, 4)),
    "InstanceNorm1d": Row(nn.InstanceNorm1d, {"num_features": 4, "affine": True}, (4, 5), (4, 5)),
    "InstanceNorm2d": Row(nn.InstanceNorm2d, {"num_features": 4}, (4, 3, 5), (4, 3, 5)),
    "InstanceNorm3d": Row(
        nn.InstanceNorm3d, {"num_features": 4, "track_running_stats": True}, (4, 3, 5, 2), (4, 3, 5, 2)
    ),
    "LayerNorm": Row(nn.LayerNorm, {"normalized_shape": (3, 4)}, (2, 3, 4), (2, 3, 4)),
    "LayerNorm without affine": Row(nn.LayerNorm, {"normalized_shape": 4, "elementwise_affine": False}, (3, 4), (3, 4)),
    "LocalResponseNorm": Row(nn.LocalResponseNorm, {"size": 3, "alpha": 0.3}, (5, 3, 4), (5, 3, 4)),
    "RMSNorm": Row(nn.RMSNorm, {"normalized_shape": 6}, (6,), (6,)),
    "LeakyReLU": Row(nn.LeakyReLU, {"negative_slope": 0.2}, (3, 4), (3, 4)),
    "Identity": Row(nn.Identity, {"anything": 3}, (3, 4), (3, 4)),
    "GELU": Row(nn.GELU, {}, (3, 4), (3, 4)),
    "GELU by tanh": Row(nn.GELU, {"approximate": "tanh"}, (3, 4), (3, 4)),
    "PReLU": Row(nn.PReLU, {"num_parameters": 3, "init": 0.1}, (3, 4), (3, 4)),
    "PReLU of one": Row(nn.PReLU, {}, (3, 4), (3, 4)),
    "RReLU": Row(nn.RReLU, {}, (3, 4), (3, 4)),
    "GLU": Row(nn.GLU, {"dim": 1}, (6, 4), (3, 4)),
    "Softmax2d": Row(nn.Softmax2d, {}, (3, 4, 2), (3, 4, 2)),
    "Unflatten": Row(nn.Unflatten, {"dim": 1, "unflattened_size": (2, -1)}, (6, 4), (2, 3, 4)),
    "Softmin": Row(nn.Softmin, {}, (3, 4), (3, 4)),
    "Softmax": Row(nn.Softmax, {}, (3, 4), (3, 4)),
    "LogSoftmax": Row(nn.LogSoftmax, {"dim": 1}, (3, 4), (3, 4)),
    "Dropout1d": Row(nn.Dropout1d, {"p": 0.3}, (3, 4), (3, 4)),
    "Dropout2d": Row(nn.Dropout2d, {"p": 0.3}, (3, 4, 2), (3, 4, 2)),
    "Dropout3d": Row(nn.Dropout3d, {"p": 0.3}, (3, 4, 2, 2), (3, 4, 2, 2)),
    "AlphaDropout": Row(nn.AlphaDropout, {"p": 0.3}, (3, 4), (3, 4)),
    "FeatureAlphaDropout": Row(nn.FeatureAlphaDropout, {"p": 0.3}, (3, 4), (3, 4)),
    "Dropout": Row(nn.Dropout, {"p": 0.3}, (3, 4), (3, 4)),
    "Flatten": Row(nn.Flatten, {}, (2, 3, 4), (24,)),
}

TABLE |= {
    spec.layer: Row(
        getattr(nn, spec.layer),
        dict.fromkeys([k for k, v in spec.parameters.items() if v is None], 0.3),
        (3, 4),
        (3, 4),
    )
    for spec in FORMULAS.values()
    if spec.layer and spec.layer not in TABLE
}

rows = pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)


@rows
def test_forward(row):
    layer = row.make()
    y = layer(Tensor(row.batch(5)))
    assert y.shape == (5, *row.output)
    assert y.dtype == np.float32
    assert layer(Tensor(row.batch(0))).shape == (0, *row.output)


@rows
def test_same_seed_same_layer(row):
    one, two = row.make().state_dict(), row.make().state_dict()
    assert all(np.array_equal(one[name], two[name]) for name in one)


@rows
def test_backward_reaches_input_and_parameters(row):
    layer = row.make()
    x = Tensor(row.batch(5), requires_grad=True)
    layer(x).sum().backward()
    for name, tensor in [("input", x), *layer.named_parameters()]:
        assert tensor.grad is not None and tensor.grad.shape == tensor.shape, name
        assert tensor.grad.dtype == np.float32 and np.isfinite(tensor.grad).all(), name


@rows
def test_state_dict_round_trip(row):
    layer, other = row.make(), row.layer(**row.arguments)
    other.load_state_dict(layer.state_dict())
    layer.eval(), other.eval()
    with no_grad():
        np.testing.assert_array_equal(layer(Tensor(row.batch(3))).numpy(), other(Tensor(row.batch(3))).numpy())


@rows
def test_copies_and_pickles_compute_the_same(row):
    layer = row.make().eval()
    x = Tensor(row.batch(3))
    with no_grad():
        y = layer(x).numpy()
        for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
            np.testing.assert_array_equal(twin(x).numpy(), y)
            assert not {id(p) for p in twin.parameters()} & {id(p) for p in layer.parameters()}


@rows
def test_a_sample_does_not_depend_on_its_batch(row):
    if row.mixes_batch:
        pytest.skip("this layer mixes the batch")
    layer = row.make().eval()
    x = row.batch(5)
    with no_grad():
        together = layer(Tensor(x)).numpy()
        alone = np.concatenate([layer(Tensor(x[i : i + 1])).numpy() for i in range(len(x))])
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-6)


@rows
def test_eval_mode_computes_as_float64_does(row):
    layer = row.make().eval()
    with no_grad():
        ys = [layer(Tensor(row.batch(4))).numpy() for _ in range(3)]  # the second and third with packed weights
        exact = layer.double()(Tensor(row.batch(4, np.float64)))
    assert exact.dtype == np.float64
    for y in ys:
        np.testing.assert_allclose(y, exact.numpy(), rtol=1e-4, atol=1e-5)


@rows
def test_counts_and_names(row):
    layer = row.make()
    assert layer.flops((5, *row.input), (5, *row.output)) >= 0
    assert repr(layer).startswith(row.layer.__name__ + "(")


def test_every_layer_has_a_row():
    containers = {nn.Module, nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict}
    containers.add(nn.DataParallel)
    of_integers = {nn.Embedding}  # tests/nn/test_embedding.py
    of_two = {nn.MaxUnpool1d, nn.MaxUnpool2d, nn.MaxUnpool3d}  # values and indices: tests/nn/test_pool.py
    of_two |= {nn.Bilinear, nn.CosineSimilarity, nn.PairwiseDistance}  # tests/nn/test_two_inputs.py
    lazy = {getattr(nn, name) for name in nn.__all__ if name.startswith("Lazy")}  # tests/nn/test_lazy.py
    losses = {getattr(nn, name) for name in nn.__all__ if name.endswith("Loss")}  # tests/nn/test_loss.py
    layers = {x for name in nn.__all__ if isinstance(x := getattr(nn, name), type) and issubclass(x, Module)}
    assert layers - containers - losses - of_integers - of_two - lazy == {row.layer for row in TABLE.values()}
