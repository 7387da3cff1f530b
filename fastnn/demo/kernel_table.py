"""A small table of kernels beside NumPy, measured on the spot. The thorough one is made by `make bench`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import fastnn_kernels as kernels

Array = np.ndarray[Any, Any]
REST = 0.1  # seconds until threads that wait for more work, spinning, have gone to sleep (OpenBLAS takes 70 ms)


@dataclass
class Row:
    """One kernel on one shape: what it does in fastnn, the same in NumPy, and how many operations that is."""

    name: str
    fast: Callable[..., Array]
    plain: Callable[..., Array]
    operands: tuple[Array, ...]
    flops: float = 0.0  # 0: limited by memory, not by arithmetic


def rows() -> Iterator[Row]:
    """Give kernels and shapes as networks have them, float32."""
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> Array:
        return rng.standard_normal(shape, np.float32)

    for m, n, k in ((1024, 1024, 1024), (256, 256, 256), (16, 1024, 1024)):
        yield Row(f"matmul {m} x {n} x {k}", kernels.matmul, np.matmul, (normal(m, k), normal(k, n)), 2.0 * m * n * k)
    for batch, n, k in ((32, 16, 784), (64, 1024, 1024)):
        yield Row(
            f"linear + relu {batch} x {k} -> {n}",
            lambda x, w, b: kernels.linear(x, w, b, activation="relu"),
            lambda x, w, b: np.maximum(x @ w.T + b, 0),
            (normal(batch, k), normal(n, k), normal(n)),
            2.0 * batch * n * k,
        )
    for batch, channels, size, out, kernel in ((32, 12, 14, 24, 5), (8, 64, 28, 64, 3)):
        edge = size - kernel + 1
        yield Row(
            f"conv {kernel} x {kernel}, {batch} x {channels} x {size} x {size} -> {out}",
            kernels.conv2d,
            _convolve,
            (normal(batch, channels, size, size), normal(out, channels, kernel, kernel) / 10),
            2.0 * batch * out * edge * edge * channels * kernel * kernel,
        )
    million = (normal(1000, 1000),)
    yield Row("relu of 1,000,000", kernels.relu, lambda x: np.maximum(x, 0), million)
    yield Row("sigmoid of 1,000,000", kernels.sigmoid, lambda x: 1 / (1 + np.exp(-x)), million)
    yield Row("tanh of 1,000,000", kernels.tanh, np.tanh, million)
    yield Row("softmax of 1000 x 1000", kernels.softmax, _softmax, million)


def _convolve(x: Array, w: Array) -> Array:
    """Convolve as one does in NumPy: windows of the image, then one matrix product."""
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], axis=(2, 3))
    return np.tensordot(windows, w, axes=((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2)


def _softmax(x: Array) -> Array:
    e: Array = np.exp(x - x.max(axis=1, keepdims=True))
    e /= e.sum(axis=1, keepdims=True)
    return e


def print_table() -> None:
    """Check each kernel against NumPy, time both in turn, print the figures."""
    peak = _peak()
    print(f"Kernels in float32. This machine's multiply-adders can do {peak / 1e9:.0f} GFLOP/s, measured just now.")
    print(f"{'':40s} {'time':>9s}  {'GFLOP/s':>8s}  {'of limit':>8s}  {'beside NumPy':>13s}")
    for row in rows():
        result, expected = row.fast(*row.operands), row.plain(*row.operands)
        if not np.allclose(result, expected, rtol=1e-3, atol=1e-3 * float(np.abs(expected).max())):
            raise RuntimeError(f"{row.name} differs from NumPy")
        fast, plain = _race((row.fast, row.plain), row.operands)
        speed = f"{row.flops / fast / 1e9:8.1f}  {row.flops / fast / peak:8.0%}" if row.flops else f"{'':8s}  {'':8s}"
        print(f"{row.name:40s} {fast * 1e6:6,.0f} us  {speed}  {plain / fast:12.1f}x")


def _peak() -> float:
    """Measure the floating-point operations per second that the machine can do at best."""
    measure = getattr(getattr(kernels, "peak", None), "measure", None)
    if measure is None:
        return float("nan")
    return max(float(measure(seconds=REST)) for _ in range(3))


def _race(
    functions: Sequence[Callable[..., Array]], operands: tuple[Array, ...], rounds: int = 3, seconds: float = 0.03
) -> list[float]:
    """Give the best time of each function; they take turns, so that a slow moment of the machine hits all.

    Before each turn the other one's threads get time to fall asleep: spinning, they would hold a core.
    """
    best = [float("inf")] * len(functions)
    for _ in range(rounds):
        for i, function in enumerate(functions):
            time.sleep(REST)
            end = time.perf_counter() + seconds
            while True:
                started = time.perf_counter()
                function(*operands)
                now = time.perf_counter()
                best[i] = min(best[i], now - started)
                if now > end:
                    break
    return best
