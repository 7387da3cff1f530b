"""Losses, forward alone and with the gradient that training needs."""

from __future__ import annotations

import numpy as np

from bench.harness import Calls, Case

LIBRARIES = ("numpy", "torch", "jax")
SHAPES = ((32, 10), (64, 1000), (4096, 1000), (60000, 10))
TOLERANCE = 50.0  # in eps of the loss, and of the largest gradient
CASES = [
    Case("loss", name, f"{shape[0]} x {shape[1]}", {"name": name, "shape": shape},
         float(np.prod(shape)) * 4 * (1 + ("gradient" in name) + ("mse" in name)), "byte",
         int(np.prod(shape)) * 4 * (1 + ("gradient" in name) + ("mse" in name)), bars=dict.fromkeys(LIBRARIES, 1.0))
    for name in ("cross_entropy", "cross_entropy and gradient", "mse_loss")
    for shape in SHAPES
]  # fmt: skip


def verify(case, summaries):
    """Complain about losses and gradients that are further from float64 than rounding explains."""
    return {name: f"wrong: errors {e}" for name, e in summaries.items() if not max(e) <= TOLERANCE}


def build(library, case, threads):
    """Build the case in the process of one library: two batches that take turns."""
    calls, errors = [], []
    for seed in (0, 1):
        rng = np.random.default_rng(seed)
        x = rng.standard_normal(case.params["shape"], np.float32)
        labels = rng.integers(x.shape[1], size=len(x))
        target = rng.standard_normal(x.shape, np.float32) if case.group == "mse_loss" else labels
        call, unpack = globals()[f"_build_{library}"](case.group, x, target, threads)
        loss, gradient = unpack(call())
        exact, slope = _exact(case.group, x.astype(np.float64), target)
        eps = np.finfo(np.float32).eps
        errors.append(float(abs(loss - exact) / (eps * abs(exact))))
        if gradient is not None:
            errors.append(float(np.abs(gradient - slope).max() / (eps * np.abs(slope).max())))
        calls.append(call)
    return {"": Calls(calls, errors)}


def _exact(name, x, target):
    if name == "mse_loss":
        return ((x - target) ** 2).mean(), None
    return _numpy_cross_entropy(x, target)


def _numpy_cross_entropy(x, labels, gradient=True):
    rows = np.arange(len(x))
    shifted = x - x.max(1, keepdims=True)
    e = np.exp(shifted)
    total = e.sum(1, keepdims=True)
    loss = (np.log(total[:, 0]) - shifted[rows, labels]).mean()
    if not gradient:
        return loss, None
    e /= total
    e[rows, labels] -= 1
    e /= len(x)
    return loss, e


def _build_fastnn(name, x, target, threads):
    import fastnn_kernels as kernels

    if "gradient" in name:
        return (lambda: kernels.cross_entropy_with_gradient(x, target)), lambda result: result
    return (lambda: getattr(kernels, name)(x, target)), lambda loss: (float(loss), None)


def _build_numpy(name, x, target, threads):
    if name == "mse_loss":
        return (lambda: (((x - target) ** 2).mean(), None)), lambda result: result
    return (lambda: _numpy_cross_entropy(x, target, "gradient" in name)), lambda result: result


def _build_torch(name, x, target, threads):
    import torch

    torch.set_num_threads(threads)
    logits, goal = torch.from_numpy(x), torch.from_numpy(target)
    if "gradient" not in name:
        torch.set_grad_enabled(False)
        function = getattr(torch.nn.functional, name)
        return (lambda: function(logits, goal)), lambda loss: (loss.item(), None)
    torch.set_grad_enabled(True)
    logits.requires_grad_()

    def both():
        logits.grad = None
        loss = torch.nn.functional.cross_entropy(logits, goal)
        loss.backward()
        return loss, logits.grad

    return both, lambda result: (result[0].item(), result[1].numpy())


def _build_jax(name, x, target, threads):
    import jax
    import jax.numpy as jnp

    def cross_entropy(x, labels):
        logs = jax.nn.log_softmax(x)
        return -jnp.take_along_axis(logs, labels[:, None], 1).mean()

    def mse_loss(x, target):
        return ((x - target) ** 2).mean()

    x, target = jax.device_put(x), jax.device_put(target)
    if "gradient" in name:
        function = jax.jit(jax.value_and_grad(cross_entropy))
        return (lambda: jax.block_until_ready(function(x, target))), lambda r: (float(r[0]), np.asarray(r[1]))
    function = jax.jit(mse_loss if name == "mse_loss" else cross_entropy)
    return (lambda: function(x, target).block_until_ready()), lambda loss: (float(loss), None)
