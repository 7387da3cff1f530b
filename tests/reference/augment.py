"""Sampling images at other places, and random numbers from words, in plain float64 Python."""

from statistics import NormalDist

import numpy as np

from tests.reference.dropout import WORD, philox


def tolerance(dtype, side, contrast=1.0) -> float:
    """Return the error allowed for images of this side: places are off by some eps of the side, values by the slope."""
    return 8 * np.finfo(dtype).eps * side * contrast


def index(place, n, border):
    """Return which of n pixels stands at a whole place, or None for the constant outside."""
    if 0 <= place < n:
        return place
    if border == "constant":
        return None
    if border == "replicate":
        return min(max(place, 0), n - 1)
    if border == "circular":
        return place % n
    place = abs(place) % (2 * (n - 1)) if n > 1 else 0
    return min(place, 2 * (n - 1) - place)


def warp(x, matrix, field, size, mode, border, value):
    """Return images (B, C, OH, OW) by the definition, pixel by pixel."""
    batch, channels, height, width = x.shape
    y = np.empty((batch, channels, *size))
    for b, i, j in np.ndindex(batch, *size):
        place = np.array([i, j], float) + (0 if field is None else field[b, :, i, j])
        row, column = matrix[b, :, :2] @ place + matrix[b, :, 2]
        if mode == "nearest":
            row, column = np.rint(row), np.rint(column)
        r, c = int(np.floor(row)), int(np.floor(column))
        total = 0
        for dr, wr in ((0, 1 - (row - r)), (1, row - r)):
            for dc, wc in ((0, 1 - (column - c)), (1, column - c)):
                at = index(r + dr, height, border), index(c + dc, width, border)
                total = total + wr * wc * (np.full(channels, value) if None in at else x[b, :, at[0], at[1]])
        y[b, :, i, j] = total
    return y


def words(count, seed, offset):
    """Return one random word per element: 16 counters serve 64 elements, first their first words, and so on."""
    return np.array([philox(i // 64 * 16 + i % 16, offset, seed)[i % 64 // 16] for i in range(count)], float)


def fractions(count, seed, offset):
    """Return numbers of [0, 1): the upper 24 bits of the words."""
    return np.floor(words(count, seed, offset) / 2**8) / (WORD / 2**8)


def normals(count, seed, offset):
    """Return the normal distribution's quantiles at the middle of the steps of `fractions`."""
    quantile = NormalDist().inv_cdf
    return np.array([quantile(fraction + 2.0**-25) for fraction in fractions(count, seed, offset)])
