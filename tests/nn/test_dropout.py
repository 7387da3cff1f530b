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


@pytest.mark.parametrize(
    ("layer", "shape", "channels"),
    [
        (nn.Dropout1d, (40, 5), 40),
        (nn.Dropout1d, (2, 40, 5), 80),
        (nn.Dropout2d, (2, 40, 5), 80),
        (nn.Dropout2d, (2, 40, 3, 2), 80),
        (nn.Dropout3d, (40, 3, 2, 2), 40),
        (nn.Dropout3d, (2, 40, 3, 2, 2), 80),
    ],
)
def test_whole_channels(layer, shape, channels):
    manual_seed(4)
    x = Tensor(np.ones(shape, np.float32), requires_grad=True)
    y = layer(0.5)(x)
    flat = y.numpy().reshape(channels, -1)
    assert (flat == flat[:, :1]).all() and set(np.unique(flat)) == {0, 2}
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, y.numpy())


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Dropout, (300,)),
        (nn.Dropout1d, (40, 5)),
        (nn.Dropout2d, (2, 40, 3, 2)),
        (nn.AlphaDropout, (7, 50)),
        (nn.FeatureAlphaDropout, (2, 40, 3)),
        (nn.RReLU, (7, 50)),
    ],
)
def test_in_place(layer, shape):
    """The same numbers in the same memory, for arrays and tensors."""
    start = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    manual_seed(3)
    expected = layer()(start)
    for x in (start.copy(), Tensor(start.copy()), start.repeat(2, -1)[..., ::2].copy("F")):
        manual_seed(3)
        assert layer(inplace=True)(x) is x
        np.testing.assert_array_equal(np.asarray(x), expected)
    leaf = Tensor(start, requires_grad=True)
    if layer is not nn.Dropout1d:  # which looks at a batch of one, and this is no leaf
        with pytest.raises(RuntimeError, match="a leaf tensor that requires a gradient cannot be changed in place"):
            layer(inplace=True)(leaf)
    manual_seed(3)
    y = layer(inplace=True)(made := leaf * 1)  # recorded: what `made` holds may be needed
    assert y is not made and np.array_equal(y.numpy(), expected) and np.array_equal(made.numpy(), start)


def test_wrong_number_of_dimensions():
    with pytest.raises(ValueError, match=r"dropout2d: input must have 3 or 4 dimensions, got shape \(2, 3\)"):
        nn.Dropout2d()(Tensor(np.ones((2, 3), np.float32)))
