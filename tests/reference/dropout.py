"""Philox 4x32-10 in Python integers, one counter at a time, and the mask that dropout draws from it."""

import numpy as np

WORD = 2**32


def philox(counter, offset, seed):
    """Return the four words of the counter (counter, offset), two numbers below 2^64, under the key `seed`."""
    a, b, c, d = counter % WORD, counter // WORD, offset % WORD, offset // WORD
    key0, key1 = seed % WORD, seed // WORD
    for _ in range(10):
        p, q = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = q // WORD ^ b ^ key0, q % WORD, p // WORD ^ d ^ key1, p % WORD
        key0, key1 = (key0 + 0x9E3779B9) % WORD, (key1 + 0xBB67AE85) % WORD
    return a, b, c, d


def mask(count, p, seed, offset=0):
    """Return which of `count` elements stay: 16 counters serve 64 elements, first their first words, and so on."""
    words = [philox(i // 64 * 16 + i % 16, offset, seed)[i % 64 // 16] for i in range(count)]
    return np.array(words, np.uint64) >= round(p * WORD)


def line(p, alpha=False):
    """Return what stays as (scale, shift), and what a dropped number becomes; alpha: as Klambauer et al. (2017) do."""
    if not alpha:
        return 1 / (1 - p), 0.0, 0.0
    floor = -1.0507009873554805 * 1.6732632423543772
    a = (1 - p + p * (1 - p) * floor**2) ** -0.5
    b = -a * p * floor
    return a, b, a * floor + b
