"""Dropout with counter-based random numbers: any part of a mask can be computed alone, so none is ever stored.

Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011, section 3.3): ten rounds of
multiplications turn a counter of 128 bits and a key of 64 into four random words.
"""

import numpy as np

from ..ground.jit import exact, kernel

LANES = 16  # counters that are worked on together; with four words each, they serve CHUNK elements
CHUNK = 4 * LANES


@exact
def philox(counter, offset, seed):
    """Return the four random words (uint32) of the counter (counter, offset) under the key `seed`, all uint64."""
    low, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    a, b = counter & low, counter >> half
    c, d = offset & low, offset >> half
    key0, key1 = seed & low, seed >> half
    for _ in range(10):
        p, q = np.uint64(0xD2511F53) * a, np.uint64(0xCD9E8D57) * c
        a, b, c, d = (q >> half) ^ b ^ key0, q & low, (p >> half) ^ d ^ key1, p & low
        key0, key1 = (key0 + np.uint64(0x9E3779B9)) & low, (key1 + np.uint64(0xBB67AE85)) & low
    return np.uint32(a), np.uint32(b), np.uint32(c), np.uint32(d)


@kernel("T[::1], T[::1], u4, T, T, T, u8, u8", writes="out", parallel=True)
def dropout__philox(x, out, threshold, scale, shift, low, seed, offset, lo, hi):
    """x(N) -> out(N) = x scale + shift where its random word reaches the threshold, else x 0 + low, by chunks.

    Word w of lane l of chunk k belongs to element CHUNK k + LANES w + l, so that lanes are neighbours in memory.
    """
    zero = type(scale)(0)
    for k in range(lo, hi):
        a, y = x[k * CHUNK : (k + 1) * CHUNK], out[k * CHUNK : (k + 1) * CHUNK]
        if a.size == CHUNK:
            for i in range(LANES):
                w0, w1, w2, w3 = philox(np.uint64(k * LANES + i), offset, seed)
                keep = w0 >= threshold
                y[i] = a[i] * (scale if keep else zero) + (shift if keep else low)
                keep = w1 >= threshold
                y[i + LANES] = a[i + LANES] * (scale if keep else zero) + (shift if keep else low)
                keep = w2 >= threshold
                y[i + 2 * LANES] = a[i + 2 * LANES] * (scale if keep else zero) + (shift if keep else low)
                keep = w3 >= threshold
                y[i + 3 * LANES] = a[i + 3 * LANES] * (scale if keep else zero) + (shift if keep else low)
        else:
            for i in range(a.size):
                words = philox(np.uint64(k * LANES + i % LANES), offset, seed)
                keep = words[i // LANES] >= threshold
                y[i] = a[i] * (scale if keep else zero) + (shift if keep else low)
