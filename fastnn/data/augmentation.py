"""Changes to images that do not change what they show; for the `transform` of `Batches`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def random_shift(pixels: int) -> Callable[[Array, np.random.Generator], Array]:
    """Make a transform that moves each image by up to `pixels` in each direction, at random; zeros come in.

    Parameters
    ----------
    pixels : int
        The largest shift; all whole shifts from -pixels to pixels are equally likely, in height and width.

    Returns
    -------
    callable
        (images (N, C, H, W), generator) -> new images of the same shape.

    Raises
    ------
    ValueError
        If pixels is negative, or images are not (N, C, H, W).

    Examples
    --------
    >>> images = np.ones((2, 1, 3, 3))
    >>> random_shift(1)(images, np.random.default_rng(0)).shape
    (2, 1, 3, 3)
    """
    if pixels < 0:
        raise ValueError(f"random_shift: pixels must not be negative, got {pixels}")

    def shift(images: Array, generator: np.random.Generator) -> Array:
        if images.ndim != 4:
            raise ValueError(f"random_shift: expected images (N, C, H, W), got shape {images.shape}")
        n, channels, height, width = images.shape
        padded = np.zeros((n, channels, height + 2 * pixels, width + 2 * pixels), images.dtype)
        padded[:, :, pixels : pixels + height, pixels : pixels + width] = images
        result = np.empty_like(images)
        for i, (top, left) in enumerate(generator.integers(0, 2 * pixels + 1, (n, 2))):
            result[i] = padded[i, :, top : top + height, left : left + width]
        return result

    return shift
