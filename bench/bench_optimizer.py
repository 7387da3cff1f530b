"""Optimizer steps over the parameters of a small and of a large network, in one flat buffer each."""

from __future__ import annotations

from functools import partial

import numpy as np

from bench.harness import Calls, Case, Unsupported

LIBRARIES = ("numpy", "torch")
SIZES = {"13 k": 13_000, "1 M": 1_000_000, "25 M": 25_000_000}
BUFFERS = {"sgd": 3, "sgd momentum": 5, "adam": 7}  # how many are read and written in a step
LR, MOMENTUM, BETAS, EPS = 1e-3, 0.9, (0.9, 0.999), 1e-8
TOLERANCE = 16.0  # in eps of the largest parameter, after two steps
CASES = [
    Case("optimizer", rule, size, {"rule": rule, "n": n}, 4.0 * n * buffers, "byte", 4 * n * (buffers + 1) // 2,
         bars=dict.fromkeys(LIBRARIES, 1.0))
    for rule, buffers in BUFFERS.items()
    for size, n in SIZES.items()
]  # fmt: skip


def verify(case, summaries):
    """Complain about parameters that are further from those of float64 than rounding explains."""
    return {name: f"wrong: error {e[0]:.3g}" for name, e in summaries.items() if not e[0] <= TOLERANCE}


def build(library, case, threads):
    """Build the case in the process of one library; the first parameters are checked after two steps."""
    rule, n = case.params["rule"], case.params["n"]
    rng = np.random.default_rng(0)
    value, gradient = rng.standard_normal(n, np.float32), rng.standard_normal(n, np.float32)
    expected = _exact(rule, value[:1000].astype(np.float64), gradient[:1000].astype(np.float64))
    step, parameter = globals()[f"_build_{library}"](rule, value, gradient, threads)
    step(), step()
    error = np.abs(parameter[:1000] - expected).max() / (np.finfo(np.float32).eps * np.abs(expected).max())
    return {"": Calls([step], [float(error)])}


def _exact(rule, p, g):
    m = v = np.zeros_like(p)
    for t in (1, 2):
        if rule == "adam":
            m, v = BETAS[0] * m + (1 - BETAS[0]) * g, BETAS[1] * v + (1 - BETAS[1]) * g * g
            p = p - LR * (m / (1 - BETAS[0] ** t)) / (np.sqrt(v / (1 - BETAS[1] ** t)) + EPS)
        else:
            m = (MOMENTUM if "momentum" in rule else 0) * m + g
            p = p - LR * m
    return p


def _build_fastnn(rule, p, g, threads):
    import fastnn_kernels as kernels

    if rule != "adam":
        velocity = np.zeros_like(p) if "momentum" in rule else None
        return partial(kernels.sgd_step, p, g, velocity, LR, MOMENTUM if "momentum" in rule else 0.0), p
    m, v, count = np.zeros_like(p), np.zeros_like(p), iter(range(1, 1 << 40))
    return (lambda: kernels.adam_step(p, g, m, v, next(count), LR, *BETAS, EPS)), p


def _build_numpy(rule, p, g, threads):
    m, v, work, count = np.zeros_like(p), np.zeros_like(p), np.empty_like(p), iter(range(1, 1 << 40))

    def adam():
        t = next(count)
        scale = (1 - BETAS[1] ** t) ** 0.5
        np.multiply(m, BETAS[0], out=m)
        np.multiply(g, 1 - BETAS[0], out=work)
        np.add(m, work, out=m)
        np.multiply(v, BETAS[1], out=v)
        np.multiply(g, g, out=work)
        np.multiply(work, 1 - BETAS[1], out=work)
        np.add(v, work, out=v)
        np.sqrt(v, out=work)
        np.add(work, EPS * scale, out=work)
        np.divide(m, work, out=work)
        np.multiply(work, LR * scale / (1 - BETAS[0] ** t), out=work)
        np.subtract(p, work, out=p)

    def sgd():
        if "momentum" in rule:
            np.multiply(m, MOMENTUM, out=m)
            np.add(m, g, out=m)
        np.multiply(m if "momentum" in rule else g, LR, out=work)
        np.subtract(p, work, out=p)

    return (adam if rule == "adam" else sgd), p


def _build_torch(rule, p, g, threads):
    import torch

    torch.set_num_threads(threads)
    parameter = torch.nn.Parameter(torch.from_numpy(p))
    parameter.grad = torch.from_numpy(g)
    if rule == "adam":
        optimizer = torch.optim.Adam([parameter], LR, BETAS, EPS, fused=True)
    elif rule in BUFFERS:
        optimizer = torch.optim.SGD([parameter], LR, MOMENTUM if "momentum" in rule else 0.0, fused=True)
    else:
        raise Unsupported
    return optimizer.step, p
