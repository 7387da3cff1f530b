"""Winograd's gradient of a weight: right at every edge, for strides and dilations; a bounded error, bounded memory."""

import numpy as np
import pytest

import fastnn_kernels as kernels
from fastnn_kernels.cpu.conv import winograd_gradient as way
from fastnn_kernels.ground import plans
from fastnn_kernels.ground.threads import threads
from tests.reference import conv as reference

BOUND = 2e-5  # of the largest result, or where results cancel, of the largest sum of |dy| |x|
WINDOWS = {  # kernel, stride, dilation
    "3x3": ((3, 3), 1, 1),
    "5x5": ((5, 5), 1, 1),
    "3x3 strided": ((3, 3), 2, 1),
    "4x4 strided": ((4, 4), 2, 1),
    "dilated": ((3, 3), 1, 2),
    "both": ((3, 5), (1, 2), (3, 1)),
}


@pytest.fixture
def always(monkeypatch):
    """Let every layer be computed so that has a form."""
    real = way.cost

    def cost(shape, channels, taps):
        direct, _ = real(shape, channels, taps)
        return direct, 0.01 * direct if taps in way.FORMS else direct

    monkeypatch.setattr(way, "cost", cost)
    plans.forget()
    yield
    plans.forget()


@pytest.fixture
def precision():
    """Set the precision, and back afterwards."""
    yield kernels.set_conv_precision
    kernels.set_conv_precision("default")


def draw(*shapes):
    rng = np.random.default_rng(1)
    return [rng.standard_normal(shape, np.float32) for shape in shapes]


def pixels(x):
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def gradient(dy, x, shape, *window):
    """Return the oracle's dw, and that of the absolute values."""
    w = np.zeros(shape)
    return [reference.conv2d_backward(*arrays, w, *window)[1] for arrays in ((dy, x), (np.abs(dy), np.abs(x)))]


@pytest.mark.parametrize("name", WINDOWS)
def test_results_at_every_edge(always, name):
    kernel, stride, dilation = WINDOWS[name]
    for (channels, filters), padding, size in [
        ((1, 1), 0, (14, 13)), ((15, 31), 1, (13, 11)), ((17, 33), 2, (12, 18)), ((37, 70), (3, 0), (9, 15)),
    ]:  # fmt: skip
        window = stride, padding, dilation
        x, w = draw((3, channels, *size), (filters, channels, *kernel))
        (dy,) = draw(reference.conv2d(x, w, None, *window).shape)
        expected, _ = gradient(dy, x, w.shape, *window)
        for layout in (np.asarray, pixels):
            dw = np.full(w.shape, np.nan, np.float32)
            kernels.conv2d_backward_weight(layout(dy), layout(x), w.shape, *window, out=dw)
            assert np.abs(dw - expected).max() < BOUND * np.abs(expected).max()


def test_gradient_of_a_relu_and_of_a_bias(always):
    x, w = draw((2, 20, 9, 10), (40, 20, 3, 3))
    for layout in (np.asarray, pixels):
        y = kernels.conv2d(layout(x), w, padding=1, activation="relu")
        dy = layout(draw(y.shape)[0])
        _, dw, db = kernels.conv2d_backward(dy, x, w, y, "relu", padding=1)
        grad = np.where(y > 0, dy, 0)
        expected, _ = gradient(grad, x, w.shape, 1, 1)
        assert np.abs(dw - expected).max() < BOUND * np.abs(expected).max()
        np.testing.assert_allclose(db, grad.sum((0, 2, 3)), rtol=0, atol=1e-4)
        _, alone, _ = kernels.conv2d_backward(dy, x, w, y, "relu", padding=1, needs=(False, True, False))
        np.testing.assert_array_equal(alone, dw)


def test_many_channels_are_cut_into_pieces(always):
    x, dy = draw((1, 300, 6, 6), (1, 200, 6, 6))
    expected, _ = gradient(dy, x, (200, 300, 3, 3), 1, 1)
    dw = kernels.conv2d_backward_weight(dy, x, expected.shape, 1, 1)
    assert np.abs(dw - expected).max() < BOUND * np.abs(expected).max()


@pytest.mark.parametrize("name", WINDOWS)
def test_bits_do_not_depend_on_the_number_of_threads_or_the_layout(always, name):
    kernel, stride, dilation = WINDOWS[name]
    x, w = draw((3, 20, 21, 31), (40, 20, *kernel))
    (dy,) = draw(reference.conv2d(x, w, None, stride, 1, dilation).shape)
    with threads(1):
        alone = kernels.conv2d_backward_weight(dy, x, w.shape, stride, 1, dilation)
    for n in (2, 3, 8, 17):
        with threads(n):
            dw = kernels.conv2d_backward_weight(pixels(dy), pixels(x), w.shape, stride, 1, dilation)
            assert dw.tobytes() == alone.tobytes()


@pytest.mark.parametrize("name", WINDOWS)
def test_the_error_is_bounded_over_long_sums(always, name):
    kernel, stride, dilation = WINDOWS[name]
    x, w = draw((4, 8, 160, 160), (8, 8, *kernel))
    dy = np.abs(draw(reference.conv2d(x, w, None, stride, 1, dilation).shape)[0])
    for images in (x, np.abs(x)):
        expected, _ = gradient(dy, images, w.shape, stride, 1, dilation)
        dw = kernels.conv2d_backward_weight(dy, images, w.shape, stride, 1, dilation)
        assert np.abs(dw - expected).max() < BOUND / 2 * np.abs(expected).max()


ADVERSARIAL = {
    "far from zero": lambda x, dy: (x + 1e4, dy),
    "checkerboard": lambda x, dy: (x * 0 + (-1.0) ** np.indices(x.shape).sum(0), dy),
    "one large pixel": lambda x, dy: (np.where(np.arange(26 * 26).reshape(26, 26) == 300, 1e6, x), dy),
    "decades": lambda x, dy: (x * 10 ** np.linspace(-8, 8, x.shape[1])[:, None, None], dy),
    "large next to small": lambda x, dy: (x * np.where(np.arange(26) % 4 == 1, 1e5, 1), dy),
    "cancelling images": lambda x, dy: (x, np.concatenate([dy[:1], -dy[:1]])),
}


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_the_error_is_bounded_on_adversarial_images(always, name):
    x, dy = (a.astype(np.float32) for a in ADVERSARIAL[name](*draw((2, 16, 26, 26), (2, 32, 26, 26))))
    for kernel in (3, 5):
        expected, size = gradient(dy, x, (32, 16, kernel, kernel), 1, kernel // 2)
        dw = kernels.conv2d_backward_weight(dy, x, expected.shape, 1, kernel // 2)
        assert np.abs(dw - expected).max() < BOUND / 2 * size.max()


def test_auto_takes_it_where_it_pays_and_the_switch_turns_it_off(precision):
    assert way.worth((32, 64, 56, 56), 64, (1, 1, 1, 1, 1, 1, 3, 3)) < 0.5
    assert way.worth((8, 256, 28, 28), 256, (1, 1, 2, 2, 2, 2, 3, 3)) < 0.5
    assert way.worth((32, 256, 14, 14), 128, (2, 2, 1, 1, 1, 1, 3, 3)) < 0.85
    assert way.worth((64, 32, 28, 28), 1, (1, 1, 1, 1, 1, 1, 3, 3)) == 1
    assert way.worth((1, 512, 7, 7), 512, (1, 1, 1, 1, 1, 1, 3, 3)) == 1
    assert way.worth((32, 256, 56, 56), 64, (1, 1, 0, 0, 1, 1, 1, 1)) == 1
    x, dy = draw((2, 64, 28, 28), (2, 64, 28, 28))
    expected, _ = gradient(dy, x, (64, 64, 3, 3), 1, 1)
    quick = kernels.conv2d_backward_weight(dy, x, expected.shape, 1, 1)
    double = kernels.conv2d_backward_weight(dy.astype(float), x.astype(float), expected.shape, 1, 1)
    np.testing.assert_allclose(double, expected, rtol=0, atol=1e-11)
    precision("high")
    slow = kernels.conv2d_backward_weight(dy, x, expected.shape, 1, 1)
    assert (quick != slow).any()
    for dw in (quick, slow):
        assert np.abs(dw - expected).max() < BOUND / 2 * np.abs(expected).max()


def test_working_memory_is_bounded(monkeypatch):
    held, empty = [], way.empty
    monkeypatch.setattr(way, "empty", lambda *args: held.append(empty(*args)) or held[-1])
    for shape, filters in (((2, 64, 224, 224), 64), ((1, 1024, 28, 28), 256)):
        x, dy = np.zeros(shape, np.float32), np.zeros((shape[0], filters, *shape[2:]), np.float32)
        held.clear()
        kernels.conv2d_backward_weight(dy, x, (filters, shape[1], 3, 3), 1, 1)
        assert sum(a.nbytes for a in held[:3]) <= 8 << 20 >= max(a.nbytes for a in held)
