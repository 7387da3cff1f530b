"""Dropout: the published random numbers, the right share, and the same mask everywhere."""

import numpy as np
import pytest
from numba import njit

import fastnn_kernels as kernels
from fastnn_kernels.cpu import dropout as cpu
from fastnn_kernels.ground.threads import threads
from tests.reference import dropout as reference

# from the authors' own test vectors: (counter, offset, key) -> words
KNOWN = [
    ((0, 0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((2**64 - 1, 2**64 - 1, 2**64 - 1), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x85A308D3_243F6A88, 0x03707344_13198A2E, 0x299F31D0_A4093822),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize("numbers, words", KNOWN)
def test_published_random_numbers(numbers, words):
    assert reference.philox(*numbers) == words
    philox = cpu.philox

    @njit
    def call(counter, offset, seed):
        return philox(counter, offset, seed)

    assert call(*map(np.uint64, numbers)) == words


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [0, 1, 15, 17, 63, 64, 65, 200])
def test_mask_is_that_of_the_reference(count, dtype):
    x = np.linspace(1, 2, count, dtype=dtype)
    y = kernels.dropout(x, 0.3, seed=2**63 + 5, offset=2**40 + 3)
    expected = np.where(reference.mask(count, 0.3, 2**63 + 5, 2**40 + 3), x / 0.7, 0)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, expected, rtol=2 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(kernels.dropout_backward(x, 0.3, 2**63 + 5, 2**40 + 3), y)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("channels", [False, True])
def test_lines_and_channels(channels, alpha, dtype):
    name = ("feature_" if channels else "") + ("alpha_" if alpha else "") + "dropout"
    x = np.linspace(-2, 2, 3 * 50 * 7, dtype=dtype).reshape(3, 50, 7)
    kept = reference.mask(150 if channels else x.size, 0.3, 5, 2)
    kept = np.broadcast_to(kept.reshape((3, 50, 1) if channels else x.shape), x.shape)
    scale, shift, low = reference.line(0.3, alpha)
    y = getattr(kernels, name)(x, 0.3, 5, 2)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, np.where(kept, x * scale + shift, low), rtol=0, atol=8 * np.finfo(dtype).eps)
    dx = getattr(kernels, f"{name}_backward")(x, 0.3, 5, 2)
    np.testing.assert_allclose(dx, np.where(kept, x * scale, 0), rtol=0, atol=8 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(getattr(kernels, name)(x, 1.0, 5, 2), 0 * x)
    out = np.full(x.shape[::-1], np.nan, dtype).T
    assert getattr(kernels, name)(np.asfortranarray(x), 0.3, 5, 2, out=out) is out
    np.testing.assert_array_equal(out, y)


def test_alpha_dropout_keeps_mean_and_variance():
    x = np.random.default_rng(1).normal(size=1_000_000)
    y = kernels.alpha_dropout(x, 0.4, seed=3)
    assert abs(y.mean()) < 0.005 and abs(y.var() - 1) < 0.01


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_share_of_zeros(p):
    count = 1_000_000
    y = kernels.dropout(np.ones(count, np.float32), p, seed=1)
    deviation = np.sqrt(p * (1 - p) / count)
    assert abs(np.mean(y == 0) - p) < 4 * deviation
    neighbours = np.corrcoef(y[:-1] == 0, y[1:] == 0)[0, 1]
    assert abs(neighbours) < 4 / np.sqrt(count)


def test_seeds_and_offsets_give_other_masks():
    x = np.ones(1000, np.float32)
    masks = [
        kernels.dropout(x, 0.5, seed, offset) for seed, offset in ((1, 0), (2, 0), (1, 1), (1 + 2**32, 0), (1, 2**32))
    ]
    for i, a in enumerate(masks):
        for b in masks[:i]:
            assert 0.4 < np.mean(a == b) < 0.6


def test_same_bits_for_any_number_of_threads(rng):
    x = rng.normal(size=100_001).astype(np.float32)
    results = []
    for count in (1, 2, 3, 8, 17):
        with threads(count):
            results.append(kernels.dropout(x, 0.5, seed=3))
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


def test_layouts_see_the_same_mask(rng):
    x = rng.normal(size=(6, 5, 8))
    strided = np.asfortranarray(x)
    strided.flags.writeable = False
    y = kernels.dropout(x, 0.5, 9)
    np.testing.assert_array_equal(kernels.dropout(strided, 0.5, 9), y)
    out = np.full(x.shape[::-1], np.nan).T
    assert kernels.dropout(x, 0.5, 9, out=out) is out
    np.testing.assert_array_equal(out, y)


def test_ends_and_special_values():
    x = np.float32([1, np.nan, np.inf, -2])
    np.testing.assert_array_equal(kernels.dropout(x, 0, 1), x)
    np.testing.assert_array_equal(kernels.dropout(x[[0, 3]], 1.0, 1), [0, 0])
    assert np.isnan(kernels.dropout(np.full(100, np.nan), 0.5, 1)).all()


@pytest.mark.parametrize("p", [-0.1, 1.1, np.nan])
def test_bad_probability(p):
    with pytest.raises(ValueError, match="dropout: p must be from 0 to 1, got"):
        kernels.dropout(np.ones(3, np.float32), p, 0)


def test_bad_arguments():
    with pytest.raises(TypeError, match="dropout: input must be float32 or float64, got complex128"):
        kernels.dropout(np.ones(3, complex), 0.5, 0)
    with pytest.raises(ValueError, match=r"feature_dropout: input must have at least 2 dimensions \(B, C, ...\)"):
        kernels.feature_dropout(np.ones(3), 0.5, 0)
    with pytest.raises(ValueError, match=r"dropout_backward: seed must be from 0 to 2\*\*64 - 1, got -1"):
        kernels.dropout_backward(np.ones(3), 0.5, -1)


def test_seeds_are_refused_after_others_were_accepted():
    x = np.ones(7, np.float32)
    y = kernels.dropout(x, 0.5, 3)
    np.testing.assert_array_equal(kernels.dropout(x, 0.5, np.int64(3), np.uint8(0)), y)
    huge = kernels.dropout(x, 0.5, 2**64 - 1)
    np.testing.assert_array_equal(kernels.dropout(x, 0.5, np.uint64(2**64 - 1)), huge)
    for seed, error in ((3.0, TypeError), (-1, ValueError), (2**64, ValueError), ("3", TypeError)):
        with pytest.raises(error, match="dropout: seed must be"):
            kernels.dropout(x, 0.5, seed)


@pytest.mark.parametrize("name", ["dropout", "feature_alpha_dropout"])
def test_in_place(name, rng):
    x = rng.normal(size=(3, 5, 33))
    y = getattr(kernels, name)(x, 0.4, 7)
    assert getattr(kernels, name)(x, 0.4, 7, out=x) is x
    np.testing.assert_array_equal(x, y)


def test_channels_of_a_large_array_use_streaming_stores(rng):
    x = rng.normal(size=(1, 9, 1 << 18)).astype(np.float32)
    whole = kernels.feature_dropout(x, 0.3, 5)
    room = np.empty(x.size + 16, np.float32)
    for start in (0, 1):  # aligned or not
        out = room[start : start + x.size].reshape(x.shape)
        np.testing.assert_array_equal(kernels.feature_dropout(x, 0.3, 5, out=out), whole)
    small = np.concatenate([kernels.feature_dropout(x[:, :, :64], 0.3, 5)], -1)
    np.testing.assert_array_equal(whole[:, :, :64], small)
