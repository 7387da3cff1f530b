"""nn.utils: gradients, vectors of parameters, fused layers."""

import numpy as np
import pytest

import fastnn
from fastnn import nn
from fastnn.nn import utils


def net_with_gradients():
    fastnn.manual_seed(2)
    net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    (net(fastnn.randn(5, 3)) * 3).pow(2).sum().backward()
    return net, np.concatenate([p.grad.numpy().ravel() for p in net.parameters()]).astype(np.float64)


class TestGradients:
    @pytest.mark.parametrize("norm_type", [1, 2, float("inf"), 3.0])
    def test_norms(self, norm_type):
        net, flat = net_with_gradients()
        expected = np.linalg.norm(flat, norm_type)
        total = utils.get_total_norm([p.grad for p in net.parameters()], norm_type)
        assert total.ndim == 0 and total.item() == pytest.approx(expected, rel=1e-6)
        given = utils.clip_grad_norm_(net.parameters(), 0.5, norm_type=norm_type, foreach=False)
        assert given.item() == pytest.approx(expected, rel=1e-6)
        now = np.concatenate([p.grad.numpy().ravel() for p in net.parameters()])
        np.testing.assert_allclose(now, flat * 0.5 / (expected + 1e-6), rtol=1e-5)

    def test_by_a_given_norm_and_by_value(self):
        net, flat = net_with_gradients()
        utils.clip_grads_with_norm_(net.parameters(), 1e9, 1.0)
        utils.clip_grads_with_norm_(net.parameters(), 1.0, fastnn.tensor(4.0))
        now = np.concatenate([p.grad.numpy().ravel() for p in net.parameters()])
        np.testing.assert_allclose(now, flat / (4 + 1e-6), rtol=1e-5)
        utils.clip_grad_value_(net.parameters(), 0.01, foreach=True)
        assert max(abs(p.grad.numpy()).max() for p in net.parameters()) == np.float32(0.01)

    def test_not_finite(self):
        with pytest.raises(RuntimeError, match="get_total_norm: the norm is nan"):
            utils.get_total_norm(fastnn.tensor([np.nan]), error_if_nonfinite=True)
        assert utils.get_total_norm([]).item() == 0

    def test_older_name(self):
        net, _ = net_with_gradients()
        with pytest.warns(FutureWarning, match="write clip_grad_norm_"):
            utils.clip_grad_norm(net.parameters(), 1.0)


class TestVectors:
    def test_there_and_back(self):
        net, _ = net_with_gradients()
        vector = utils.parameters_to_vector(net.parameters())
        assert vector.shape == (26,) and vector.requires_grad
        before = net.state_dict()
        utils.vector_to_parameters(vector.detach() * 2, net.parameters())
        for name, value in net.state_dict().items():
            np.testing.assert_array_equal(value.numpy(), 2 * before[name].numpy())

    def test_errors(self):
        net, _ = net_with_gradients()
        with pytest.raises(ValueError, match=r"expected a vector of 26 numbers, got shape \(25,\)"):
            utils.vector_to_parameters(np.zeros(25), net.parameters())
        with pytest.raises(ValueError, match="there are no parameters"):
            utils.parameters_to_vector([])


FUSED = {
    "conv": (lambda bias: nn.Conv2d(4, 6, 3, bias=bias), nn.BatchNorm2d, (3, 4, 6, 5), False),
    "groups": (lambda bias: nn.Conv1d(4, 6, 3, groups=2, bias=bias), nn.BatchNorm1d, (3, 4, 6), False),
    "transposed": (lambda bias: nn.ConvTranspose2d(4, 6, 3, bias=bias), nn.BatchNorm2d, (3, 4, 6, 5), True),
    "transposed groups": (
        lambda bias: nn.ConvTranspose2d(4, 6, 3, groups=2, bias=bias), nn.BatchNorm2d, (3, 4, 6, 5), True,
    ),
    "linear": (lambda bias: nn.Linear(4, 6, bias), nn.BatchNorm1d, (3, 4), None),
}  # fmt: skip


class TestFusion:
    @pytest.mark.parametrize("bias", [True, False])
    @pytest.mark.parametrize("affine", [True, False])
    @pytest.mark.parametrize("name", FUSED)
    def test_computes_both(self, name, affine, bias):
        make, norm, shape, transpose = FUSED[name]
        fastnn.manual_seed(1)
        layer, bn = make(bias).double(), norm(6, affine=affine).double()
        x = fastnn.randn(*shape, dtype=fastnn.float64)
        for _ in range(3):
            bn(layer(x * 2 + 1))
        if affine:
            nn.init.normal_(bn.weight), nn.init.normal_(bn.bias)
        layer.eval(), bn.eval()
        before = layer.state_dict()
        if transpose is None:
            fused = utils.fuse_linear_bn_eval(layer, bn)
        else:
            fused = utils.fuse_conv_bn_eval(layer, bn, transpose)
        np.testing.assert_allclose(fused(x).detach().numpy(), bn(layer(x)).detach().numpy(), rtol=1e-12, atol=1e-12)
        assert type(fused) is type(layer)
        assert all(np.array_equal(before[key], value) for key, value in layer.state_dict().items())

    def test_errors(self):
        layer, bn = nn.Linear(4, 6), nn.BatchNorm1d(6)
        with pytest.raises(ValueError, match="the layer must be in eval mode"):
            utils.fuse_linear_bn_eval(layer, bn)
        with pytest.raises(ValueError, match="the norm must be in eval mode"):
            utils.fuse_linear_bn_eval(layer.eval(), bn)
        with pytest.raises(ValueError, match="the layer gives 6 features, the norm takes 5"):
            utils.fuse_linear_bn_eval(layer, nn.BatchNorm1d(5).eval())
        with pytest.raises(ValueError, match="no running statistics"):
            utils.fuse_conv_bn_eval(layer, nn.BatchNorm1d(6, track_running_stats=False).eval())


def test_skip_init():
    assert utils.skip_init(nn.Linear, 3, 4, device="meta", bias=False).weight.shape == (4, 3)
