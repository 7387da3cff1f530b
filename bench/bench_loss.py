"""Losses, forward alone and with the gradient that training needs."""

from __future__ import annotations

import numpy as np

from bench.harness import Calls, Case, Unsupported

LIBRARIES = ("numpy", "torch", "jax")
SHAPES = ((32, 10), (128, 10), (64, 1000), (4096, 1000), (60000, 10), (128, 50000))
ELEMENTS = (128, 1000), (4096, 1000)
# how many arrays of logits or of one operand a call has to read and to write
ARRAYS = {"cross_entropy": 1, "cross_entropy and gradient": 2, "mse_loss": 2, "mse_loss and gradient": 3}
PAIRS = (
    "smooth_l1_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits", "kl_div", "soft_margin_loss",
    "poisson_nll_loss",
)  # fmt: skip
TOLERANCE = 50.0  # in eps of the loss, and of the largest gradient


def _case(name, shape, bar, short=True):
    size = int(np.prod(shape)) * 4 * ARRAYS.get(name, 3)
    return Case("loss", name, f"{shape[0]} x {shape[1]}", {"name": name, "shape": shape}, float(size), "byte", size,
                bars={**dict.fromkeys(LIBRARIES, 1.0), "torch": bar}, short=short)  # fmt: skip


CASES = [
    *[_case("cross_entropy", shape, 1.0) for shape in SHAPES[:5]],
    *[_case("cross_entropy and gradient", shape, 2.0) for shape in SHAPES],
    *[_case("mse_loss", shape, 1.0) for shape in SHAPES[:5]],
    *[_case("mse_loss and gradient", shape, 1.0) for shape in ELEMENTS],
    *[_case(f"{name} and gradient", shape, 1.0, short=False) for name in PAIRS for shape in ELEMENTS],
]


def verify(case, summaries):
    """Complain about losses and gradients that are further from float64 than rounding explains."""
    return {name: f"wrong: errors {e}" for name, e in summaries.items() if not max(e) <= TOLERANCE}


def build(library, case, threads):
    """Build the case in the process of one library: two batches that take turns."""
    name, gradient = case.group.removesuffix(" and gradient"), case.group.endswith("gradient")
    calls, errors = [], []
    for seed in (0, 1):
        x, target = _inputs(name, case.params["shape"], np.random.default_rng(seed))
        call, unpack = globals()[f"_build_{library}"](name, gradient, x, target, threads)
        loss, slope = unpack(call())
        exact, exact_slope = _exact(name, x.astype(np.float64), target)
        eps = np.finfo(np.float32).eps
        errors.append(float(abs(loss - exact) / (eps * abs(exact))))
        if slope is not None:
            errors.append(float(np.abs(slope - exact_slope).max() / (eps * np.abs(exact_slope).max())))
        calls.append(call)
    return {"": Calls(calls, errors)}


def _inputs(name, shape, rng):
    x = rng.standard_normal(shape, np.float32)
    if name == "cross_entropy":
        return x, rng.integers(x.shape[1], size=len(x))
    target = rng.uniform(0.01, 0.99, shape).astype(np.float32)
    if name == "mse_loss":
        target = rng.standard_normal(shape, np.float32)
    elif name == "binary_cross_entropy":
        x = rng.uniform(0.01, 0.99, shape).astype(np.float32)
    return x, target


def _exact(name, x, target):
    """Give the mean in float64, and its gradient."""
    if name == "cross_entropy":
        return _numpy_cross_entropy(x, target)
    t = target.astype(np.float64)
    sigmoid = 1 / (1 + np.exp(-x))
    near = np.abs(x - t) < 1
    value, slope = {
        "mse_loss": lambda: ((x - t) ** 2, 2 * (x - t)),
        "smooth_l1_loss": lambda: (
            np.where(near, (x - t) ** 2 / 2, abs(x - t) - 0.5),
            np.where(near, x - t, np.sign(x - t)),
        ),
        "binary_cross_entropy": lambda: (-t * np.log(x) - (1 - t) * np.log1p(-x), (x - t) / (x * (1 - x))),
        "binary_cross_entropy_with_logits": lambda: (np.logaddexp(0, x) - t * x, sigmoid - t),
        "kl_div": lambda: (t * (np.log(t) - x), -t),
        "soft_margin_loss": lambda: (np.logaddexp(0, -t * x), -t / (1 + np.exp(t * x))),
        "poisson_nll_loss": lambda: (np.exp(x) - t * x, np.exp(x) - t),
    }[name]()
    return value.mean(), slope / x.size


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


def _build_fastnn(name, gradient, x, target, threads):
    import fastnn_kernels as kernels

    if name == "cross_entropy" and gradient:
        return (lambda: kernels.cross_entropy_with_gradient(x, target)), lambda result: result
    loss = getattr(kernels, name)
    if gradient:
        return (lambda: loss.with_gradient(x, target)), lambda result: result
    return (lambda: loss(x, target)), lambda loss: (float(loss), None)


def _build_numpy(name, gradient, x, target, threads):
    if name == "cross_entropy":
        return (lambda: _numpy_cross_entropy(x, target, gradient)), lambda result: result
    if name != "mse_loss":
        raise Unsupported

    def mse_loss():
        d = x - target
        return (d * d).mean(), d * (2 / d.size) if gradient else None

    return mse_loss, lambda result: result


def _build_torch(name, gradient, x, target, threads):
    import torch

    torch.set_num_threads(threads)
    logits, goal = torch.from_numpy(x), torch.from_numpy(target)
    function = getattr(torch.nn.functional, name)
    torch.set_grad_enabled(gradient)
    if not gradient:
        return (lambda: function(logits, goal)), lambda loss: (loss.item(), None)
    logits.requires_grad_()

    def both():
        logits.grad = None
        loss = function(logits, goal)
        loss.backward()
        return loss, logits.grad

    return both, lambda result: (result[0].item(), result[1].numpy())


def _build_jax(name, gradient, x, target, threads):
    import jax
    import jax.numpy as jnp

    def cross_entropy(x, labels):
        logs = jax.nn.log_softmax(x)
        return -jnp.take_along_axis(logs, labels[:, None], 1).mean()

    def mse_loss(x, target):
        return ((x - target) ** 2).mean()

    functions = {"cross_entropy": cross_entropy, "mse_loss": mse_loss}
    if name not in functions:
        raise Unsupported
    x, target = jax.device_put(x), jax.device_put(target)
    if gradient:
        function = jax.jit(jax.value_and_grad(functions[name]))
        return (lambda: jax.block_until_ready(function(x, target))), lambda r: (float(r[0]), np.asarray(r[1]))
    function = jax.jit(functions[name])
    return (lambda: function(x, target).block_until_ready()), lambda loss: (float(loss), None)
