"""Pooling in plain float64 NumPy: what fastnn's pooling must compute."""

import numpy as np


def tolerance(dtype, reduction: int) -> float:
    """Return the error allowed for an average of `reduction` values of magnitude 1. Maxima are exact."""
    return 4 * np.finfo(dtype).eps * max(1, reduction) ** 0.5


def windows(shape, kernel_size, stride, padding):
    """Yield (i, j, rows, columns) for each output: the slices of the (unpadded) image that its window covers."""
    kernel, stride, padding = (v if isinstance(v, tuple) else (v, v) for v in (kernel_size, stride, padding))
    counts = [(n + 2 * p - k) // s + 1 for n, p, k, s in zip(shape, padding, kernel, stride, strict=True)]
    for i in range(counts[0]):
        for j in range(counts[1]):
            starts = i * stride[0] - padding[0], j * stride[1] - padding[1]
            yield (i, j, *(slice(max(b, 0), min(b + k, n)) for b, k, n in zip(starts, kernel, shape, strict=True)))


def max_pool2d(x, kernel_size, stride=None, padding=0):
    """Return the maximum of each window and its index row * W + column in the image: the first, or the last NaN."""
    height, width = x.shape[2:]
    cells = list(windows((height, width), kernel_size, stride or kernel_size, padding))
    shape = (*x.shape[:2], max(c[0] for c in cells) + 1, max(c[1] for c in cells) + 1)
    y, indices = np.empty(shape), np.empty(shape, np.int64)
    places = np.arange(height * width).reshape(height, width)
    for i, j, rows, columns in cells:
        values = np.asarray(x[:, :, rows, columns], np.float64)
        values = values.reshape(*x.shape[:2], values.shape[2] * values.shape[3])
        isnan = np.isnan(values)
        best = np.where(isnan.any(-1), values.shape[-1] - 1 - isnan[..., ::-1].argmax(-1), values.argmax(-1))
        y[:, :, i, j] = np.take_along_axis(values, best[..., None], -1)[..., 0]
        indices[:, :, i, j] = places[rows, columns].ravel()[best]
    return y, indices


def max_pool2d_backward(dy, indices, shape):
    """Return dx: every gradient goes to the place that its index names."""
    dx = np.zeros((*shape[:2], shape[2] * shape[3]))
    for b in range(shape[0]):
        for c in range(shape[1]):
            np.add.at(dx[b, c], indices[b, c].ravel(), np.asarray(dy[b, c], np.float64).ravel())
    return dx.reshape(shape)


def avg_pool2d(x, kernel_size, stride=None, padding=0, count_include_pad=True):
    """Return the mean of each window; padding counts as zeros, or not at all."""
    kernel = kernel_size if isinstance(kernel_size, tuple) else (kernel_size, kernel_size)
    cells = list(windows(x.shape[2:], kernel_size, stride or kernel_size, padding))
    y = np.empty((*x.shape[:2], max(c[0] for c in cells) + 1, max(c[1] for c in cells) + 1))
    for i, j, rows, columns in cells:
        view = np.asarray(x[:, :, rows, columns], np.float64)
        count = kernel[0] * kernel[1] if count_include_pad else view.shape[2] * view.shape[3]
        y[:, :, i, j] = view.sum((2, 3)) / count
    return y


def avg_pool2d_backward(dy, shape, kernel_size, stride=None, padding=0, count_include_pad=True):
    """Return dx: every gradient is shared out evenly over its window."""
    kernel = kernel_size if isinstance(kernel_size, tuple) else (kernel_size, kernel_size)
    dx = np.zeros(shape)
    for i, j, rows, columns in windows(shape[2:], kernel_size, stride or kernel_size, padding):
        area = (rows.stop - rows.start) * (columns.stop - columns.start)
        count = kernel[0] * kernel[1] if count_include_pad else area
        dx[:, :, rows, columns] += np.asarray(dy[:, :, i, j], np.float64)[:, :, None, None] / count
    return dx
