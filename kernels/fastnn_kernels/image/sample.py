"""Images and volumes sampled at the positions that a grid names."""

from __future__ import annotations

from typing import NamedTuple

from ..ground.checks import INT_LIMIT, check_ndim, choice, flag, needed
from ..ground.operation import Layout, operation

SAMPLE_MODES = ("bilinear", "nearest", "bicubic")
SAMPLE_PADDINGS = ("zeros", "border", "reflection")


def grid_sample(input, grid, mode="bilinear", padding_mode="zeros", align_corners=False):
    """Return images (B, C, OH, OW) whose pixels are those of the input at the positions of a grid.

    input (B, C, H, W), grid (B, OH, OW, 2); or volumes (B, C, D, H, W), grid (B, OD, OH, OW, 3); float32 or float64.
    The grid holds x (along the last dimension), y and z: -1 and 1 are the ends of the image, with align_corners the
    centres of its first and last pixels. mode: "bilinear" (of volumes trilinear), "nearest" (halves to the even pixel)
    or, for images, "bicubic" (Keys' kernel with a = -0.75). padding_mode: what is outside: "zeros", the edge ("border")
    or the image mirrored ("reflection"), at its edge or, with align_corners, at the centres of its last pixels.

    As in PyTorch (Jaderberg et al., Spatial transformer networks, 2015). A position that is NaN or infinite is outside,
    or at the first pixel. Raises ValueError for shapes that do not fit, images without pixels and unknown modes.
    """
    return _grid_sample.run(None, input, grid, mode, padding_mode, align_corners)


def grid_sample_backward(
    dy, input, grid, mode="bilinear", padding_mode="zeros", align_corners=False, *, needs=(True, True)
):
    """Return the gradients of grid_sample's input and grid; None for those not needed. "nearest" gives the grid 0."""
    return _grid_sample_backward.run(None, dy, input, grid, mode, padding_mode, align_corners, needs)


class Sampling(NamedTuple):
    """Images (B, C, ...) and a grid (B, ..., 2) or (B, ..., 3)."""

    input: Layout
    grid: Layout
    mode: str
    padding: str
    align_corners: bool
    needs: tuple[bool, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of the result."""
        return (*self.input.shape[:2], *self.grid.shape[1:-1])


def _sampling(function, input, grid, mode, padding_mode, align_corners, needs=()):
    check_ndim(function, "input", input, (4, 5))
    x, places = input.shape, grid.shape
    if len(places) != len(x) or places[0] != x[0] or places[-1] != len(x) - 2:
        wanted = "(B, OH, OW, 2)" if len(x) == 4 else "(B, OD, OH, OW, 3)"
        raise ValueError(f"{function}: grid of shape {places} does not fit an input of shape {x}; expected {wanted}")
    if 0 in x[2:]:
        raise ValueError(f"{function}: images must not be empty, got shape {x}")
    if max(x[2:]) >= INT_LIMIT // 4:
        raise ValueError(f"{function}: images are too large, got shape {x}")
    choice(function, "mode", mode, SAMPLE_MODES)
    choice(function, "padding_mode", padding_mode, SAMPLE_PADDINGS)
    if mode == "bicubic" and len(x) == 5:
        raise ValueError(f"{function}: mode 'bicubic' is for images (B, C, H, W), got shape {x}")
    return Sampling(input, grid, mode, padding_mode, flag(function, "align_corners", align_corners), needs)


@operation("input grid")
def _grid_sample(input, grid, mode, padding_mode, align_corners):
    return _sampling("grid_sample", input, grid, mode, padding_mode, align_corners)


@operation("dy input grid")
def _grid_sample_backward(dy, input, grid, mode, padding_mode, align_corners, needs):
    name = "grid_sample_backward"
    problem = _sampling(name, input, grid, mode, padding_mode, align_corners, needed(name, needs, 2))
    if dy.shape != problem.shape:
        raise ValueError(f"{name}: dy has shape {dy.shape}, input and grid give {problem.shape}")
    return problem
