"""Losses that have layers of their own."""

import numpy as np
import pytest

import fastnn
from fastnn import Tensor, nn

CUTOFFS = [3, 5, 9]


def log_softmax(x):
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def oracle(layer, x):
    """Log-probabilities of all classes."""
    head = log_softmax(x @ layer.head.weight.numpy().T + (layer.head.bias.numpy() if layer.head_bias else 0))
    parts = [head[:, :3]]
    for i, (narrow, wide) in enumerate(layer.tail):
        parts.append(log_softmax(x @ narrow.weight.numpy().T @ wide.weight.numpy().T) + head[:, 3 + i : 4 + i])
    return np.concatenate(parts, 1)


@pytest.mark.parametrize("head_bias", [True, False])
def test_adaptive(head_bias, rng):
    fastnn.manual_seed(1)
    layer = nn.AdaptiveLogSoftmaxWithLoss(8, 12, CUTOFFS, 2.0, head_bias).double()
    x, labels = rng.normal(size=(7, 8)), np.array([0, 11, 3, 2, 6, 9, 3])
    expected = oracle(layer, x)
    np.testing.assert_allclose(np.exp(expected).sum(1), 1)
    made = layer(Tensor(x), Tensor(labels))
    np.testing.assert_allclose(made.output.detach().numpy(), expected[np.arange(7), labels], rtol=1e-12)
    assert made.loss.item() == pytest.approx(-expected[np.arange(7), labels].mean())
    np.testing.assert_allclose(layer.log_prob(Tensor(x)).detach().numpy(), expected, rtol=1e-12)
    assert layer.predict(Tensor(x)).tolist() == expected.argmax(1).tolist()
    one = layer(Tensor(x[1]), Tensor(labels[1]))
    assert one.output.shape == () and one.output.item() == pytest.approx(expected[1, 11])
    made.loss.backward()
    assert all(p.grad is not None for p in layer.parameters())
    slope = layer.tail[2][0].weight.grad[0, 0].item()
    eps, losses, before = 1e-6, [], layer.tail[2][0].weight.numpy()[0, 0].item()
    for sign in (1, -1):
        layer.tail[2][0].weight.data[0, 0] = before + sign * eps
        losses.append(-oracle(layer, x)[np.arange(7), labels].mean())
    assert slope == pytest.approx((losses[0] - losses[1]) / (2 * eps), rel=1e-5, abs=1e-9)


def test_adaptive_as_pytorch(rng):
    torch = pytest.importorskip("torch")
    ours = nn.AdaptiveLogSoftmaxWithLoss(8, 12, CUTOFFS, 2.0)
    theirs = torch.nn.AdaptiveLogSoftmaxWithLoss(8, 12, CUTOFFS, 2.0)
    ours.load_state_dict(theirs.state_dict())
    x, labels = rng.normal(size=(7, 8)).astype(np.float32), rng.integers(0, 12, 7)
    mine, its = ours(Tensor(x), Tensor(labels)), theirs(torch.from_numpy(x), torch.from_numpy(labels))
    np.testing.assert_allclose(mine.output.tolist(), its.output.tolist(), rtol=1e-5)
    assert mine.loss.item() == pytest.approx(its.loss.item(), rel=1e-5)


def test_adaptive_errors():
    for cutoffs in ([], [5, 3], [3, 3], [3, 12]):
        with pytest.raises(ValueError, match="cutoffs must increase within 1 .. 11"):
            nn.AdaptiveLogSoftmaxWithLoss(8, 12, cutoffs)
    layer = nn.AdaptiveLogSoftmaxWithLoss(8, 12, CUTOFFS)
    with pytest.raises(ValueError, match=r"got shapes \(2, 7\) and \(2,\)"):
        layer(fastnn.zeros(2, 7), np.array([0, 1]))
    with pytest.raises(ValueError, match="targets must be from 0 to 11, got 0 to 12"):
        layer(fastnn.zeros(2, 8), np.array([0, 12]))


def test_linear_cross_entropy(rng):
    loss = nn.LinearCrossEntropyLoss(4, 3, bias=True, weight=[1.0, 2.0, 3.0], label_smoothing=0.1)
    x, labels = fastnn.tensor(rng.normal(size=(5, 4)), dtype=fastnn.float32), np.array([0, 1, 2, 2, 0])
    expected = nn.CrossEntropyLoss(weight=[1.0, 2.0, 3.0], label_smoothing=0.1)(loss.linear(x), labels)
    assert loss(x, labels).item() == pytest.approx(expected.item(), rel=1e-5)
    assert sorted(loss.state_dict()) == ["linear.bias", "linear.weight", "weight"]
    with pytest.raises(ValueError, match="out_features and options are not supported"):
        nn.LinearCrossEntropyLoss(4, 3, out_features=(2,))
