"""Pooling in plain float64 NumPy, for any number of axes: what fastnn's pooling must compute."""

from itertools import product

import numpy as np


def tolerance(dtype, reduction: int) -> float:
    """Return the error allowed for an average of `reduction` values of magnitude 1. Maxima are exact."""
    return 4 * np.finfo(dtype).eps * max(1, reduction) ** 0.5


def tuples(shape, *values):
    """Return numbers repeated once per axis."""
    return [v if isinstance(v, tuple) else (v,) * len(shape) for v in values]


def sliding(shape, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """Return for each axis, for each window, (the places it covers, the number it covers with the padding)."""
    kernel, stride, padding, dilation = tuples(shape, kernel_size, stride or kernel_size, padding, dilation)
    axes = []
    for n, k, s, p, d in zip(shape, kernel, stride, padding, dilation, strict=True):
        room = n + 2 * p - d * (k - 1) - 1
        count = (-(-room // s) if ceil_mode else room // s) + 1
        starts = [i * s - p for i in range(count) if not ceil_mode or i * s < n + p]
        axes.append([([b + t * d for t in range(k) if 0 <= b + t * d < n], min(k, n + p - b)) for b in starts])
    return axes


def adaptive(shape, output_size):
    """Return what `sliding` does, for windows that cover each axis evenly."""
    (counts,) = tuples(shape, output_size)
    axes = []
    for n, count in zip(shape, counts, strict=True):
        edges = [(i * n // count, -(-(i + 1) * n // count)) for i in range(count)]
        axes.append([(list(range(b, e)), e - b) for b, e in edges])
    return axes


def cells(axes):
    """Yield (position of an output, np.ix_ of the places of its window, number of taps, with the padding)."""
    for position in product(*[range(len(axis)) for axis in axes]):
        windows = [axis[i] for axis, i in zip(axes, position, strict=True)]
        places = [w[0] for w in windows]
        yield position, np.ix_(*places), int(np.prod([len(p) for p in places])), int(np.prod([w[1] for w in windows]))


def max_pool(x, axes):
    """Return the maximum of each window and its place in its flattened image: the first, or the last NaN."""
    shape = (*x.shape[:2], *map(len, axes))
    y, indices = np.empty(shape), np.empty(shape, np.int64)
    numbers = np.arange(np.prod(x.shape[2:])).reshape(x.shape[2:])
    for position, window, taps, _ in cells(axes):
        values = np.asarray(x[:, :, *window], np.float64).reshape(*x.shape[:2], taps)
        isnan = np.isnan(values)
        best = np.where(isnan.any(-1), taps - 1 - isnan[..., ::-1].argmax(-1), values.argmax(-1))
        y[:, :, *position] = np.take_along_axis(values, best[..., None], -1)[..., 0]
        indices[:, :, *position] = numbers[window].ravel()[best]
    return y, indices


def scatter(values, indices, shape):
    """Return images of zeros to which every value is added at the place that its index names."""
    out = np.zeros((*shape[:2], int(np.prod(shape[2:]))))
    for b in range(shape[0]):
        for c in range(shape[1]):
            np.add.at(out[b, c], indices[b, c].ravel(), np.asarray(values[b, c], np.float64).ravel())
    return out.reshape(shape)


def avg_pool(x, axes, count_include_pad=True, divisor=None):
    """Return the mean of each window; padding counts as zeros, or not at all; or the sum over a divisor."""
    y = np.empty((*x.shape[:2], *map(len, axes)))
    for position, window, inside, whole in cells(axes):
        values = np.asarray(x[:, :, *window], np.float64)
        y[:, :, *position] = values.reshape(*x.shape[:2], inside).sum(-1)
        y[:, :, *position] /= divisor or (whole if count_include_pad else inside)
    return y


def avg_pool_backward(dy, shape, axes, count_include_pad=True, divisor=None):
    """Return dx: every gradient is shared out evenly over its window."""
    dx = np.zeros(shape)
    one = (slice(None), slice(None), *[None] * (len(shape) - 2))
    for position, window, inside, whole in cells(axes):
        share = np.asarray(dy[:, :, *position], np.float64) / (divisor or (whole if count_include_pad else inside))
        dx[:, :, *window] += share[one]
    return dx


def lp_pool(x, p, axes, kernel):
    """Return (sum of x**p)**(1/p) of each window, scaled up to the whole window where it hangs over the edge."""
    return (avg_pool(x**p, axes) * kernel) ** (1 / p)
