"""Elementwise functions and softmax: in the cache, where arithmetic decides, and far beyond it, where memory does."""

from __future__ import annotations

from functools import partial

import numpy as np

from bench.harness import Calls, Case, Unsupported

LIBRARIES = ("numpy", "torch", "jax")
SIZES = {"10 k": (100, 100), "1 M": (1000, 1000), "16 M": (4000, 4000)}
TOLERANCE = 8.0  # ulp of the result
EXACT = {  # in float64, from the float32 inputs
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "gelu": lambda x: x * _normal(x),
    "exp": np.exp,
    "softmax": lambda x: _softmax(x),
}
CASES = [
    Case("activation", name, f"{size} {shape}", {"name": name, "shape": shape}, 8.0 * np.prod(shape), "byte",
         8 * int(np.prod(shape)), bars=dict.fromkeys(LIBRARIES, 1.0))
    for name in EXACT
    for size, shape in SIZES.items()
]  # fmt: skip


def _softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def _normal(x):
    from math import erfc

    return np.vectorize(erfc)(-x / np.sqrt(2.0)) / 2


def verify(case, summaries):
    """Complain about results that are further from float64 than a few ulp."""
    return {name: f"wrong: error {e[0]:.3g}" for name, e in summaries.items() if not e[0] <= TOLERANCE}


def build(library, case, threads):
    """Build the case in the process of one library; the first rows are checked."""
    name = case.params["name"]
    rng = np.random.default_rng(0)
    inputs = [3 * rng.standard_normal(case.params["shape"], np.float32) for _ in range(2)]
    make, to_numpy = globals()[f"_build_{library}"](name, threads)
    calls = [make(x) for x in inputs]
    result, expected = to_numpy(calls[0]())[:10], EXACT[name](inputs[0][:10].astype(np.float64))
    floor = 1.0 if name == "gelu" else 1e-6  # others compute gelu's tail by cancellation
    slack = np.finfo(np.float32).eps * np.maximum(np.abs(expected), floor)
    terms = 40 if name == "softmax" else 1  # of a sum
    return {"": Calls(calls, [float((np.abs(result - expected) / slack).max() / terms)])}


def _build_fastnn(name, threads):
    import fastnn_kernels as kernels

    return (lambda x: partial(getattr(kernels, name), x)), np.asarray


def _build_numpy(name, threads):
    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    found = {
        "relu": lambda x: np.maximum(x, 0), "sigmoid": sigmoid, "tanh": np.tanh, "exp": np.exp, "softmax": _softmax,
    }.get(name)  # fmt: skip
    if found is None:
        raise Unsupported
    return (lambda x: partial(found, x)), np.asarray


def _build_torch(name, threads):
    import torch

    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    functions = {"gelu": torch.nn.functional.gelu, "softmax": partial(torch.softmax, dim=-1)}
    function = functions.get(name) or getattr(torch, name)
    return (lambda x: partial(function, torch.from_numpy(x))), lambda y: y.numpy()


def _build_jax(name, threads):
    import jax

    functions = {"tanh": jax.numpy.tanh, "exp": jax.numpy.exp, "gelu": partial(jax.nn.gelu, approximate=False)}
    function = jax.jit(functions.get(name) or getattr(jax.nn, name))

    def make(x):
        x = jax.device_put(x)
        return lambda: function(x).block_until_ready()

    return make, np.asarray
