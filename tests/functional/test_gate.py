"""What the table of gradients cannot show of random activations."""

import numpy as np
import pytest

from fastnn import Tensor, manual_seed
from fastnn import functional as F


def test_random_slopes():
    manual_seed(3)
    x = Tensor(np.random.default_rng(0).normal(size=20_000), requires_grad=True)
    y = F.rrelu(x, 0.1, 0.4, training=True)
    y.sum().backward()
    slopes = x.grad[x.numpy() <= 0]
    assert (x.grad[x.numpy() > 0] == 1).all()
    assert 0.1 <= slopes.min() < 0.101 and 0.399 < slopes.max() <= 0.4 and abs(slopes.mean() - 0.25) < 0.002
    np.testing.assert_array_equal(y.numpy(), x.numpy() * x.grad)
    with pytest.raises(ValueError, match="rrelu: needs 0 <= lower <= upper, got 0.4 and 0.1"):
        F.rrelu(x, 0.4, 0.1)


@pytest.mark.parametrize("hard", [False, True])
def test_gumbel_softmax_chooses_with_the_chances_of_softmax(hard):
    manual_seed(3)
    logits = Tensor(np.tile(np.log([0.1, 0.6, 0.3]), (20_000, 1)), requires_grad=True)
    y = F.gumbel_softmax(logits, tau=0.5, hard=hard)
    np.testing.assert_allclose(y.numpy().sum(1), 1)
    chosen = np.bincount(y.numpy().argmax(1), minlength=3) / 20_000
    np.testing.assert_allclose(chosen, [0.1, 0.6, 0.3], atol=0.015)
    assert hard == bool(np.isin(y.numpy(), [0, 1]).all())
    (y * np.array([1.0, 2, 3])).sum().backward()
    assert np.abs(logits.grad).max() > 0.1
    with pytest.raises(ValueError, match="gumbel_softmax: tau must be positive, got 0"):
        F.gumbel_softmax(logits, tau=0)
