"""Matrix products: square, small-batch, batched, transposed, and the price of a call.

fastnn's `prepare_matmul` stands beside ONNX Runtime, which packs its weights when a model is loaded; everything else
multiplies two arrays as they are.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from bench import engines
from bench.harness import Calls, Case, Unsupported

LIBRARIES = ("numpy", "torch", "jax", "onnxruntime")
TOLERANCE = 8.0  # in eps * sqrt(K), relative to the largest element of the result


def _product(group, m, n, k, *, batch=(), dtype="float32", layout="", unit="flop", bars=None):
    size = np.dtype(dtype).itemsize
    name = f"{m}x{n}x{k}"
    if batch:
        name = f"{batch[0]} x ({m}, {n}, {k})"
    flop = 2.0 * m * n * k * int(np.prod(batch, dtype=int))
    weights = size * n * k
    work = {"flop": flop, "byte": float(weights), "call": 1.0}[unit]
    params = {"m": m, "n": n, "k": k, "batch": tuple(batch), "layout": layout}
    name += f" {layout}" if layout else ""
    return Case("matmul", group, name, params, work, unit, weights if unit == "byte" else 0, dtype, bars or {})


def _cases():
    faster = {library: 1.0 for library in LIBRARIES}
    for m, n, k in [(2048,) * 3, (1024,) * 3, (1000, 1111, 1003)]:
        yield _product("square", m, n, k, bars={"peak@1": 0.92, "peak@2": 0.88, **faster})
    for size, one, two in [(512, 0.88, 0.80), (256, 0.88, 0.65), (128, 0.75, 0), (64, 0.60, 0), (32, 0.35, 0)]:
        yield _product("square", size, size, size, bars={"peak@1": one, "peak@2": two, **faster})
    for size, one, two in [(1024, 0.92, 0.88), (512, 0.88, 0.80), (256, 0.88, 0.65), (64, 0.60, 0)]:
        yield _product("square", size, size, size, dtype="float64", bars={"peak@1": one, "peak@2": two, **faster})
    for size in (256, 1024, 4096):
        yield _product("small batch", 1, size, size, unit="byte", bars={"peak@1": 0.85, "peak@2": 0.85, **faster})
        for m in (4, 8, 16):
            yield _product("small batch", m, size, size, bars={**faster, "numpy": 1.5})
    for m in (1, 4, 16):
        yield _product("linear", m, 1024, 1024, layout="weight(N,K)", bars=faster)
    yield _product("batched", 64, 64, 64, batch=(256,), bars={**faster, "numpy": 2.0, "torch": 1.5})
    yield _product("batched", 8, 8, 8, batch=(1024,), bars={**faster, "numpy": 2.0, "torch": 1.5})
    for layout in ("a.T", "b.T", "a.T b.T", "a[:, ::2]", "b[::2]"):
        yield _product("layout", 1024, 1024, 1024, layout=layout, bars={"peak@1": 0.874, "peak@2": 0.836, **faster})
    yield _product("call", 8, 8, 8, unit="call", bars={"seconds": 1.0e-6, **faster})


CASES = list(_cases())


def operands(case: Case, number: int):
    """Return the `number`-th pair of operands: the same in every process."""
    p, rng = case.params, np.random.default_rng(number)
    m, n, k, batch, layout = p["m"], p["n"], p["k"], tuple(p["batch"]), p["layout"]

    def normal(*shape):
        return rng.standard_normal(batch + shape, case.dtype)

    a = normal(k, m).T if "a.T" in layout else normal(m, 2 * k)[:, ::2] if "a[" in layout else normal(m, k)
    transposed = "b.T" in layout or "weight" in layout
    b = normal(n, k).T if transposed else normal(2 * k, n)[::2] if "b[" in layout else normal(k, n)
    return a, b


def _inputs(case):
    """Return several pairs: both operands change from call to call, weights (small batch, linear) stay."""
    p = case.params
    pairs = [operands(case, number) for number in range(2 if p["m"] * p["n"] >= 1 << 20 else 3)]
    if case.group in ("small batch", "linear"):
        pairs = [(a, pairs[0][1]) for a, _ in pairs]
    return pairs


def _calls(case, pairs, makers, to_numpy=np.asarray):
    """Turn functions of the operands into Calls; the first pair's result is checked against float64."""
    a, b = pairs[0]
    expected = a.astype(np.float64) @ b.astype(np.float64)
    scale = np.finfo(case.dtype).eps * np.sqrt(case.params["k"]) * np.abs(expected).max()
    made = {}
    for variant, make in makers.items():
        calls = [make(*pair) for pair in pairs]
        result = to_numpy(calls[0]())
        good = result.shape == expected.shape and result.dtype == case.dtype
        made[variant] = Calls(calls, [float(np.abs(result - expected).max() / scale) if good else float("inf")])
    return made


def verify(case, summaries):
    """Complain about results that are further from the float64 product than rounding explains."""
    return {name: f"wrong: error {e[0]:.3g}" for name, e in summaries.items() if not e[0] <= TOLERANCE}


def build(library, case, threads):
    """Build the case in the process of one library."""
    return globals()[f"_build_{library}"](case, _inputs(case), threads)


def _build_fastnn(case, pairs, threads):
    import fastnn_kernels as kernels

    if case.group == "linear":
        makers = {"": lambda a, b: partial(kernels.linear, a, b.T)}
        weight = kernels.prepare_matmul(pairs[0][1].T)
        makers["prepared"] = lambda a, b: partial(kernels.linear, a, weight)
    else:
        makers = {"": lambda a, b: partial(kernels.matmul, a, b)}
        if case.group in ("square", "small batch"):
            makers["prepared"] = lambda a, b: partial(kernels.matmul, a, kernels.prepare_matmul(b))
    return _calls(case, pairs, makers)


def _build_numpy(case, pairs, threads):
    return _calls(case, pairs, {"": lambda a, b: partial(np.matmul, a, b)})


def _build_torch(case, pairs, threads):
    import torch

    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    operation = torch.bmm if case.group == "batched" else torch.matmul
    makers = {"": lambda a, b: partial(operation, torch.from_numpy(a), torch.from_numpy(b))}
    if case.group == "linear":
        makers["linear"] = lambda a, b: partial(torch.nn.functional.linear, torch.from_numpy(a), torch.from_numpy(b.T))
    return _calls(case, pairs, makers, lambda y: y.numpy())


def _build_jax(case, pairs, threads):
    import jax

    jax.config.update("jax_enable_x64", case.dtype == "float64")
    product = jax.jit(jax.numpy.matmul)

    def make(a, b):
        a, b = jax.device_put(a), jax.device_put(b)
        return lambda: product(a, b).block_until_ready()

    return _calls(case, pairs, {"": make})


def _build_onnxruntime(case, pairs, threads):
    if case.group == "layout":
        raise Unsupported("tensors are contiguous there")

    def make(a, b):
        a, b = np.ascontiguousarray(a), np.ascontiguousarray(b)
        batched = case.group == "batched"
        inputs, weights = ({"a": a, "b": b}, {}) if batched else ({"a": a}, {"b": b})
        model = engines.onnx_model("MatMul", inputs, (*a.shape[:-1], b.shape[-1]), weights)
        return engines.onnxruntime(model, inputs, threads)

    return _calls(case, pairs, {"": make}, engines.onnxruntime_result)
