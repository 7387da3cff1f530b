"""Augmentation: each transform does what it says, chains sample once, and threads change nothing."""

import numpy as np
import pytest

import fastnn_kernels as kernels
from fastnn.data import (
    Affine,
    Compose,
    Crop,
    Cutout,
    Elastic,
    Flip,
    Mixup,
    Noise,
    Rotate,
    Scale,
    Shear,
    Shift,
    mnist_5k,
)


def generator(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture
def image(rng):
    """Give one image of 2 channels."""
    return rng.random((1, 2, 6, 5))


def test_every_shift_occurs_and_nothing_else(image):
    padded = np.pad(image, ((0, 0), (0, 0), (1, 1), (1, 1)))
    possible = {padded[:, :, i : i + 6, j : j + 5].tobytes() for i in range(3) for j in range(3)}
    shifted = Shift(1)(np.repeat(image, 200, axis=0), generator())
    assert {single.tobytes() for single in shifted} == possible


def test_every_crop_occurs_and_nothing_else(image):
    padded = np.pad(image, ((0, 0), (0, 0), (1, 1), (1, 1)))
    possible = {padded[:, :, i : i + 5, j : j + 3].tobytes() for i in range(4) for j in range(5)}
    cut = Crop((5, 3), padding=1)(np.repeat(image, 500, axis=0), generator())
    assert {single.tobytes() for single in cut} == possible


def test_flips(image):
    many = np.repeat(image, 50, axis=0)
    flipped = Flip()(many, generator())
    assert {single.tobytes() for single in flipped} == {image.tobytes(), image[..., ::-1].tobytes()}
    np.testing.assert_array_equal(Flip(False, True, p=1)(many, generator()), many[:, :, ::-1])


def test_quarter_turns_counter_clockwise(rng):
    square = rng.random((1, 2, 7, 7))
    turned = Rotate((90, 90))(square, generator())
    np.testing.assert_allclose(turned, np.rot90(square, axes=(2, 3)), atol=1e-14)


def test_scaling_up_shows_things_larger():
    small = np.zeros((1, 1, 21, 21))
    small[:, :, 9:12, 9:12] = 1
    large = Scale(3, 3)(small, generator())
    assert 80 < large.sum() < 82 and large[0, 0, 7, 7] == 1 and large[0, 0, 4, 4] == 0


def test_shear_slants_upwards_lines():
    line = np.zeros((1, 1, 21, 21))
    line[:, :, :, 10] = 1
    slanted = Shear((45, 45))(line, generator())
    columns = slanted[0, 0].argmax(axis=1)
    assert np.abs(np.diff(columns)).max() <= 1 and abs(int(columns[0]) - int(columns[-1])) == 20


def test_angles_fill_their_range():
    transform = Affine((10, 20), scale=(0.5, 2.0), shift=3.0)
    matrices = transform.matrices(1000, (8, 8), generator())
    factor = 1 / np.sqrt(np.linalg.det(matrices[:, :2, :2]))
    angle = np.rad2deg(np.arctan2(matrices[:, 0, 1], matrices[:, 0, 0]))
    assert 10 <= angle.min() < 10.5 and 19.5 < angle.max() <= 20
    assert 0.5 <= factor.min() < 0.52 and 1.95 < factor.max() <= 2.0 and abs(np.log(factor).mean()) < 0.05


def test_a_chain_samples_once_and_does_what_its_parts_do(rng):
    image = np.zeros((4, 1, 40, 40))
    image[:, :, 12:28, 12:28] = rng.random((4, 1, 16, 16))
    parts = [Shift(3), Rotate((90, 90)), Flip(p=1)]
    calls = []
    original = kernels.warp
    try:
        kernels.warp = lambda *args, **options: calls.append(1) or original(*args, **options)
        together = Compose(*parts)(image, generator(5))
    finally:
        kernels.warp = original
    assert len(calls) == 1
    stream, apart = generator(5), image
    for part in parts:
        apart = part(apart, stream)
    np.testing.assert_allclose(together, apart, atol=1e-12)


def test_chains_break_where_they_must(image):
    chains = Compose(Shift(1), Elastic(1, 2), Rotate(5), Rotate(5, border="reflect"), Noise(0.1), Flip())._chains
    assert [len(chain) for chain in chains] == [2, 1, 1, 1, 1]


def test_elastic_is_smooth_and_of_the_right_size():
    field = Elastic(34, 4).field(50, (29, 29), np.float64, generator())
    inner = field[:, :, 8:-8, 8:-8]
    assert 0.85 < inner.std() / (34 / 3**0.5 / (2 * np.pi**0.5 * 4)) < 1.15
    assert np.abs(np.diff(field, axis=3)).max() < 2
    for sigma, size in ((8, 60), (20, 120)):
        inner = Elastic(34, sigma).field(50, (size, size), np.float64, generator())[:, :, 2 * sigma : -2 * sigma]
        assert 0.85 < inner[..., 2 * sigma : -2 * sigma].std() / (34 / 3**0.5 / (2 * np.pi**0.5 * sigma)) < 1.15
    ndimage = pytest.importorskip("scipy.ndimage")
    seed = int(generator().integers(2**64, dtype=np.uint64))
    raw = kernels.uniform((100, 29, 29), -34, 34, seed=seed, dtype=np.float64)
    smooth = ndimage.gaussian_filter(raw, (0, 3, 3), mode="constant", truncate=5)
    field = Elastic(34, 3).field(50, (29, 29), np.float64, generator())
    np.testing.assert_allclose(field.reshape(100, 29, 29), smooth, atol=1e-3)


def test_elastic_after_a_turn_in_one_go():
    x = mnist_5k()[0][::1000].astype(np.float64)
    turn, elastic = Rotate((90, 90)), Elastic(20, 4)
    stream = generator(3)
    apart = elastic(turn(x, stream), stream)
    np.testing.assert_allclose(Compose(turn, elastic)(x, generator(3)), apart, atol=1e-10)


def test_noise_cutout_and_mixup(rng):
    x = rng.random((200, 1, 12, 12)).astype(np.float32)
    assert 0.09 < (Noise(0.1)(x, generator()) - x).std() < 0.11
    holes = Cutout(4, value=-1.0)(x, generator()) == -1
    assert holes.sum((1, 2, 3)).max() == 16 and holes.sum((1, 2, 3)).min() >= 4 and holes.any(0).all()
    assert not (Cutout(4, p=0, value=-1.0)(x, generator()) == -1).any()
    labels = rng.integers(0, 3, 200)
    blended, targets = Compose(Noise(0.0), Mixup(0.4, classes=3))(x, labels, generator())
    assert blended.shape == x.shape and targets.shape == (200, 3) and targets.dtype == np.float32
    np.testing.assert_allclose(targets.sum(1), 1, rtol=1e-6)
    values = Mixup(0.4)(x, rng.random((200, 2)), generator())[1]
    assert values.shape == (200, 2) and values.dtype == np.float64


ALL = Compose(Flip(), Shift(2), Affine(20, scale=(0.8, 1.2), shear=5, shift=1.0, p=0.5), Elastic(20, 4, p=0.7),
              Crop(24), Noise(0.1), Cutout(5, p=0.5))  # fmt: skip


def test_any_number_of_threads_gives_the_same_bits():
    x = mnist_5k()[0][::50]
    made = []
    for count in (1, 2, 7):
        with kernels.threads(count):
            made.append(ALL(x, generator(4)).tobytes())
    assert made[0] == made[1] == made[2]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_input_is_left_alone_and_types_are_kept(dtype):
    x = (mnist_5k()[0][::500] * 255).astype(dtype)
    before = x.copy()
    y = ALL(x, generator())
    np.testing.assert_array_equal(x, before)
    assert y.shape == (10, 1, 24, 24) and y.dtype == (dtype if dtype != np.uint8 else np.float32)
    assert np.isfinite(y).all()
    assert ALL(x[:0], generator()).shape == (0, 1, 24, 24)


def test_they_say_what_they_are():
    assert repr(Shift(2)) == "Shift(p=1.0, mode='nearest', border='constant', value=0.0, pixels=(2, 2), whole=True)"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Shift(-1), ValueError, "pixels must not be negative, got -1"),
        (lambda: Shift(1)(np.zeros((5, 784)), generator()), ValueError, r"Shift: expected .* \(5, 784\)"),
        (lambda: Rotate(float("nan")), ValueError, "degrees must be a number or a range"),
        (lambda: Rotate((20, 10)), ValueError, r"got \(20, 10\)"),
        (lambda: Rotate(10, p=2), ValueError, "p must be from 0 to 1, got 2"),
        (lambda: Scale(0, 1), ValueError, "scale must be larger than 0"),
        (lambda: Shear(90), ValueError, "shear must be between -90 and 90"),
        (lambda: Crop(0), ValueError, "size must be at least 1"),
        (lambda: Crop(9)(np.zeros((1, 1, 8, 8)), generator()), ValueError, "padding 0 are smaller than"),
        (lambda: Elastic(1, 0), ValueError, "sigma larger than 0"),
        (lambda: Noise(-1), ValueError, "deviation must be a number from 0"),
        (lambda: Cutout(0), ValueError, "size must be at least 1"),
        (lambda: Cutout(3)(np.zeros((5, 784)), generator()), ValueError, r"Cutout: expected images .* \(5, 784\)"),
        (lambda: Mixup(0), ValueError, "alpha must be larger than 0"),
        (lambda: Mixup()(np.zeros((2, 3)), np.array([0, 1]), generator()), ValueError, "number of classes"),
        (lambda: Mixup(1, 2)(np.zeros((2, 3)), np.array([0, 2]), generator()), ValueError, r"labels \(B,\) in 0..1"),
        (lambda: Mixup(1, 2)(np.zeros((2, 3)), generator()), TypeError, "changes targets as well"),
        (lambda: Compose([Shift(1)]), TypeError, "one by one, got list"),
        (lambda: Shift(1, border="zeros"), ValueError, "Shift: border must be one of constant, .* got 'zeros'"),
        (lambda: Rotate(1, mode="cubic"), ValueError, "Rotate: mode must be 'bilinear' or 'nearest', got 'cubic'"),
        (lambda: Flip()(np.zeros((1, 1, 4, 4), complex), generator()), TypeError, "must be numbers, got complex"),
    ],
)  # fmt: skip
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
