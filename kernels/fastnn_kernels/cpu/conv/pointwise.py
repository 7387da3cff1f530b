"""Convolution with kernels of 1x1 is a matrix product per image, and goes to the engine that multiplies matrices.

Channels-first y(OC,HW) = W(OC,C) x(C,HW); channels-last y(HW,OC) = x(HW,C) W^T, where all images may be one product.
Small channels-first images are multiplied so, too: few columns leave a good part of a tile empty.
"""

from ...formulas.activation import FUSED
from ...ground.layout import places_first
from ...ground.memory import empty
from ...ground.plans import ghost
from ..matmul.plan import plan_products
from ..matmul.prepared import pack_panels
from ..move import empty_last, ghost_last, plan_transpose
from .direct import plan_fill
from .layer import Planned, Window

FEW = 100  # pixels of a small image
DOTS = 4  # pixels in all, for which each row of W is read once, in place


def refusal(layer):
    """Say why a layer is no matrix product."""
    window = layer.window
    if (window.top, window.left, window.kh, window.kw) != (0, 0, 1, 1) or layer.groups > 1:
        return "needs 1x1 kernels without padding and groups=1"
    return ""


def plan(layer, x, y, floor, kept, masked):
    """Return the `Planned` of a matrix product; it packs nothing, or W^T in panels if these are kept."""
    shape = layer.filters, layer.channels
    pack = lambda filters: filters.reshape(shape)  # noqa: E731
    if layer.channels == 0:
        fill = plan_fill(y, floor)
        return Planned(pack, lambda x, packed, bias, y: fill(bias, y), "matrix")
    all_read = (layer.window.sh, layer.window.sw) == (1, 1) and x.shape[2:] == y.shape[2:]
    if not (all_read and _even(x) and (y.flags.c_contiguous or _channels_last(y))):
        return _plan_copies(layer, x, y, floor, kept)
    batch, filters, height, width = y.shape
    size, channels, dtype = height * width, layer.channels, layer.dtype
    code = FUSED.index("relu" if floor == 0 else None)
    last = _channels_last(y) and (size == 1 or not y.flags.c_contiguous)
    if not last and size > FEW:
        a, b, out = ghost((filters, channels), dtype), _flat(x), ghost((batch, filters, size), dtype)
        multiply = plan_products(a, b, out, code, per_row=True)

        def compute_first(x, matrix, bias, y):
            multiply(matrix, x[0].reshape(channels, size), bias, y[0].reshape(filters, size))

        return Planned(pack, compute_first, "matrix")
    a, one = _flat(x).transpose(0, 2, 1), batch == 1
    if whole := one or a.strides[0] == a.strides[1] * size:
        a = ghost((1, batch * size, channels), dtype, a.strides)
    out = ghost((*a.shape[:2], filters), dtype)
    b = ghost((filters, channels), dtype)
    panels = kept and not (whole and a.shape[1] <= DOTS and a.strides[2] == a.itemsize)
    multiply = plan_products(a, b, out, code, transposed=not panels, packed=panels)
    back = None if last else plan_transpose(batch, size, filters, dtype)
    rows = out.shape[1]

    def compute_last(x, packed, bias, y):
        if one:
            a = x.reshape(channels, size).T
        else:
            a = x.transpose(0, 2, 3, 1).reshape(rows, channels) if whole else x[0].reshape(channels, size).T
        out = empty((batch * size, filters), dtype) if back else y.transpose(0, 2, 3, 1).reshape(batch * size, filters)
        multiply(a, packed, bias, out if whole else out[:size])
        if back:
            back(out, y)

    if panels:
        return Planned(lambda filters: pack_panels(filters.reshape(shape).T), compute_last, "panels")
    return Planned(pack, compute_last, "matrix")


def _plan_copies(layer, x, y, floor, kept):
    """Return the `Planned` of a product with a copy of the pixels that windows read, into memory that is copied to y.

    Both only where they have to be. The gradient of a strided layer has pixels that no window reads.
    """
    window = layer.window
    height, width = min(-(-x.shape[2] // window.sh), y.shape[2]), min(-(-x.shape[3] // window.sw), y.shape[3])
    read = (..., slice(0, (height - 1) * window.sh + 1, window.sh), slice(0, (width - 1) * window.sw + 1, window.sw))
    source, result = (_dense(a, (a.shape[0], a.shape[1], height, width)) for a in (x[read], y))
    layer = layer._replace(window=Window(1, 1, 0, 0, 1, 1, 1, 1), shape=result.shape)
    direct = y.shape == result.shape and (y.flags.c_contiguous or _channels_last(y))
    pack, convolve, key = plan(layer, source, y if direct else result, floor, kept, False)
    memories = [empty if a.flags.c_contiguous else empty_last for a in (source, result)]
    fill, dtype = plan_fill(y, floor), layer.dtype

    def compute(x, packed, bias, y):
        pixels = memories[0](source.shape, dtype)
        pixels[...] = x[read]
        if direct:
            convolve(pixels, packed, bias, y)
            return
        out = memories[1](result.shape, dtype)
        convolve(pixels, packed, bias, out)
        if out.shape != y.shape:
            fill(bias, y)
        y[..., :height, :width] = out

    return Planned(pack, compute, key)


def _channels_last(y):
    return places_first(y).flags.c_contiguous


def _dense(x, shape):
    """Return the ghost of dense images of a shape, channels-last if x is."""
    return (ghost_last if x.strides[1] == x.itemsize and x.shape[1] > 1 else ghost)(shape, x.dtype)


def _even(x):
    """Return whether neighbouring pixels are the same distance apart, from row to row, too."""
    return 1 in x.shape[2:] or x.strides[2] == x.strides[3] * x.shape[3]


def _flat(x):
    """Return the ghost (B, C, HW) of such images."""
    step = x.strides[3] if x.shape[3] > 1 else x.strides[2]
    return ghost((*x.shape[:2], x.shape[2] * x.shape[3]), x.dtype, (*x.strides[:2], step))
