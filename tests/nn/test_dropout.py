"""Dropout follows the seed and the mode."""

import numpy as np
import pytest

from fastnn import Tensor, manual_seed, nn


def test_training_and_eval():
    layer, x = nn.Dropout(0.5), Tensor(np.ones((100, 7), np.float32), requires_grad=True)
    manual_seed(4)
    first, second = layer(x), layer(x)
    assert set(np.unique(first.numpy())) == {0, 2}
    assert not np.array_equal(first.numpy(), second.numpy())
    manual_seed(4)
    np.testing.assert_array_equal(layer(x).numpy(), first.numpy())
    first.sum().backward()  # through the mask of its own call, whatever was called since
    np.testing.assert_array_equal(x.grad, first.numpy())
    assert layer.eval()(x) is x


@pytest.mark.parametrize("p", [-0.1, 1.5])
def test_bad_probability(p):
    with pytest.raises(ValueError, match="Dropout: p must be from 0 to 1"):
        nn.Dropout(p)
