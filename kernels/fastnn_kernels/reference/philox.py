"""Counter-based random numbers, Philox 4x32-10 (Salmon et al., 2011), in 64-bit integers."""

import numpy as np

LOW, HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


def random_words(count, seed, offset):
    """Return `count` random words of 32 bits: word w of counter 16 k + l belongs to element 64 k + 16 w + l."""
    element = np.arange(count, dtype=np.uint64)
    counter = element // np.uint64(64) * np.uint64(16) + element % np.uint64(16)
    a, b = counter & LOW, counter >> HALF
    c, d = (np.full(count, value, np.uint64) for value in (offset & 0xFFFFFFFF, offset >> 32))
    key0, key1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        p, q = np.uint64(0xD2511F53) * a, np.uint64(0xCD9E8D57) * c
        a, b, c, d = (q >> HALF) ^ b ^ np.uint64(key0), q & LOW, (p >> HALF) ^ d ^ np.uint64(key1), p & LOW
        key0, key1 = (key0 + 0x9E3779B9) & 0xFFFFFFFF, (key1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.choose(element.astype(np.int64) % 64 // 16, [a, b, c, d]) if count else a
