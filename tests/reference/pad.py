"""Padding in plain NumPy: what fastnn's padding must give, to the bit."""

import numpy as np

MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def pad(x, pad, mode="constant", value=0.0):
    """Add by the positive numbers of `pad`, crop by the negative ones: pairs for the last axis, then the one before.

    Cropping comes last, so that reflections still see what goes; only around the corner it comes first.
    """
    pairs = [(0, 0)] * (x.ndim - len(pad) // 2) + [tuple(pad[i : i + 2]) for i in range(0, len(pad), 2)][::-1]
    more = {"constant_values": value} if mode == "constant" else {}
    if mode == "circular":
        x = cropped(x, pairs)
    y = np.pad(x, [(max(before, 0), max(after, 0)) for before, after in pairs], MODES[mode], **more)
    return y if mode == "circular" else cropped(y, pairs)


def cropped(x, pairs):
    """Cut off what the negative numbers say."""
    return x[
        tuple(slice(max(-before, 0), n - max(-after, 0)) for n, (before, after) in zip(x.shape, pairs, strict=True))
    ]


def pad_backward(dy, shape, pad_, mode="constant"):
    """Return dx: every place collects the gradients of its copies."""
    places = np.arange(np.prod(shape, dtype=np.int64)).reshape(shape)
    copied = pad(places, pad_, mode, -1)
    dx = np.zeros(np.prod(shape, dtype=np.int64) + 1)  # the last one collects those of the constant
    np.add.at(dx, copied.ravel(), np.asarray(dy, np.float64).ravel())
    return dx[:-1].reshape(shape)
