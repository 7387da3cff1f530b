"""Plans of the operations on images, which stand with their kernels."""

from . import pad, shuffle  # noqa: F401
