"""Reductions over all axes, rows, columns and several axes: small arrays, in the cache and far beyond it.

Sums are compensated here; NumPy's and PyTorch's are not, and are timed as long as they are within 1e-4.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from bench.harness import Calls, Case, Unsupported

LIBRARIES = ("numpy", "torch")
TOLERANCE, PEERS_TOLERANCE = 4.0, 1000.0  # eps of the largest result
NAMES = ("sum", "mean", "var", "prod", "max", "argmax")
SHAPES = (
    ((100,), None), ((32, 10), 0), ((32, 10), 1), ((1000, 1000), 0), ((1000, 1000), 1), ((64, 64, 56, 56), (0, 2, 3)),
    ((10_000_000,), None), ((20_000_000, 2), 0), ((2, 20_000_000), 1), ((100_000, 3), 0), ((100_000, 3), 1),
    ((1000, 1000, "strided"), 1),
)  # fmt: skip
SHORT = {"sum": SHAPES, "var": SHAPES[3:7], "max": SHAPES[3:7], "argmax": SHAPES[3:5]}


def _case(name, shape, axis):
    size = int(np.prod([n for n in shape if n != "strided"])) * 4
    over = "all" if axis is None else str(axis)
    return Case("reduction", name, f"{' x '.join(map(str, shape))} over {over}",
                {"name": name, "shape": shape, "axis": axis}, float(size), "byte", size,
                bars=dict.fromkeys(LIBRARIES, 1.0), short=(shape, axis) in SHORT.get(name, ()))  # fmt: skip


CASES = [
    _case(name, shape, axis)
    for name in NAMES
    for shape, axis in SHAPES
    if not (name == "argmax" and isinstance(axis, tuple))
]


def verify(case, summaries):
    """Complain about results that are further from float64 than rounding explains."""
    allowed = {name: TOLERANCE if name.startswith("fastnn") else PEERS_TOLERANCE for name in summaries}
    return {name: f"wrong: error {e[0]:.3g} eps" for name, e in summaries.items() if not e[0] <= allowed[name]}


def build(library, case, threads):
    """Build the case in the process of one library: two arrays that take turns."""
    name, shape, axis = case.params["name"], case.params["shape"], case.params["axis"]
    calls, errors = [], []
    for seed in (0, 1):
        x = _input(name, shape, np.random.default_rng(seed))
        call = globals()[f"_build_{library}"](name, x, axis, threads)
        result, exact = np.asarray(call()), getattr(np, name)(x.astype(np.float64), axis=axis)
        scale = np.abs(exact).max() * np.finfo(np.float32).eps
        errors.append(
            float(np.abs(result - exact).max() / scale) if name != "argmax" else float((result != exact).sum())
        )
        calls.append(call)
    return {"": Calls(calls, [max(errors)])}


def _input(name, shape, rng):
    """Draw numbers from 1 to 2; factors of products near 1, around 1."""
    strided = shape[-1] == "strided"
    shape = (*shape[:-2], 2 * shape[-2]) if strided else shape
    x = rng.random(shape, np.float32)
    x = x + np.float32(1) if name != "prod" else np.float32(1) + (x - np.float32(0.5)) * np.float32(1e-3)
    return x[..., ::2] if strided else x


def _build_fastnn(name, x, axis, threads):
    import fastnn_kernels as kernels

    return partial(getattr(kernels, name), x, axis)


def _build_numpy(name, x, axis, threads):
    return partial(getattr(np, name), x, axis=axis)


def _build_torch(name, x, axis, threads):
    import torch

    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    t = torch.from_numpy(x)
    if name == "prod" and isinstance(axis, tuple):
        raise Unsupported
    if name == "max":
        return partial(torch.amax, t, () if axis is None else axis)
    if name == "var":
        return partial(torch.var, t, axis, correction=0)
    return partial(getattr(torch, name), t) if axis is None else partial(getattr(torch, name), t, axis)
