"""Dropout with counter-based random numbers: any part of a mask can be computed alone, so none is ever stored.

Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011, section 3.3): ten rounds of
multiplications turn a counter of 128 bits and a key of 64 into four random words.
"""

from math import prod

import numpy as np

from ..ground.backend import plans
from ..ground.checks import contiguous, word
from ..ground.jit import exact, kernel
from ..ground.memory import ALIGNMENT, FAR, empty
from ..ground.outputs import target
from ..ground.threads import tasks
from .grains import SUMS as GRAIN
from .vector.simd import address, fence, fma
from .vector.values import broadcast, pointer, read, read_part, stream, width, write, write_part, zeros

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


@exact
def fraction(word, one):
    """Return a number of [0, 1) from the upper 24 bits of a word."""
    return type(one)(np.int32(word >> np.uint32(8))) * type(one)(2.0**-24)


@kernel("S[::1], S[::1], u4, T, T, T, u8, u8", writes="out", parallel=True)
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


@exact
def scaled(x, scale, shift):
    """Return x scale + shift."""
    return fma(x, scale, shift)


@kernel("S[::1], S[::1], T, T, T, S[::1], int", writes="out", parallel=True)
def feature_dropout__channels(x, kept, scale, shift, low, out, streaming, lo, hi):
    """x(R L), kept(R) -> out(R L) = x scale + shift, or where kept is 0, 0 x + low. The range is over R.

    streaming: 1 to use streaming stores, if `out` is aligned.
    """
    source, result, length = pointer(x), pointer(out), x.size // kept.size
    zero = zeros(source)
    step = width(zero)
    streaming = streaming and address(out) % ALIGNMENT == 0
    for r in range(lo, hi):
        at, end = r * length, (r + 1) * length
        factor, offset = broadcast(scale * kept[r]), broadcast(shift if kept[r] > 0 else low)
        while at + step <= end:
            y = scaled(read(source, at), factor, offset)
            if streaming:
                stream(result, at, y)
            else:
                write(result, at, y)
            at += step
        if at < end:
            write_part(result, at, end - at, scaled(read_part(source, at, end - at, zero), factor, offset))
    if streaming:
        fence()


def words(problem, seed, offset):
    """Return seed and offset, checked: those of a call whose plan was known have not been."""
    return word(problem.name, "seed", seed), word(problem.name, "offset", offset)


@plans("dropout", "dropout_backward", "alpha_dropout", "alpha_dropout_backward")
def dropout(problem):
    """Plan a mask over elements: run(out, x, p, seed, offset)."""
    (shape, dtype), size = problem.result, prod(problem.result[0])
    kernel, chunks, line = dropout__philox[dtype], -(-size // CHUNK), problem[3:]
    number = tasks(chunks, GRAIN // CHUNK)

    def run(out, x, p, seed, offset):
        y = target(out, shape, dtype)
        kernel(contiguous(x).reshape(-1), y.reshape(-1), *line, *words(problem, seed, offset), chunks, number)
        return y

    return run


@plans(*[f"feature_{alpha}dropout{back}" for alpha in ("", "alpha_") for back in ("", "_backward")])
def feature_dropout(problem):
    """Plan a mask over channels: run(out, x, p, seed, offset). Draw 1 or 0 per channel, then compute."""
    (shape, dtype), size = problem.result, prod(problem.result[0])
    channels, length = prod(shape[:2]), prod(shape[2:])
    draw, kernel, threshold, *line = dropout__philox[dtype], feature_dropout__channels[dtype], *problem[3:]
    chunks, ones = -(-channels // CHUNK), np.ones(channels, dtype)
    draw_number, number = tasks(chunks, GRAIN // CHUNK), tasks(channels, -(-GRAIN // max(length, 1)))
    row = length * dtype.itemsize
    streaming = int(size * dtype.itemsize >= FAR and row % ALIGNMENT == 0)

    def run(out, x, p, seed, offset):
        y, kept = target(out, shape, dtype), empty((channels,), dtype)
        draw(ones, kept, threshold, 1.0, 0.0, 0.0, *words(problem, seed, offset), chunks, draw_number)
        if size:
            kernel(contiguous(x).reshape(-1), kept, *line, y.reshape(-1), streaming, channels, number)
        return y

    return run
