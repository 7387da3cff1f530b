"""Windows of images as the columns of a matrix (im2col), and back (col2im): each is the gradient of the other.

For everything that looks at windows and is not a convolution. Sums are in the order of the taps of the window.
"""

from typing import NamedTuple

from ..ground.checks import check_ndim, conv_output_size, pair
from ..ground.operation import Layout, operation
from .problem import Window, with_batch


def unfold(input, kernel_size, dilation=1, padding=0, stride=1, *, out=None):
    """Return the windows of images as columns.

    input (B, C, H, W) or (C, H, W) -> (B, C * KH * KW, L) or (C * KH * KW, L): a column for each of the L positions of
    the window, row by row, with zeros where it sticks out of the image. float32 or float64. Numbers or pairs.
    Raises ValueError if the window is larger than the padded image.
    """
    return _unfold.run(out, input, kernel_size, dilation, padding, stride)


def fold(input, output_size, kernel_size, dilation=1, padding=0, stride=1, *, out=None):
    """Return images whose windows are the columns given, added up where they overlap: the gradient of `unfold`.

    input (B, C * KH * KW, L) or (C * KH * KW, L), output_size (H, W) -> (B, C, H, W) or (C, H, W); float32 or float64.
    Raises ValueError if the columns are not those of windows of such images.
    """
    return _fold.run(out, input, output_size, kernel_size, dilation, padding, stride)


class Windows(NamedTuple):
    """Images (B, C, H, W) and the (OH, OW) positions of a window over them. result_shape: as the caller gets it."""

    input: Layout
    window: Window
    images: tuple[int, ...]
    positions: tuple[int, ...]
    result_shape: tuple[int, ...]

    @property
    def result(self):
        """Return the shape and dtype of the result."""
        return self.result_shape, self.input.dtype


@operation("input")
def _unfold(input, kernel_size, dilation, padding, stride):
    images = with_batch("unfold", "input", input, 2)
    window, positions = _window("unfold", images[2:], kernel_size, dilation, padding, stride)
    shape = images[0], images[1] * window.kernel[0] * window.kernel[1], positions[0] * positions[1]
    return Windows(input, window, images, positions, shape[4 - input.ndim :])


@operation("input")
def _fold(input, output_size, kernel_size, dilation, padding, stride):
    check_ndim("fold", "input", input, (2, 3))
    batch, rows, columns = (1, *input.shape)[-3:]
    size = pair("fold", "output_size", output_size, 1)
    window, positions = _window("fold", size, kernel_size, dilation, padding, stride)
    taps, count = window.kernel[0] * window.kernel[1], positions[0] * positions[1]
    if rows % taps or columns != count:
        shape = batch, rows, columns
        raise ValueError(
            f"fold: input has shape {shape}, but images of size {size} have {count} windows of {taps} pixels per "
            "channel"
        )
    images = batch, rows // taps, *size
    return Windows(input, window, images, positions, images[3 - input.ndim :])


def _window(function, size, kernel_size, dilation, padding, stride):
    """Check the arguments; return the window and its numbers of positions."""
    kernel = pair(function, "kernel_size", kernel_size, 1)
    dilation, stride = pair(function, "dilation", dilation, 1), pair(function, "stride", stride, 1)
    padding = pair(function, "padding", padding, 0)
    positions = conv_output_size(function, size, kernel, stride, padding, dilation)
    return Window(stride, padding, dilation, kernel, 1), positions
