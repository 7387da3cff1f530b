"""The algorithms of convolution: what each can do, how it lays filters out, how it runs, and which one to take.

An entry point describes what it has to compute by a `Layer` and how its arrays lie; `plan` returns the function that
does it, which packs the filters first. `prepare_conv2d` keeps what packing made.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from math import prod
from typing import NamedTuple

import numpy as np

from ...ground.checks import as_float_array
from ...ground.memory import ALIGNMENT, empty, streams
from ...ground.plans import ghost, planned, planner
from ...ground.threads import get_num_threads, tasks
from ..activation import relu
from ..vector.gemm_tile import TILE_VECTORS
from ..vector.simd import vector_bytes
from . import depthwise, im2col, pointwise, winograd, winograd_signals
from . import kernels as cpu

GRAIN = 1 << 20  # multiplications of a task, at least
BUFFER = 1 << 18  # bytes of a band, which stays in the second-level cache
PIECES = 16  # into how many pieces a convolution is cut at least, where it can be


WORTH = 0.85  # of the direct algorithm's time; above, Winograd's rounding is not worth it


class Layer(NamedTuple):
    """A convolution: its window (stride, padding at top and left, dilation, kernel), its output's shape, its filters.

    channels, filters: of one group.
    """

    window: tuple[int, ...]
    shape: tuple[int, ...]
    groups: int
    filters: int
    channels: int
    dtype: np.dtype


@dataclass(frozen=True, eq=False)
class Algorithm:
    """One way to convolve.

    refusal(layer) says why it cannot, or "". pack(layer) and keep(layer) return functions that lay filters
    (G, OC/G, C/G, KH, KW) out, for one convolution or, if given, for good. plan(layer, x, y, gated, floor, prepared)
    takes ghosts and returns a function of (x, gate, packed, bias, y) that writes y; gates: also if gated.
    """

    name: str
    refusal: Callable
    pack: Callable
    plan: Callable
    keep: Callable | None = None
    gates: bool = False


class PreparedConv2d:
    """Filters laid out by `prepare_conv2d`: `conv2d` takes them for `weight`."""

    __slots__ = ("_packed", "_source", "dtype", "ndim", "shape")

    def __init__(self, weight):
        self._source = np.array(as_float_array("PreparedConv2d", "weight", weight), order="C")
        self.shape, self.dtype, self.ndim = weight.shape, self._source.dtype, 4
        self._packed = {}

    def __reduce__(self):
        return type(self), (self._source,)  # what was packed is for this CPU, and by keys that cannot be pickled

    def __repr__(self):
        return f"PreparedConv2d(shape={self.shape}, dtype={self.dtype})"

    def packed(self, key, layer):
        """Return the filters as an algorithm wants them, packed at its first use; key: (algorithm, groups)."""
        packed = self._packed.get(key)
        if packed is None:
            way, filters = key[0], self._source.reshape(layer.groups, layer.filters, *self.shape[1:])
            packed = way.keep(layer)(filters) if way.keep else way.pack(layer)(filters).copy()  # not from the pool
            self._packed[key] = packed
        return packed


def plan(x, y, window, groups, channels, prepared, algorithm="auto", gated=0, floor=-np.inf):
    """Return what convolves x into y, no smaller than the floor: a function of (x, gate, weight, bias, y).

    x, y: ghosts; channels: of a group. The weight is a `PreparedConv2d` if prepared, or else filters in four
    dimensions, or in five, (G, OC/G, C/G, KH, KW). If gated, x counts only where `gate`, which lies as x, is positive.
    """
    layer = Layer(window, y.shape, groups, y.shape[1] // groups, channels, x.dtype)
    way, _ = select(layer, algorithm, prepared)
    if y.size == 0:
        return lambda *_: None
    if gated and not way.gates:
        return partial(_opened, window, groups, channels, prepared, algorithm, floor)
    compute = way.plan(layer, x, y, gated, floor, prepared)
    if prepared:
        key = way, groups

        def run(x, gate, weight, bias, y):
            compute(x, gate, weight.packed(key, layer), bias, y)
    else:
        pack, shape = way.pack(layer), (groups, layer.filters, channels, *window[6:])

        def run(x, gate, weight, bias, y):
            compute(x, gate, pack(weight.reshape(shape)), bias, y)

    return run


def _opened(window, groups, channels, prepared, algorithm, floor, x, gate, weight, bias, y):
    """Convolve what of x its gate lets through."""
    x = relu.apply_backward(x, gate)
    convolve(x, x, 0, weight, bias, floor, window, groups, channels, y, algorithm, prepared)


def convolve(x, gate, gated, weight, bias, floor, window, groups, channels, y, algorithm="auto", prepared=False):
    """Convolve x into y; see `plan`."""
    settings = gated, floor, _precision, get_num_threads()
    lie = x.shape, x.strides, x.dtype, y.shape, y.strides
    run = planned(_plan, *lie, window, groups, channels, prepared, algorithm, *settings)
    run(x, gate, weight, bias, y)


@planner
def _plan(
    shape, strides, dtype, y_shape, y_strides, window, groups, channels, prepared, algorithm,
    gated, floor, precision, threads,
):  # fmt: skip
    x, y = ghost(shape, dtype, strides), ghost(y_shape, dtype, y_strides)
    return plan(x, y, window, groups, channels, prepared, algorithm, gated, floor)


def set_conv_precision(precision):
    """Say whether convolutions may be rounded by Winograd's transforms: "default", or "high", where they may not.

    With "default", layers of float32 with kernels of 3x3, 5x5 and 2x2 (a transposed 4x4 with stride 2 is four of them),
    with a stride also of so many times as large, and signals with kernels of 2, 3 and 7 to 9 go by Winograd's algorithm
    where that is faster. Measured against
    float64, errors were at most 4.0e-6 of the largest result for random images of 16 to 512 channels, directly
    4.1e-6; for adversarial ones, whose results may cancel to nothing, 1.2e-6 of the largest sum of |input| |weight|,
    directly 2.9e-6. Gradients of weights with kernels of 3x3, 5x5 and, strided, 3x3 and 4x4 go so, too: at most 4.8e-6
    over 400,000 pixels of random images, directly 1.2e-6. The tests hold all to 2e-5. A NaN or an infinity spreads to
    the up to 4x4 results around it.
    "high" keeps to the direct algorithm unless another is asked for by name. float64 always does.

    Raises ValueError for other words.
    """
    global _precision
    if precision not in ("default", "high"):
        raise ValueError(f"set_conv_precision: precision must be 'default' or 'high', got {precision!r}")
    _precision = precision


def may_round(dtype):
    """Return whether Winograd's transforms may be used."""
    return _precision == "default" and dtype == np.float32


def get_conv_precision():
    """Return what `set_conv_precision` set."""
    return _precision


def select(layer, algorithm, prepared):
    """Return the algorithm for a layer and the reason. Raises ValueError if the one named cannot do it."""
    return _select(layer, algorithm, prepared, _precision)


@planner
def _select(layer, algorithm, prepared, precision):
    if algorithm != "auto" and (refusal := BY_NAME[algorithm].refusal(layer)):
        raise ValueError(f"conv2d: algorithm {algorithm!r} {refusal}")
    if algorithm not in ("auto", "winograd", "folded"):
        return BY_NAME[algorithm], "asked for"
    if layer.channels == 1 < layer.groups:
        return DEPTHWISE, "one channel per group: nothing is summed over channels"
    if not pointwise.refusal(layer):
        return POINTWISE, "1x1: a product of matrices"
    rounds = precision == "default" and not winograd.refusal(layer)
    if algorithm == "auto" and not rounds and im2col.suits(layer, prepared):
        return PRODUCT, "few pixels: laying the filters out would take as long as the sums"
    if not winograd_signals.refusal(layer):
        cost, ways, place = winograd_signals.cost, FOLDED, " over a signal in three columns"
    elif refusal := winograd.refusal(layer):
        return DIRECT, f"winograd {refusal}"
    else:
        cost, place = winograd.cost, ""
        ways = {form: winograd_algorithm(form, layer.window[:2]) for form in WINOGRAD if winograd.fits(layer, form)}
    form = min(ways, key=lambda form: cost(layer, form, prepared))
    if algorithm != "auto":
        return ways[form], "asked for"
    if precision == "high":
        return DIRECT, "set_conv_precision('high')"
    ratio = cost(layer, form, prepared) / max(1, cost(layer, None, prepared))
    if ratio > WORTH:
        return DIRECT, f"winograd would take {ratio:.2f} times as long, and rounds"
    return ways[form], f"{form}{place} takes about {ratio:.2f} times as long as the direct algorithm"


@lru_cache(maxsize=512)
def bands(window, shape, channels, groups, filters, itemsize):
    """Return how a convolution with output `shape` is cut into work.

    (rows of a band, panels of filters of a piece, length of a band's buffer, number of bands, number of panels)
    """
    sh, sw, _, _, dh, dw, kh, kw = window
    batch, _, height, width = shape
    row = (((width - 1) * sw + kw) if dw == 1 else width * kw) * channels
    panels = -(-filters // (lanes := TILE_VECTORS * vector_bytes() // itemsize))
    images = max(1, batch * groups)
    # one buffer in the second-level cache, and enough bands for all threads
    rows = (BUFFER // (row * itemsize + 1) - (kh - 1) * dh - 1) // sh + 1
    band = max(1, min(height, rows, -(-height * images // PIECES)))
    count = -(-height // band)
    block = max(1, -(-panels * images * count // PIECES)) if images * count < PIECES else panels
    block = min(block, panels)
    length = ((band - 1) * sh + (kh - 1) * dh + 1) * row
    length = -(-length // 16) * 16 + band * width * lanes + 16
    return band, block, length, count, panels


def _panels(layer):
    """Return what lays filters out in panels."""
    _, _, groups, count, channels, dtype = layer
    lanes = TILE_VECTORS * vector_bytes() // dtype.itemsize
    shape = groups, -(-count // lanes), layer.window[6] * layer.window[7] * channels, lanes
    number, kernel = tasks(prod(shape), 32768), cpu.conv2d_filters__panels[dtype]

    def pack(filters):
        panels = empty(shape, dtype)
        kernel(filters, panels, groups * shape[1], number)
        return panels

    return pack


def _bands(layer, x, y, gated, floor, prepared):
    """Return what convolves in bands; see `Algorithm`."""
    window, shape, groups, filters, channels, dtype = layer
    if not gated and (single := depthwise.plan_single(layer, x, y, floor)):
        return single
    band, block, length, _, _ = bands(window, shape, channels, groups, filters, dtype.itemsize)
    count = tasks(y.size * max(window[6] * window[7] * channels, 1), GRAIN)
    far = streams(y) and (groups == 1 or filters * dtype.itemsize % ALIGNMENT == 0)  # every group starts aligned, too
    table, kernel = np.array((*window, band, block, gated, far), np.int64), cpu.conv2d__bands[dtype]
    shape = count, length

    def run(x, gate, panels, bias, y):
        kernel(x, gate, panels, bias, floor, table, empty(shape, dtype), y, count, count)

    return run


@cache
def winograd_algorithm(form, strides):
    """Return the algorithm with tiles of one form: one for each stride, as prepared filters tell them apart."""
    ways = (partial(way, form) for way in (winograd.pack_soon, winograd.plan, winograd.pack))
    return Algorithm("winograd", winograd.refusal, *ways, gates=True)


DIRECT = Algorithm("direct", lambda layer: "", _panels, _bands, gates=True)
POINTWISE = Algorithm("pointwise", pointwise.refusal, pointwise.pack, pointwise.plan, pointwise.keep)
DEPTHWISE = Algorithm("depthwise", depthwise.refusal, depthwise.pack, depthwise.plan)
WINOGRAD = winograd.FORMS
PRODUCT = Algorithm("product", im2col.refusal, lambda layer: lambda filters: filters, im2col.plan)
FOLDED_WAYS = winograd_signals.pack_soon, winograd_signals.plan, winograd_signals.pack
FOLDED = {
    form: Algorithm("folded", winograd_signals.refusal, *(partial(way, form) for way in FOLDED_WAYS))
    for form in winograd_signals.FORMS
}
BY_NAME = {
    "depthwise": DEPTHWISE,
    "folded": FOLDED[max(FOLDED)],
    "product": PRODUCT,
    "pointwise": POINTWISE,
    "direct": DIRECT,
    "im2col": DIRECT,
    "winograd": winograd_algorithm(max(WINOGRAD), (1, 1)),
}
NAMES = ("auto", *BY_NAME)
_precision = "default"
