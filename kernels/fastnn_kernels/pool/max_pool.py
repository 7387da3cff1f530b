"""Max pooling of signals, images and volumes, its gradient, and unpooling.

Inputs are (B, C, ...) or (C, ...) with one, two or three axes after the channels, float32 or float64, any strides.
Channels-last input gives channels-last output.
"""

from typing import NamedTuple

from ..ground.checks import flag, integer
from ..ground.operation import Layout, operation
from .windows import Axis, adaptive, check_dims, check_gradient, gradient_of, result, size_of, sizes, sliding

COMPACT = "compact"


def max_pool2d(
    input,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode=False,
    *,
    return_indices=False,
    activation=None,
    out=None,
):
    """Return the largest value of each window; with return_indices=True, (values, indices).

    input (B, C, H, W) or (C, H, W) -> (B, C, OH, OW) or (C, OH, OW), same dtype; indices: int64, row * W + column of
    the value in its image, -1 for a window of padding alone. Values are exact; of equal values the first counts, and
    NaN is larger than all numbers. stride defaults to kernel_size; padding is minus infinity; with ceil_mode a last
    window may hang over the edge. activation: None or "relu" (the ReLU of the largest is the largest of the ReLU, of
    fewer numbers).

    return_indices="compact" gives the indices in the form that costs `max_pool_backward` least: int32 where these
    suffice, -1 where the activation's zero is larger; None for the windows whose maximum is found again faster than an
    index is read.

    Raises ValueError if a window is larger than the padded image, or padding than half the window; TypeError for
    integer images.
    """
    return _max_pool2d.run(out, input, return_indices, activation, kernel_size, stride, padding, dilation, ceil_mode)


def max_pool1d(
    input,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode=False,
    *,
    return_indices=False,
    activation=None,
    out=None,
):
    """Return the largest value of each window of signals (B, C, L) or (C, L). Otherwise like `max_pool2d`."""
    return _max_pool1d.run(out, input, return_indices, activation, kernel_size, stride, padding, dilation, ceil_mode)


def max_pool3d(
    input,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode=False,
    *,
    return_indices=False,
    activation=None,
    out=None,
):
    """Return the largest value of each window of volumes (B, C, D, H, W) or (C, D, H, W).

    indices: (slice * H + row) * W + column. Otherwise like `max_pool2d`.
    """
    return _max_pool3d.run(out, input, return_indices, activation, kernel_size, stride, padding, dilation, ceil_mode)


def adaptive_max_pool1d(input, output_size, *, return_indices=False):
    """Return the largest values of `output_size` windows that cover a signal. Like `adaptive_max_pool2d`."""
    return _adaptive_max_pool1d.run(None, input, return_indices, output_size)


def adaptive_max_pool2d(input, output_size, *, return_indices=False):
    """Return the largest values of the windows that cover an image, with return_indices=True also their indices.

    input (B, C, H, W) or (C, H, W) -> (B, C, *output_size); output_size: a number or one per axis, None for the
    length of the input's. Window i covers the pixels from floor(i H / OH) up to ceil((i + 1) H / OH), as in PyTorch:
    they may overlap by one. output_size=1 is global pooling. Otherwise like `max_pool2d`.
    """
    return _adaptive_max_pool2d.run(None, input, return_indices, output_size)


def adaptive_max_pool3d(input, output_size, *, return_indices=False):
    """Return the largest values of the windows that cover a volume. Like `adaptive_max_pool2d`."""
    return _adaptive_max_pool3d.run(None, input, return_indices, output_size)


def max_pool_backward(dims, dy, input, window, indices=None, activation=None, *, check_indices=True):
    """Return the gradient of a max pooling's input from that of its output; the other arguments as in the forward.

    dims: 1, 2 or 3. dy (B, C, ...), input (B, C, ...), or both without B -> input's shape, in its memory layout.
    window: (kernel_size, stride, padding, dilation, ceil_mode), or (output_size,) of adaptive pooling. indices: what
    the forward returned; without them the maxima are found again. check_indices=False is for indices that come
    straight from the forward: it saves a pass, and an index that is not of the image gets no gradient. Where windows
    overlap, gradients add up in the order of the outputs. Raises ValueError unless the shapes fit together and indices
    are -1 or of the image, TypeError unless they are integers, and as the forward does.
    """
    operation = gradient_of("max_pool", dims, window, 5, _backward)
    return operation.run(None, dy, input, indices, activation, check_indices, *window)


def max_unpool1d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Put values back where the maxima of a signal came from, zeros elsewhere. Like `max_unpool2d`."""
    return _max_unpool1d.run(None, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Put values back where `max_pool2d` (with these arguments and return_indices=True) took them, zeros elsewhere.

    input, indices (B, C, H, W) or (C, H, W) -> (B, C, OH, OW) or (C, OH, OW) of the input's dtype. OH = (H - 1) stride
    - 2 padding + kernel_size, or as output_size says (OH, OW; longer shapes count from the end). Of values with the
    same index the last stays. Raises ValueError if an index is outside the image, or shapes do not fit.
    """
    return _max_unpool2d.run(None, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Put values back where the maxima of a volume came from, zeros elsewhere. Like `max_unpool2d`."""
    return _max_unpool3d.run(None, input, indices, kernel_size, stride, padding, output_size)


def max_unpool_backward(dims, dy, indices):
    """Return the gradient of max_unpool's input: the elements of dy (B, C, ...) or (C, ...) at the indices.

    Raises ValueError unless the indices are of dy's images, TypeError unless they are integers.
    """
    check_dims("max_unpool", dims)
    return _unpool_backward[dims].run(None, dy, indices)


class MaxPool(NamedTuple):
    """The largest values of windows. relu: whether they are not below 0. indices: False, True or "compact"."""

    input: Layout
    axes: tuple[Axis, ...]
    relu: bool
    indices: bool | str
    out: Layout | None = None

    @property
    def result(self):
        """Return the shape and dtype of the result."""
        return result(self.input, self.axes)


class MaxPoolGradient(NamedTuple):
    """Gradients dy that go to the largest values of windows over the input. check: whether to look at the indices."""

    name: str
    dy: Layout
    input: Layout
    indices: Layout | None
    axes: tuple[Axis, ...]
    relu: bool
    check: bool


class MaxUnpool(NamedTuple):
    """Values that go to the indices of images of a size, ([B,] C, ...)."""

    name: str
    input: Layout
    indices: Layout
    size: tuple[int, ...]


class MaxUnpoolGradient(NamedTuple):
    """Gradients dy of images ([B,] C, ...), of which those at the indices are wanted."""

    name: str
    dy: Layout
    indices: Layout
    dims: int


def _indices(name, return_indices):
    """Return False, True or "compact"."""
    return COMPACT if return_indices == COMPACT else flag(name, "return_indices", return_indices)


def _is_relu(name, activation):
    if activation is not None and activation != "relu":
        raise ValueError(f"{name}: activation must be None or 'relu', got {activation!r}")
    return activation == "relu"


def _gradient(name, dy, input, indices, axes, relu, check_indices):
    check_gradient(name, dy, input.shape, axes)
    if indices is not None and indices.shape != dy.shape:
        raise ValueError(f"{name}: indices have shape {indices.shape}, dy has {dy.shape}")
    check = flag(name, "check_indices", check_indices)
    return MaxPoolGradient(name, dy, input, indices, axes, relu, check)


def _operations(dims):
    """Return the operations for `dims` axes: max pooling and its gradient, adaptive and its, unpooling and its."""
    names = [f"{kind}{dims}d" for kind in ("max_pool", "adaptive_max_pool", "max_unpool")]
    name, adaptive_name, unpool_name = names
    name_back, adaptive_back, unpool_back = [f"{name}_backward" for name in names]

    @operation("input", name=name)
    def forward(input, return_indices, activation, kernel_size, stride, padding, dilation, ceil_mode):
        indices, relu, size = _indices(name, return_indices), _is_relu(name, activation), size_of(name, input, dims)
        return MaxPool(input, sliding(name, size, kernel_size, stride, padding, dilation, ceil_mode), relu, indices)

    @operation("input", name=adaptive_name)
    def adaptive_forward(input, return_indices, output_size):
        indices, size = _indices(adaptive_name, return_indices), size_of(adaptive_name, input, dims)
        return MaxPool(input, adaptive(adaptive_name, size, output_size), False, indices)

    @operation("dy input", integers="indices", optional="indices", name=name_back)
    def backward(dy, input, indices, activation, check_indices, kernel_size, stride, padding, dilation, ceil_mode):
        relu, size = _is_relu(name_back, activation), size_of(name_back, input, dims)
        axes = sliding(name_back, size, kernel_size, stride, padding, dilation, ceil_mode)
        return _gradient(name_back, dy, input, indices, axes, relu, check_indices)

    @operation("dy input", integers="indices", optional="indices", name=adaptive_back)
    def adaptive_backward(dy, input, indices, activation, check_indices, output_size):
        relu, size = _is_relu(adaptive_back, activation), size_of(adaptive_back, input, dims)
        axes = adaptive(adaptive_back, size, output_size)
        return _gradient(adaptive_back, dy, input, indices, axes, relu, check_indices)

    @operation("input", integers="indices", name=unpool_name)
    def unpool(input, indices, kernel_size, stride, padding, output_size):
        name, here = unpool_name, size_of(unpool_name, input, dims)
        kernel = sizes(name, "kernel_size", kernel_size, dims, 1)
        stride = kernel if stride is None else sizes(name, "stride", stride, dims, 1)
        padding = sizes(name, "padding", padding, dims, 0)
        usual = tuple((n - 1) * s - 2 * p + k for n, k, s, p in zip(here, kernel, stride, padding, strict=True))
        if output_size is not None and not isinstance(output_size, tuple):
            raise TypeError(f"{name}: output_size must be a tuple of integers, got {output_size!r}")
        size = usual if output_size is None else output_size[-dims:]
        size = tuple(integer(name, "output_size", n, 1) for n in size)
        if len(size) != dims or any(abs(n - u) >= s for n, u, s in zip(size, usual, stride, strict=True)):
            raise ValueError(f"{name}: output_size must be {usual} or less than a stride from it, got {output_size}")
        if indices.shape != input.shape:
            raise ValueError(f"{name}: indices have shape {indices.shape}, input has {input.shape}")
        return MaxUnpool(name, input, indices, size)

    @operation("dy", integers="indices", name=unpool_back)
    def unpool_backward(dy, indices):
        size_of(unpool_back, dy, dims, "dy")
        if indices.ndim != dy.ndim or indices.shape[:-dims] != dy.shape[:-dims]:
            raise ValueError(
                f"{unpool_back}: indices have shape {indices.shape}, which does not fit a dy of shape {dy.shape}"
            )
        return MaxUnpoolGradient(unpool_back, dy, indices, dims)

    return forward, adaptive_forward, backward, adaptive_backward, unpool, unpool_backward


_max_pool1d, _adaptive_max_pool1d, *_backward1d, _max_unpool1d, _unpool_backward1d = _operations(1)
_max_pool2d, _adaptive_max_pool2d, *_backward2d, _max_unpool2d, _unpool_backward2d = _operations(2)
_max_pool3d, _adaptive_max_pool3d, *_backward3d, _max_unpool3d, _unpool_backward3d = _operations(3)
_backward = {1: _backward1d, 2: _backward2d, 3: _backward3d}
_unpool_backward = {1: _unpool_backward1d, 2: _unpool_backward2d, 3: _unpool_backward3d}
