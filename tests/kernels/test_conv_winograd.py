"""Winograd's convolution: right results at every edge, a bounded error, bounded memory; prepared filters."""

import numpy as np
import pytest

import fastnn_kernels as kernels
from fastnn_kernels.cpu.conv import direct, select
from fastnn_kernels.cpu.conv import winograd as conv_winograd
from fastnn_kernels.ground import plans
from fastnn_kernels.ground.threads import threads
from tests.reference import conv as reference

BOUND = 2e-5  # of the largest result, or where results cancel, of the largest sum of |input| |weight|


@pytest.fixture(params=conv_winograd.FORMS, ids=str)
def form(request, monkeypatch):
    """Let only one form of tiles be chosen."""
    monkeypatch.setattr(select, "WINOGRAD", (request.param,))
    plans.forget()
    yield request.param
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


def error(y, x, w, bias=None, padding=0):
    expected = reference.conv2d(x, w, bias, 1, padding)
    return np.abs(y - expected).max(initial=0) / max(1e-30, np.abs(expected).max(initial=0))


@pytest.mark.parametrize("channels", [(0, 3), (1, 1), (15, 31), (16, 32), (17, 33), (37, 70)], ids=str)
def test_results_at_every_edge(form, channels):
    (m, n, (kh, kw)), tall = form, form.sides[0] > 1
    sizes = (
        [(m, n), (kh, 1 + n), (m + 1, 2 * n), (2 * m + 1, 11), (1, 13), (13, 19)] if tall else [(1, 3), (1, 7), (2, 30)]
    )
    for padding in (0, 1, 2, (0, 5)):
        for height, width in sizes:
            down, across = reference.pair(padding)
            if height + 2 * down < kh or width + 2 * across < kw:
                continue
            x, w, bias = draw((3, channels[0], height, width), (channels[1], channels[0], kh, kw), channels[1])
            for images in (x, pixels(x)):
                y = kernels.conv2d(images, w, bias, 1, padding, algorithm="winograd")
                assert error(y, x, w, bias, padding) < BOUND
                clipped = kernels.conv2d(images, w, bias, 1, padding, algorithm="winograd", activation="relu")
                np.testing.assert_array_equal(clipped, np.maximum(y, 0))


@pytest.mark.parametrize("dilation", [2, (1, 3), (20, 20)], ids=str)
def test_dilated_windows_see_images_in_turn(form, dilation):
    for shape, padding in (((2, 20, 11, 24), 2), ((2, 20, 31, 5), (0, 40)), ((1, 20, 100, 100), 0)):
        x, w, bias = draw(shape, (33, 20, *form.taps), 33)
        if any(
            n + 2 * p <= d * (k - 1)
            for n, p, d, k in zip(shape[2:], *map(reference.pair, (padding, dilation)), form.taps, strict=True)
        ):
            continue
        expected = reference.conv2d(x, w, bias, 1, padding, dilation)
        for images in (x, pixels(x)):
            y = kernels.conv2d(images, w, bias, 1, padding, dilation, algorithm="winograd")
            assert np.abs(y - expected).max() < BOUND * np.abs(expected).max()


@pytest.mark.parametrize("window", [((2, 2), (4, 4)), ((2, 2), (3, 3)), ((1, 3), (3, 9)), ((3, 2), (2, 5))], ids=str)
def test_strided_windows_see_images_as_more_channels(window):
    stride, kernel = window
    for shape, padding in (((2, 20, 11, 24), 1), ((1, 33, 9, 9), (3, 0)), ((1, 16, 40, 50), 0)):
        x, w, bias = draw(shape, (35, shape[1], *kernel), 35)
        expected = reference.conv2d(x, w, bias, stride, padding)
        for images in (x, pixels(x)):
            y = kernels.conv2d(images, w, bias, stride, padding, algorithm="winograd")
            assert np.abs(y - expected).max() < BOUND * np.abs(expected).max()


def test_strided_images_in_and_out(form):
    x, w = draw((2, 20, 9, 9), (33, 20, *form.taps))
    y = kernels.conv2d(x, w, padding=1, algorithm="winograd")
    wide = np.repeat(x, 2, 3)[:, ::-1, :, ::2]
    out = np.full((2, 33, y.shape[2], 2 * y.shape[3]), np.nan, np.float32)[:, :, ::-1, ::-2]
    turned = np.ascontiguousarray(w[:, ::-1, ::-1, ::-1])
    for weight in (turned[:, :, ::-1, ::-1], np.asfortranarray(turned)[:, :, ::-1, ::-1]):
        assert kernels.conv2d(wide, weight, padding=1, algorithm="winograd", out=out) is out
        np.testing.assert_allclose(out, y, rtol=0, atol=BOUND * np.abs(y).max())


@pytest.mark.parametrize("shape", [(3, 24, 13, 13), (1, 64, 4, 4), (1, 16, 3, 400), (1, 400, 17, 17)], ids=str)
def test_bits_do_not_depend_on_the_number_of_threads_or_the_layout(form, shape):
    x, w, bias = draw(shape, (72, shape[1], *form.taps), 72)
    with threads(1):
        alone = kernels.conv2d(x, w, bias, 1, 1, algorithm="winograd")
    for n in (2, 3, 8, 17):
        with threads(n):
            for images in (x, pixels(x)):
                y = kernels.conv2d(images, w, bias, 1, 1, algorithm="winograd")
                assert np.ascontiguousarray(y).tobytes() == alone.tobytes()


def _waves(n):
    """Rows of signs that the transforms of a tile amplify most."""
    sign = np.tile([1.0, 0.5, -1.0, -0.5, 1.0, 0.5], n // 6 + 1)[:n]
    return np.outer(sign, sign)


ADVERSARIAL = {  # images (1, C, 26, 26) and filters whose results cancel, or that the transforms amplify
    "far from zero": lambda x, w: (x + 1e4, w - w.mean((2, 3), keepdims=True)),
    "checkerboard": lambda x, w: (np.sign(x) * 0 + (-1.0) ** np.indices(x.shape).sum(0), w),
    "amplified signs": lambda x, w: (x * 0 + _waves(x.shape[2]), w),
    "one large pixel": lambda x, w: (np.where(np.arange(26 * 26).reshape(26, 26) == 300, 1e6, x), w),
    "decades": lambda x, w: (x * 10 ** np.linspace(-8, 8, x.shape[1])[:, None, None], w),
    "large next to small": lambda x, w: (x * np.where(np.arange(26) % 4 == 1, 1e5, 1), w),
    "cancelling channels": lambda x, w: (x - np.roll(x, 1, 1), np.ones_like(w)),
    "positive": lambda x, w: (np.abs(x), np.abs(w)),
}


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_the_error_is_bounded_on_adversarial_images(form, name):
    x, w = (a.astype(np.float32) for a in ADVERSARIAL[name](*draw((1, 128, 26, 26), (32, 128, *form.taps))))
    y = kernels.conv2d(x, w, padding=1, algorithm="winograd")
    size = reference.conv2d(np.abs(x), np.abs(w), None, 1, 1).max()
    assert np.abs(y - reference.conv2d(x, w, None, 1, 1)).max() < BOUND / 5 * size


@pytest.mark.parametrize("channels", [16, 128, 512])
def test_the_error_is_bounded_on_random_images(form, channels):
    x, w = draw((1, channels, 14, 14), (16, channels, *form.taps))
    for images in (x, np.abs(x)):
        assert error(kernels.conv2d(images, w, algorithm="winograd"), images, w) < BOUND / 2


def test_auto_takes_it_where_it_pays_and_the_switch_turns_it_off(precision):
    choose, few = kernels.conv.choose, (1, 512, 4, 4)
    assert choose((1, 64, 56, 56), (64, 64, 3, 3), padding=1)[0] == "winograd"
    assert choose((1, 64, 56, 56), (64, 64, 3, 3), padding=1, dtype=np.float64)[0] == "direct"
    assert choose((1, 3, 224, 224), (64, 3, 7, 7), 2, 3)[0] == "direct"
    assert choose((1, 64, 56, 56), (64, 64, 7, 7), 2, 1)[0] == "direct"
    assert choose((1, 64, 56, 56), (64, 64, 4, 4), 2, 1)[0] == "winograd"
    assert choose((1, 64, 56, 56), (64, 64, 3, 3), 1, 2, 2)[0] == "winograd"
    assert choose((1, 64, 56, 56), (64, 64, 4, 4))[0] == "direct"
    assert choose((1, 64, 1, 900), (64, 64, 1, 3))[0] == "winograd"
    assert choose(few, (512, 512, 3, 3), padding=1)[0] == "direct"  # whose filters cost more to transform
    assert choose((1, 512, 7, 7), (512, 512, 3, 3), padding=1)[0] == "winograd"
    x, w = draw((2, 64, 28, 28), (64, 64, 3, 3))
    y = kernels.conv2d(x, w)
    np.testing.assert_array_equal(y, kernels.conv2d(x, w, algorithm="winograd"))
    dx = kernels.conv2d_backward_input(y, w, x.shape)
    precision("high")
    assert choose((1, 64, 56, 56), (64, 64, 3, 3), padding=1) == ("direct", "set_conv_precision('high')")
    direct = kernels.conv2d(x, w)
    np.testing.assert_array_equal(direct, kernels.conv2d(x, w, algorithm="direct"))
    assert (direct != y).any() and error(direct, x, w) < error(y, x, w) < BOUND
    exact = kernels.conv2d_backward_input(y, w, x.shape)
    assert (dx != exact).any()  # the gradient is a convolution, too
    np.testing.assert_allclose(dx, exact, rtol=0, atol=BOUND * np.abs(exact).max())
    with pytest.raises(ValueError, match="set_conv_precision: precision must be 'default' or 'high', got 'low'"):
        precision("low")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ({"dtype": np.float64}, "'winograd' is for float32 only"),
        ({"kernel": 4}, "'winograd' supports 3x3, 2x2 and 5x5 kernels"),
        ({"stride": 3}, "'winograd' supports"),
        ({"stride": 2, "dilation": 2}, "'winograd' supports"),
        ({"groups": 2}, "'winograd' supports"),
    ],
    ids=str,
)
def test_layers_it_cannot_do_are_refused(kind, message):
    groups, dtype, kernel = kind.pop("groups", 1), kind.pop("dtype", np.float32), kind.pop("kernel", 3)
    x, w = np.zeros((1, 4, 9, 9), dtype), np.zeros((6, 4 // groups, kernel, kernel), dtype)
    with pytest.raises(ValueError, match=f"conv2d: algorithm {message}"):
        kernels.conv2d(x, w, groups=groups, algorithm="winograd", **kind)


def test_working_memory_is_bounded(monkeypatch):
    taken, empty = [], direct.empty
    for module in (direct, conv_winograd):
        monkeypatch.setattr(module, "empty", lambda *args: taken.append(empty(*args)) or taken[-1])
    x, w = np.zeros((8, 64, 224, 224), np.float32), np.zeros((64, 64, 3, 3), np.float32)
    prepared = kernels.prepare_conv2d(w)
    for algorithm in ("direct", "winograd"):
        kernels.conv2d(x[:, :3, :16], w[:, :3], algorithm=algorithm)
        kernels.conv2d(x, prepared, padding=1, algorithm=algorithm)  # packs, so the next call only works
        taken.clear()
        for n in (1, 2, 3):
            with threads(n):
                kernels.conv2d(x, prepared, padding=1, algorithm=algorithm)
        assert taken and all(scratch[0].nbytes <= 8 << 20 for scratch in taken)
    for form in conv_winograd.FORMS:
        for channels in (1, 16, 64, 100, 256, 512, 2048):
            for shape in ((1, channels, 56, 56), (8, channels, 28, 3000), (3, channels, 4, 4)):
                assert conv_winograd.cut(form, shape, 1, channels, channels, 1)[-1] * 4 <= 8 << 20


def test_large_filters_are_transformed_piece_by_piece():
    x, w, bias = draw((2, 300, 8, 9), (450, 300, 3, 3), 450)
    assert kernels.conv.choose(x.shape, w.shape)[0] == "winograd"
    y = kernels.conv2d(x, w, bias, 1, 1, activation="relu")
    np.testing.assert_array_equal(y, kernels.conv2d(x, kernels.prepare_conv2d(w), bias, 1, 1, activation="relu"))
    last = kernels.conv2d(pixels(x), w, bias, 1, 1, activation="relu", algorithm="winograd")
    np.testing.assert_array_equal(last, y)
    dx = kernels.conv2d_backward_input(y, w, x.shape, 1, 1)
    np.testing.assert_allclose(dx, reference.conv2d_backward(y, x, w, 1, 1)[0], rtol=0, atol=BOUND * np.abs(dx).max())


class TestPrepared:
    def test_it_stands_for_the_weight_everywhere(self):
        x, w, bias = draw((2, 32, 13, 12), (64, 32, 3, 3), 64)
        prepared, before = kernels.prepare_conv2d(w), w.copy()
        assert repr(prepared) == "Prepared(shape=(64, 32, 3, 3), dtype=float32)"
        w[:] = np.nan
        for window in ((1, 1), (2, 1), (1, 2, 2)):
            for algorithm in ("auto", "direct"):
                y = kernels.conv2d(x, prepared, bias, *window, algorithm=algorithm)
                np.testing.assert_allclose(y, reference.conv2d(x, before, bias, *window), rtol=0, atol=1e-3)
        grouped = np.concatenate([x, x], 1)
        np.testing.assert_array_equal(
            kernels.conv2d(grouped, prepared, groups=2), kernels.conv2d(grouped, before, groups=2)
        )
        y = kernels.conv2d(x, prepared, bias, algorithm="winograd")
        np.testing.assert_array_equal(y, kernels.conv2d(x, before, bias, algorithm="winograd"))
        np.testing.assert_array_equal(kernels.conv2d(x[0], prepared), kernels.conv2d(x, prepared)[0])

    def test_the_layout_is_made_once(self):
        (w,) = draw((64, 32, 3, 3))
        prepared = kernels.prepare_conv2d(w, (1, 32, 14, 14), padding=1)
        made = dict(prepared._made)
        assert [name for name, *_ in made] == ["winograd"]
        for _ in range(2):
            kernels.conv2d(np.zeros((1, 32, 14, 14), np.float32), prepared, padding=1)
        assert prepared._made.keys() == made.keys()
        assert all(prepared._made[key] is value for key, value in made.items())

    def test_bad_input_is_named(self):
        x, w = draw((1, 3, 8, 8), (4, 3, 3, 3))
        with pytest.raises(ValueError, match=r"prepare_conv2d: weight must have 4 dimensions"):
            kernels.prepare_conv2d(w[0])
        with pytest.raises(TypeError, match=r"prepare_conv2d: weight must be float32"):
            kernels.prepare_conv2d(w.astype(int))
        with pytest.raises(ValueError, match=r"prepare_conv2d: input has 5 channels"):
            kernels.prepare_conv2d(w, (1, 5, 8, 8))
        with pytest.raises(ValueError, match=r"conv2d: input has 3 channels .* but weight expects 6"):
            kernels.conv2d(x, kernels.prepare_conv2d(w), groups=2)
        with pytest.raises(TypeError, match=r"conv2d: the prepared weight is float32 but input is float64"):
            kernels.conv2d(x.astype(np.float64), kernels.prepare_conv2d(w))
