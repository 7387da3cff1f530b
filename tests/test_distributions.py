"""Distributions against their formulas in NumPy, their gradients, and what is drawn."""

import math

import numpy as np
import pytest

import fastnn as torch
from fastnn.autograd import gradcheck
from fastnn.distributions import Bernoulli, Categorical, Distribution, Normal, kl_divergence

RNG = np.random.default_rng(0)
W = RNG.uniform(0.1, 1, (3, 4))
P = W / W.sum(-1, keepdims=True)
Q = P[:, ::-1]
LOC, SCALE, X = RNG.normal(size=(3, 4)), RNG.uniform(0.5, 2, 4), RNG.normal(size=(3, 4))


def close(a, b, tolerance=1e-12):
    np.testing.assert_allclose(a.detach().numpy(), b, rtol=tolerance, atol=tolerance)


def test_categorical():
    classes = np.array([2, 0, 3])
    for d in (Categorical(torch.tensor(W)), Categorical(logits=torch.tensor(np.log(W) + 5))):
        close(d.probs, P)
        close(d.log_prob(torch.tensor(classes)), np.log(P[np.arange(3), classes]))
        close(d.log_prob(torch.tensor(classes)[:, None]), np.log(P[:, classes].T))
        close(d.entropy(), -(P * np.log(P)).sum(-1))
        close(kl_divergence(d, Categorical(torch.tensor(Q))), (P * np.log(P / Q)).sum(-1))
        assert d.mode.tolist() == P.argmax(-1).tolist() and d.batch_shape == (3,)
    assert Categorical(torch.tensor([0.5, 0.5])).log_prob(1).item() == pytest.approx(math.log(0.5))
    assert Categorical(logits=torch.tensor([0.0, -math.inf])).entropy().item() == 0


def test_bernoulli():
    ones = np.array([0.0, 1.0, 1.0, 0.0])
    for d in (Bernoulli(torch.tensor(P)), Bernoulli(logits=torch.tensor(np.log(P / (1 - P))))):
        close(d.log_prob(torch.tensor(ones)), np.where(ones == 1, np.log(P), np.log(1 - P)))
        entropy = -P * np.log(P) - (1 - P) * np.log(1 - P)
        close(d.entropy(), entropy)
        close(kl_divergence(d, Bernoulli(torch.tensor(Q.copy()))), -P * np.log(Q) - (1 - P) * np.log(1 - Q) - entropy)
        close(d.mean, P)
        close(d.stddev, np.sqrt(P * (1 - P)))


def test_normal():
    d, e = Normal(torch.tensor(LOC), torch.tensor(SCALE)), Normal(0.0, 1.0)
    close(d.log_prob(torch.tensor(X)), np.log(np.exp(-(((X - LOC) / SCALE) ** 2) / 2) / SCALE / math.sqrt(2 * math.pi)))
    close(d.entropy(), np.broadcast_to(np.log(SCALE * math.sqrt(2 * math.pi * math.e)), (3, 4)))
    close(kl_divergence(d, e), (SCALE**2 + LOC**2 - 1) / 2 - np.log(SCALE))
    close(d.variance, np.broadcast_to(SCALE**2, (3, 4)))
    close(d.stddev**2, np.broadcast_to(SCALE**2, (3, 4)))
    assert e.cdf(1.0).item() == pytest.approx(0.8413447, rel=1e-6) and e.mean.item() == 0 and e.batch_shape == ()


def test_gradients():
    classes, ones = torch.tensor([2, 0, 3]), torch.tensor(np.array([0.0, 1.0, 1.0, 0.0]))
    w, x = torch.tensor(W, requires_grad=True), torch.tensor(X, requires_grad=True)
    scale = torch.tensor(SCALE, requires_grad=True)
    assert gradcheck(lambda w: Categorical(w).log_prob(classes), (w,))
    assert gradcheck(lambda x: Categorical(logits=x).log_prob(classes), (x,))
    assert gradcheck(lambda x: Categorical(logits=x).entropy(), (x,))
    assert gradcheck(lambda x: Bernoulli(logits=x).log_prob(ones), (x,))
    assert gradcheck(lambda x, s: Normal(x, s).log_prob(torch.tensor(LOC)), (x, scale))
    assert gradcheck(lambda x, s: kl_divergence(Normal(x, s), Normal(0.0, 2.0)), (x, scale))


def test_draws():
    torch.manual_seed(0)
    d = Categorical(torch.tensor(P))
    drawn = d.sample((4000,))
    assert drawn.shape == (4000, 3) and drawn.dtype == np.int64
    counts = [np.bincount(drawn[:, i].numpy(), minlength=4) / 4000 for i in range(3)]
    np.testing.assert_allclose(counts, P, atol=0.03)
    assert d.sample().shape == (3,) and d.sample((2, 5)).shape == (2, 5, 3) and d.sample((0,)).shape == (0, 3)
    assert Categorical(torch.ones(2)).sample().shape == () and d.sample(torch.Size([2])).shape == (2, 3)
    d = Bernoulli(torch.tensor([0.2, 0.9]))
    assert d.sample((4000,)).mean(0).tolist() == pytest.approx([0.2, 0.9], abs=0.03) and d.sample().shape == (2,)
    mean, scale = torch.tensor([1.0, -2.0], requires_grad=True), torch.tensor([1.0, 3.0], requires_grad=True)
    d = Normal(mean, scale)
    drawn = d.rsample((4000,))
    assert drawn.shape == (4000, 2) and drawn.mean(0).tolist() == pytest.approx([1, -2], abs=0.2)
    assert drawn.std(0).tolist() == pytest.approx([1, 3], rel=0.05)
    drawn.sum().backward()
    assert mean.grad.tolist() == [4000, 4000] and scale.grad.tolist() == pytest.approx(
        ((drawn.detach() - mean.detach()) / scale.detach()).sum(0).tolist(), rel=1e-3, abs=1e-2
    )
    assert not d.sample().requires_grad and Normal(0.0, 1.0).sample().shape == ()


@pytest.mark.parametrize("make, error, message", [
    (lambda: Categorical(), ValueError, "Categorical: expected either probs or logits"),
    (lambda: Categorical(torch.ones(2), torch.ones(2)), ValueError, "expected either probs or logits"),
    (lambda: Categorical(torch.tensor(1.0)), ValueError, "weights of at least one dimension"),
    (lambda: Categorical(torch.tensor([-1.0, 2.0])), ValueError, "probs must not be negative"),
    (lambda: Categorical(logits=torch.tensor([math.nan, 2.0])), ValueError, "Categorical: logits has NaN"),
    (lambda: Bernoulli(1.5), ValueError, "Bernoulli: probs must not exceed 1"),
    (lambda: Normal(0.0, 0.0), ValueError, "Normal: scale must be positive"),
    (lambda: Categorical(torch.ones(2)).rsample(), NotImplementedError, "Categorical has no rsample"),
    (lambda: Distribution().log_prob(0), NotImplementedError, "Distribution has no log_prob"),
    (lambda: Categorical(torch.ones(2)).stddev, NotImplementedError, "Categorical has no variance"),
    (lambda: kl_divergence(Normal(0.0, 1.0), Bernoulli(0.5)), NotImplementedError, "for Normal and Bernoulli"),
])  # fmt: skip
def test_what_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_shown():
    assert repr(Normal(torch.zeros(2), 1.0)) == "Normal(batch_shape=(2,))"
