"""Convolutions cut as those of large layers are: the sizes at which algorithms change are made small here."""

import numpy as np
import pytest

import fastnn_kernels as kernels
from fastnn_kernels.cpu.conv import (
    depthwise,
    direct,
    im2col,
    pointwise,
    weight_gradient_direct,
    winograd,
    winograd_gradient,
)
from fastnn_kernels.ground import memory as pool
from fastnn_kernels.ground import plans
from fastnn_kernels.ground.threads import threads
from tests.kernels import guarded
from tests.kernels.test_conv_layouts import CASES, F4, F8, Case, Layer, check
from tests.reference import conv_nd as reference

SIZES = {
    direct: {"GRAIN": 1 << 8, "BUFFER": 1 << 11},
    depthwise: {"GRAIN": 1 << 6, "PLANE_BUFFER": 1 << 10, "PIXEL_BUFFER": 1 << 11, "BAND": 1 << 11},
    weight_gradient_direct: {"GRAIN": 1 << 8, "BUFFER": 1 << 12, "SUM": 8, "PARTS": 1 << 14},
    pointwise: {"FEW": 8},
    im2col: {"COLUMNS": 1 << 10, "GRAIN": 1 << 6},
    winograd: {"GRAIN": 1 << 8, "LARGE_IMAGES": 1, "BLOCK": 1 << 13, "MOST": 1 << 14, "LARGE": 1, "PIECE": 1 << 14},
    winograd_gradient: {"GRAIN": 1 << 8, "SUMS": 1 << 14, "TILES": 1 << 13, "CHANNELS": 32},
    pool: {"FAR": 1 << 10},
}
FEW_PIXELS = {im2col: {"FEW_PIXELS": 1 << 20, "FEW_STRIDED_PIXELS": 1 << 20, "MANY_WEIGHTS": 1}}
MANY_PIXELS = {im2col: {"FEW_PIXELS": 0, "FEW_STRIDED_PIXELS": 0}}
LARGE = CASES | {
    "signal, nine taps, many filters": Case(1, 1, 70, 96, (100,), (9,), 1, 4),
    "3x3, many filters": Case(1, 1, 40, 128, (8, 8), (3, 3), 1, 1),
    "groups of 40 filters": Case(1, 2, 3, 40, (7, 6), (3, 3)),  # one more tile, which starts at no multiple of 64 bytes
    "groups of 20 filters": Case(1, 2, 3, 20, (7, 6), (3, 3)),
    "3x3, dilated, many filters": Case(1, 1, 40, 128, (9, 8), (3, 3), 1, 2, 2),
}


@pytest.fixture
def cut(monkeypatch):
    """Return a function that changes sizes, as in SIZES, until the test is over."""

    def change(sizes):
        for module, names in sizes.items():
            for name, value in names.items():
                monkeypatch.setattr(module, name, value)
        plans.forget()

    yield change
    monkeypatch.undo()
    plans.forget()


@pytest.mark.parametrize("dtype", [F4, F8])
@pytest.mark.parametrize("transposed", [False, True], ids=["", "transposed"])
@pytest.mark.parametrize("name", LARGE)
def test_small_pieces(name, transposed, dtype, cut):
    layer = Layer(LARGE[name], dtype, transposed, "relu")
    rng = np.random.default_rng(4)
    for also in ({}, FEW_PIXELS, MANY_PIXELS):
        cut(SIZES)
        cut(also)
        for layout, at_start in (("plain", False), ("last", True)):
            with guarded.memory(at_start), threads(3):
                layer.run(lambda: layout, rng, at_start)  # noqa: B023


def test_filters_of_folded_signals_are_transformed_piece_by_piece(cut):
    layer = Layer(LARGE["signal, nine taps, many filters"], F4, False, None)
    whole = kernels.conv1d(layer.x, layer.weight, layer.bias, *layer.window)
    cut({winograd: {"LARGE": 1, "PIECE": 1}})
    pieces = kernels.conv1d(layer.x, layer.weight, layer.bias, *layer.window)
    prepared = kernels.prepare_conv1d(layer.weight)
    np.testing.assert_array_equal(pieces, whole)
    np.testing.assert_array_equal(kernels.conv1d(layer.x, prepared, layer.bias, *layer.window), whole)


@pytest.mark.parametrize("dtype", [F4, F8])
@pytest.mark.parametrize(
    ("channels", "filters", "groups"), [(1, 6, 1), (1, 24, 1), (24, 24, 24), (5, 6, 1), (4, 24, 2)]
)
def test_gaps_between_the_pixels_of_a_large_result_stay(channels, filters, groups, dtype, cut):
    cut({pool: {"FAR": 1}})  # large results are written by streaming stores, in whole aligned vectors
    rng = np.random.default_rng(6)
    x = np.moveaxis(rng.standard_normal((2, 11, 13, channels)).astype(dtype), -1, 1)
    w = rng.standard_normal((filters, channels // groups, 3, 3)).astype(dtype)
    memory = guarded.empty((2, 11, 13, 32), dtype, at_start=True)
    memory.fill(7)
    out = np.moveaxis(memory, -1, 1)[:, :filters]
    kernels.conv2d(x, w, None, 1, 1, 1, groups, out=out)
    np.testing.assert_array_equal(memory[..., filters:], 7)
    check(out, reference.convolve(x, w, None, 1, 1, 1, groups).astype(dtype), "out")
