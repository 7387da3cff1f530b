"""The gradient of a convolution's weight, directly: how its sums and its memory are cut.

It is a product whose sums go over all pixels, some of them at a time: pieces of rows, small enough that what they see
of the images and of dy stays in the second-level cache. A fixed number of partial sums is added up at the end.
"""

from numpy.lib.stride_tricks import as_strided

from ...ground.memory import empty
from ...ground.plans import ghost
from ...ground.records import packed
from ...ground.threads import tasks
from ..grains import CONVOLUTION as GRAIN
from ..grains import ELEMENTS
from ..vector.gemm_tile import TILE_VECTORS
from ..vector.simd import vector_bytes
from . import weight_gradient_kernels as kernels
from .layer import NO_MASK, Window

# bytes of images and of dy that are multiplied at a time; not from the size of caches, as sums are cut by it
BUFFER = 1 << 18
SUM = 128  # pixels, at least: every piece reads and writes all of a part
PARTS = 1 << 23  # bytes of partial sums, at most
UNIT = Window(1, 1, 0, 0, 1, 1, 1, 1)
PIECES = 16  # into how many parts and pieces of filters the work is cut, where it can be


def plan_weight(dy, x, window, groups, dw, with_bias):
    """Return f(dy, x, dw, db, mask); see `weight_gradient.plan_weight`."""
    if (window.kh, window.kw, window.top, window.left) == (1, 1, 0, 0) and window != UNIT:
        read = (..., slice(None, None, window.sh), slice(None, None, window.sw))  # no window sees the other pixels
        convolve = plan_weight(dy, x[read], UNIT, groups, dw, with_bias)
        return lambda dy, x, dw, *rest: convolve(dy, x[read], dw, *rest)
    count = _neighbours(dy, window.dw, groups)
    if count > 1:
        return _plan_neighbours(count, dy, x, window, dw, with_bias)
    filters, (number, channels, kh, kw), dtype = dw.shape[0] // groups, dw.shape, x.dtype
    sizes, length, pieces = _cut(window, dy.shape, channels, groups, filters, x.itemsize)
    shapes = (pieces, groups, kh, kw * channels, filters), (pieces if with_bias else 0, number)
    work, table = (tasks(dy.size * channels * kh * kw, GRAIN), length), packed(window, sizes)
    rows, adders = groups * channels * kh * kw, tasks(pieces * dw.size, ELEMENTS)
    multiply, add = kernels.conv2d_backward_weight__bands[dtype], kernels.conv2d_backward_weight__sum[dtype]
    add_sums = kernels.conv2d_backward_bias__parts[dtype]

    def compute(dy, x, dw, db=None, mask=NO_MASK[dtype]):
        parts, sums = empty(shapes[0], dtype), empty(shapes[1], dtype)
        multiply(dy, mask, x, table, empty(work, dtype), parts, sums, work[0], work[0])
        add(parts, dw, rows, adders)
        if with_bias:
            add_sums(sums, db, number, 1)

    return compute


def _neighbours(dy, dilation, groups):
    """Return how many neighbouring pixels of dy fit into a vector, if they are contiguous and divide a row."""
    filters, width, (_, by_filter, _, by_column) = dy.shape[1], dy.shape[3], dy.strides
    together = by_filter == dy.itemsize and by_column == filters * dy.itemsize
    if groups * dilation > 1 or not together:
        return 1
    return max(n for n in range(1, max(1, vector_bytes() // by_column) + 1) if width % n == 0)


def _plan_neighbours(count, dy, x, window, dw, with_bias):
    """Compute the gradient with `count` neighbouring pixels of dy as one pixel of so many times more filters.

    Few filters leave most of a vector empty. The window of such a pixel is wider, by the stride for each neighbour. The
    gradient of a filter is a part of that wide one, for each neighbour one stride further right; these are added.
    """
    (filters, channels, kh, kw), dtype = dw.shape, dw.dtype
    wide, sw = kw + (count - 1) * window.sw, window.sw
    shape = dy.shape[0], count * filters, dy.shape[2], dy.shape[3] // count
    strides = *dy.strides[:3], count * dy.strides[3]
    memory = count * filters, channels, kh, wide
    window = window._replace(sw=count * sw, kw=wide)
    convolve = plan_weight(_view(dy, shape, strides), x, window, 1, ghost(memory, dtype), with_bias)

    each, adders = (count, filters, channels, kh, wide), tasks(dw.size * count, ELEMENTS)
    add, add_sums = kernels.conv2d_backward_weight__neighbours[dtype], kernels.conv2d_backward_bias__parts[dtype]

    def compute(dy, x, dw, db=None, *mask):
        out = empty(memory, dtype)
        sums = empty((count * filters,), dtype) if with_bias else None
        convolve(_view(dy, shape, strides), x, out, sums, *(_view(a, shape, strides) for a in mask))
        add(out.reshape(each), sw, dw, filters, adders)
        if with_bias:
            add_sums(sums.reshape(count, filters), db, filters, 1)

    return compute


def _view(x, shape, strides):
    return as_strided(x, shape, strides, writeable=False)


def _cut(window, shape, channels, groups, filters, itemsize):
    """Return how the work is cut, the length of a task's workspace, and the number of partial sums."""
    sh, sw, _, _, dh, dw, kh, kw = window
    batch, _, height, width = shape
    lanes = TILE_VECTORS * vector_bytes() // itemsize
    panels = -(-filters // lanes)
    seen = sh * (sw if dw == 1 else kw) * channels  # numbers of the images for each pixel of dy
    parts = max(1, min(PIECES, PARTS // (filters * channels * kh * kw * groups * itemsize)))
    block = min(panels, max(1, panels * parts * groups // PIECES))
    pixels = max(SUM, BUFFER // (itemsize * (seen + block * lanes)))
    segment = -(-width // -(-width // pixels))
    band = max(1, min(height, pixels // segment))
    units = batch * -(-height // band) * -(-width // segment)
    row = (((segment - 1) * sw + kw) if dw == 1 else segment * kw) * channels
    length = -(-((band - 1) * sh + (kh - 1) * dh + 1) * row // 16) * 16 + band * segment * lanes * block + 16
    return kernels.Pieces(band, block, segment), length, min(units, parts)
