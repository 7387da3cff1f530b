"""Dropout with counter-based random numbers: any part of a mask can be computed alone, so none is ever stored.

Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011, section 3.3): ten rounds of
multiplications turn a counter of 128 bits and a key of 64 into four random words.
"""

import numpy as np

from .._jit import jitted, kernel

LANES = 16  # counters that are worked on together; with four words each, they serve CHUNK elements
CHUNK = 4 * LANES


@jitted
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


@kernel("T[::1], T[::1], u4, T, u8, u8", writes="out", parallel=True)
def dropout__philox(x, out, threshold, scale, seed, offset, lo, hi):
    """x(N) -> out(N) = x scale where its random word reaches the threshold, else x 0; the range counts chunks.

    Word w of lane l of chunk k belongs to element CHUNK k + LANES w + l, so that lanes are neighbours in memory.
    """
    zero = type(scale)(0)
    for k in range(lo, hi):
        first = k * CHUNK
        if first + CHUNK <= x.size:
            for lane in range(LANES):
                a, b, c, d = philox(np.uint64(k * LANES + lane), offset, seed)
                i = first + lane
                out[i] = x[i] * (scale if a >= threshold else zero)
                out[i + LANES] = x[i + LANES] * (scale if b >= threshold else zero)
                out[i + 2 * LANES] = x[i + 2 * LANES] * (scale if c >= threshold else zero)
                out[i + 3 * LANES] = x[i + 3 * LANES] * (scale if d >= threshold else zero)
        else:
            for i in range(first, x.size):
                words = philox(np.uint64(k * LANES + (i - first) % LANES), offset, seed)
                out[i] = x[i] * (scale if words[(i - first) // LANES] >= threshold else zero)
