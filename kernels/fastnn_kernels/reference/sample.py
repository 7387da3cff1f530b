"""Images sampled at the points of a grid, by plain loops."""

from math import floor, prod

import numpy as np

from ..ground.backend import plans
from ..ground.outputs import deliver

# ------------------------------------------------------------------------------------------------- padding


def _mirrored(v, n, align):
    """Return a position mirrored into an axis of n pixels, and the sign of its movement."""
    low, span = (0.0, n - 1) if align else (-0.5, n)
    if not span:
        return 0.0, 0.0
    turns, rest = divmod(abs(v - low), span)
    forward = (v >= low) == (turns % 2 == 0)
    return low + (rest if turns % 2 == 0 else span - rest), 1.0 if forward else -1.0


def _pixel(i, n, problem):
    """Return the pixel that tap i is, None for one outside."""
    if problem.padding == "zeros":
        return i if 0 <= i < n else None
    if problem.padding == "reflection":
        i = _mirrored(i, n, problem.align_corners)[0]
    return int(round(min(max(i, 0), n - 1)))


def _cubic(x):
    """Return Keys' kernel with a = -0.75 and its slope at x."""
    a, size = -0.75, abs(x)
    if size <= 1:
        value, slope = (a + 2) * size**3 - (a + 3) * size**2 + 1, 3 * (a + 2) * size**2 - 2 * (a + 3) * size
    else:
        value, slope = a * (size**3 - 5 * size**2 + 8 * size - 4), a * (3 * size**2 - 10 * size + 8)
    return value, slope if x > 0 else -slope


def _axis_taps(g, n, problem):
    """Return (pixel, weight, derivative of the weight by g) of the taps along an axis of n pixels."""
    scale = (n - 1) / 2 if problem.align_corners else n / 2
    v = (g + 1) * scale - (0 if problem.align_corners else 0.5)
    if problem.mode == "bicubic":
        first = floor(v) - 1
        return [
            (_pixel(first + j, n, problem), *(s * w for s, w in zip((1, scale), _cubic(v - first - j), strict=True)))
            for j in range(4)
        ]
    if problem.padding == "reflection":
        v, sign = _mirrored(v, n, problem.align_corners)
        scale *= sign
    if problem.padding != "zeros":
        scale *= 0 < v < n - 1
        v = min(max(v, 0), n - 1)
    if problem.mode == "nearest":
        i = round(v)
        return [(i if 0 <= i < n else None, 1.0, 0.0)]
    i = floor(v)
    pairs = (i, 1 - (v - i), -scale), (i + 1, v - i, scale)
    return [(j if 0 <= j < n else None, weight, step) for j, weight, step in pairs]


def _samples(problem, grid):
    """Yield for each pixel of the result its place (b, ...) and taps: the pixel, the weight, its gradient."""
    sizes = problem.input.shape[2:]
    for place in np.ndindex(grid.shape[:-1]):
        axes = [_axis_taps(float(g), n, problem) for g, n in zip(grid[place], sizes[::-1], strict=True)]
        for choice in np.ndindex(*map(len, axes)):
            taps = [axis[j] for axis, j in zip(axes, choice, strict=True)]
            if all(i is not None for i, _, _ in taps):
                weights = [w for _, w, _ in taps]
                slopes = [prod(weights[:a]) * taps[a][2] * prod(weights[a + 1 :]) for a in range(len(taps))]
                yield place, tuple(i for i, _, _ in taps)[::-1], prod(weights), slopes


@plans("grid_sample")
def grid_sample(problem):
    """Add weight times pixel, tap by tap."""

    def run(out, x, grid, *_):
        y = np.zeros(problem.shape, x.dtype)
        for (b, *pixel), source, weight, _ in _samples(problem, grid):
            y[b, :, *pixel] += weight * x[b, :, *source]
        return deliver(None, y)

    return run


@plans("grid_sample_backward")
def grid_sample_backward(problem):
    """Add to the pixel of each tap weight times dy, and to the grid dy times pixel times the weight's slope."""

    def run(out, dy, x, grid, *_):
        dx, dgrid = np.zeros_like(x), np.zeros_like(grid)
        for (b, *pixel), source, weight, slopes in _samples(problem, grid):
            dx[b, :, *source] += weight * dy[b, :, *pixel]
            dgrid[b, *pixel] += (dy[b, :, *pixel] * x[b, :, *source]).sum() * np.array(slopes)
        given = zip((dx, dgrid), problem.needs, strict=True)
        return tuple(deliver(None, g) if needed else None for g, needed in given)

    return run
