"""What the table of layers does not say about pooling: unpooling, indices, what is computed without a gradient."""

import numpy as np
import pytest

import fastnn_kernels
from fastnn import Tensor, functional, nn, no_grad


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_unpooling_brings_values_and_gradients_back(dims):
    x = Tensor(np.random.default_rng(1).normal(size=(2, 3, *[6] * dims)), requires_grad=True)
    pool = getattr(nn, f"MaxPool{dims}d")(2, return_indices=True)
    y, places = pool(x)
    back = getattr(nn, f"MaxUnpool{dims}d")(2)(y, places)
    assert back.shape == x.shape
    np.testing.assert_array_equal(np.unique(back.numpy())[np.unique(back.numpy()) != 0], np.unique(y.numpy()))
    (back * back).sum().backward()
    np.testing.assert_array_equal(x.grad, 2 * back.numpy())


def test_global_pooling_keeps_images_by_pixels():
    pixels = np.random.default_rng(1).normal(size=(2, 5, 6, 3)).astype(np.float32)
    x = Tensor(pixels.transpose(0, 3, 1, 2), requires_grad=True)
    y = nn.AdaptiveAvgPool2d(1)(x)
    np.testing.assert_allclose(y.numpy()[:, :, 0, 0], pixels.mean((1, 2)), rtol=1e-5, atol=1e-7)
    y.sum().backward()
    np.testing.assert_allclose(x.grad, 1 / 30, rtol=1e-6)
    dx = fastnn_kernels.avg_pool_backward(2, y.numpy(), x.shape, (1,), channels_last=True)
    assert dx.transpose(0, 2, 3, 1).flags.c_contiguous


def test_indices_are_computed_for_gradients_only(monkeypatch):
    calls = []
    pool = fastnn_kernels.max_pool2d

    def watched(*args, return_indices=False, **options):
        calls.append(return_indices)
        return pool(*args, return_indices=return_indices, **options)

    monkeypatch.setattr(fastnn_kernels, "max_pool2d", watched)
    x = Tensor(np.ones((1, 2, 8, 8), np.float32), requires_grad=True)
    with no_grad():
        functional.max_pool2d(x, 3, 2, 1)
    functional.max_pool2d(x.detach(), 3, 2, 1)
    functional.max_pool2d(x.numpy(), 3, 2, 1)
    assert not any(calls)
    functional.max_pool2d(x, 3, 2, 1).sum().backward()
    assert calls == [False] * 3 + ["compact"] and x.grad.sum() == 2 * 16
