"""Rows added where indices say, running sums, distances, images sampled at a grid.

What counts is bytes: those of the arguments and of the result, once each. Distances count operations.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any

import numpy as np

from bench.harness import Calls, Case, Unsupported

LIBRARIES = ("numpy", "torch")
TOLERANCE = 2e-5  # of the largest result: PyTorch adds up in float32, and so does index_add

CASES = [
    *[
        Case("indexing", "index_add", f"{m:,} rows of {width} into {rows:,}",
             {"name": "index_add", "sizes": (rows, m, width)}, 4.0 * (m + 2 * rows) * width, "byte",
             8 * rows * width, short=short)
        for rows, m, width, short in (
            (30_000, 4096, 256, True), (1000, 100_000, 32, False), (1_000_000, 100_000, 1, False),
        )
    ],
    *[
        Case("indexing", name, f"{' x '.join(map(str, shape))} along {dim}",
             {"name": name, "sizes": (*shape, dim)}, 8.0 * prod(shape), "byte", 8 * prod(shape), traffic="copy",
             short=short)
        for name, shape, dim, short in (
            ("cumsum", (1000, 1000), 1, True), ("cumsum", (1000, 1000), 0, False),
            ("logcumsumexp", (1000, 1000), 1, False),
        )
    ],
    *[
        Case("indexing", "cdist", f"{n} x {n} rows of {width}", {"name": "cdist", "sizes": (n, width)},
             3.0 * n * n * width, "flop", short=short)
        for n, width, short in ((256, 128, True), (1000, 16, False))
    ],
    *[
        Case("indexing", f"grid_sample {mode}", f"{batch} x {channels} @{side}",
             {"name": "grid_sample", "sizes": (batch, channels, side), "mode": mode},
             4.0 * batch * side * side * (2 * channels + 2), "byte", 8 * batch * channels * side * side, short=short)
        for batch, channels, side, mode, short in (
            (16, 3, 64, "bilinear", True), (8, 64, 56, "bilinear", False), (8, 3, 224, "bicubic", False),
        )
    ],
]  # fmt: skip


def verify(case: Case, summaries: dict[str, list[float]]) -> dict[str, str]:
    """Complain about results that are further from float64 than rounding explains."""
    return {name: f"wrong: error {e[0]:.3g}" for name, e in summaries.items() if not e[0] <= TOLERANCE}


def _inputs(case: Case, rng: np.random.Generator) -> tuple[Any, ...]:
    sizes = case.params["sizes"]
    if case.params["name"] == "index_add":
        rows, m, width = sizes
        return rng.random((rows, width), np.float32), rng.integers(0, rows, m), rng.random((m, width), np.float32)
    if case.params["name"] == "cdist":
        return tuple(rng.random(sizes, np.float32) for _ in range(2))
    if case.params["name"] == "grid_sample":
        batch, channels, side = sizes
        lines = np.linspace(-0.9, 0.9, side, dtype=np.float32)
        grid = np.stack(np.meshgrid(lines, lines), -1) + rng.normal(0, 0.01, (batch, side, side, 2)).astype(np.float32)
        return rng.random((batch, channels, side, side), np.float32), grid
    return (rng.random(sizes[:-1], np.float32),)


def _exact(case: Case, given: tuple[Any, ...]) -> Any:
    """Compute in float64, by NumPy or by the same kernels, which their tests compare with plain loops."""
    import fastnn_kernels as kernels

    wide = [x.astype(np.float64) if x.dtype == np.float32 else x for x in given]
    name, dim = case.params["name"], case.params["sizes"][-1]
    if name == "index_add":
        np.add.at(wide[0], wide[1], wide[2])
        return wide[0]
    if name == "cumsum":
        return np.cumsum(wide[0], dim)
    if name == "logcumsumexp":
        return np.log(np.cumsum(np.exp(wide[0]), dim))
    return kernels.cdist(*wide) if name == "cdist" else kernels.grid_sample(*wide, case.params["mode"])


def build(library: str, case: Case, threads: int) -> dict[str, Calls]:
    """Build the case in the process of one library: two sets of arguments that take turns."""
    calls, errors = [], []
    for seed in (0, 1):
        given = _inputs(case, np.random.default_rng(seed))
        call = globals()[f"_build_{library}"](case, given, threads)
        result, exact = np.asarray(call()), _exact(case, given)
        errors.append(float(np.abs(result - exact).max() / np.abs(exact).max()))
        calls.append(call)
    return {"": Calls(calls, [max(errors)])}


def _build_fastnn(case: Case, given: tuple[Any, ...], threads: int) -> Callable[[], Any]:
    import fastnn_kernels as kernels

    name = case.params["name"]
    if name == "index_add":
        return partial(kernels.index_reduce, *given)
    if name == "grid_sample":
        return partial(kernels.grid_sample, *given, case.params["mode"])
    return partial(getattr(kernels, name), *given, *(() if name == "cdist" else (case.params["sizes"][-1],)))


def _build_numpy(case: Case, given: tuple[Any, ...], threads: int) -> Callable[[], Any]:
    if case.params["name"] == "cumsum":
        return partial(np.cumsum, *given, case.params["sizes"][-1])
    if case.params["name"] != "index_add":
        raise Unsupported
    x, index, source = given

    def add() -> Any:
        y = x.copy()
        np.add.at(y, index, source)
        return y

    return add


def _build_torch(case: Case, given: tuple[Any, ...], threads: int) -> Callable[[], Any]:
    import torch

    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    name, tensors = case.params["name"], [torch.from_numpy(x) for x in given]
    if name == "index_add":
        x, index, source = tensors
        return partial(torch.index_add, x, 0, index, source)
    if name == "grid_sample":
        sample = partial(torch.nn.functional.grid_sample, align_corners=False)
        return partial(sample, *tensors, mode=case.params["mode"])
    return partial(getattr(torch, name), *tensors, *(() if name == "cdist" else (case.params["sizes"][-1],)))
