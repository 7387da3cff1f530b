"""Plans of the operations on images, which stand with their kernels."""

from . import augment, pad, resize, sample, shuffle  # noqa: F401
