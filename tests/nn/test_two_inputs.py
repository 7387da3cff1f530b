"""Layers of two inputs, and what passes its inputs on."""

import copy

import numpy as np
import pytest

import fastnn
from fastnn import Tensor, nn
from fastnn import functional as F


def draw(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def test_bilinear():
    fastnn.manual_seed(1)
    layer = nn.Bilinear(3, 4, 2)
    assert (np.abs(layer.weight.numpy()) <= 3**-0.5).all() and layer.weight.shape == (2, 3, 4)
    a, b = draw(5, 3), draw(5, 4)
    expected = np.einsum("bi,oij,bj->bo", a, layer.weight.numpy(), b, dtype=np.float64) + layer.bias.numpy()
    np.testing.assert_allclose(layer(Tensor(a), Tensor(b)).numpy(), expected, rtol=1e-5, atol=1e-6)
    layer(Tensor(a), Tensor(b)).sum().backward()
    assert layer.weight.grad.shape == (2, 3, 4) and layer.bias.grad.tolist() == [5, 5]
    assert repr(layer) == "Bilinear(in1_features=3, in2_features=4, out_features=2, bias=True)"
    assert nn.Bilinear(3, 4, 2, False, "cpu", np.float64).bias is None
    assert copy.deepcopy(layer).weight.shape == (2, 3, 4)
    with pytest.raises(ValueError, match="Bilinear: in1_features must be at least 1"):
        nn.Bilinear(0, 4, 2)


@pytest.mark.skipif(not hasattr(F, "cosine_similarity"), reason="not there")
def test_distances_are_their_functions():
    a, b = Tensor(draw(5, 3)), Tensor(draw(3, 5).T.copy())
    np.testing.assert_array_equal(
        nn.CosineSimilarity(1, 1e-6)(a, b).numpy(), F.cosine_similarity(a, b, 1, 1e-6).numpy()
    )
    far = nn.PairwiseDistance(p=1, keepdim=True)(a, b)
    assert far.shape == (5, 1)
    np.testing.assert_array_equal(far.numpy(), F.pairwise_distance(a, b, 1, 1e-6, True).numpy())
    loss = nn.TripletMarginWithDistanceLoss(distance_function=nn.PairwiseDistance(), margin=0.7, swap=True)
    expected = F.triplet_margin_loss(a, b, a * 2, 0.7, swap=True)
    np.testing.assert_allclose(loss(a, b, a * 2).item(), expected.item(), rtol=1e-5)
    assert repr(nn.CosineSimilarity()) == "CosineSimilarity(dim=1, eps=1e-08)"
    assert repr(nn.PairwiseDistance()) == "PairwiseDistance(p=2.0, eps=1e-06, keepdim=False)"


def test_data_parallel_passes_on():
    layer = nn.Linear(2, 3)
    net = nn.DataParallel(layer, device_ids=[0, 1])
    x = Tensor(draw(4, 2))
    np.testing.assert_array_equal(net(x).numpy(), layer(x).numpy())
    assert list(net.state_dict()) == ["module.weight", "module.bias"] and net.module is layer
    with pytest.raises(TypeError, match="DataParallel: module must be a Module, got int"):
        nn.DataParallel(3)
