"""Optimizer steps over the parameters of a small and of a large network, through the optimizer objects of both sides.

PyTorch runs its fused kernels where it has them, else its default. What counts is the bytes of parameters, gradients
and states that a step reads and writes. Over 10 M parameters a step takes as long as a loop that does nothing but read
and write the same arrays: fetching ahead, huge pages and other places in memory change nothing. PyTorch's norm of
gradients is timed though it is 84 eps off; ours may be 16 off.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from bench.harness import Calls, Case, Unsupported

LIBRARIES = ("numpy", "torch")
SIZES = {"13 k": [(784, 16), (16,), (16, 16), (16,), (16, 10), (10,)], "10 M": [(1000, 1000)] * 10}
# class and settings by name, and how many arrays are read and written in a step
RULES = {
    "SGD": (("SGD", {"lr": 1e-3}), 3),
    "SGD momentum": (("SGD", {"lr": 1e-3, "momentum": 0.9}), 5),
    "Adam": (("Adam", {"lr": 1e-3}), 7),
    "AdamW": (("AdamW", {"lr": 1e-3, "weight_decay": 0.1}), 7),
    "Adam amsgrad": (("Adam", {"lr": 1e-3, "amsgrad": True}), 9),
    "NAdam": (("NAdam", {"lr": 1e-3}), 7),
    "RAdam": (("RAdam", {"lr": 1e-3}), 7),
    "Adamax": (("Adamax", {"lr": 1e-3}), 7),
    "RMSprop": (("RMSprop", {"lr": 1e-3}), 5),
    "RMSprop centered": (("RMSprop", {"lr": 1e-3, "momentum": 0.9, "centered": True}), 9),
    "Adagrad": (("Adagrad", {"lr": 1e-3}), 5),
    "Adadelta": (("Adadelta", {"lr": 1.0}), 7),
    "Lion": (("Lion", {"lr": 1e-3}), 5),
    "norm of gradients": ("norm", 1),
}
FUSED = ("SGD", "Adam", "AdamW", "Adagrad")
HEADLINES = ("SGD", "SGD momentum", "Adam", "AdamW", "norm of gradients")
TOLERANCE, PEERS_TOLERANCE = 16.0, 160.0  # eps of the largest parameter, after two steps; PyTorch's norm loses 84
CASES = [
    Case("optimizer", name, size, {"name": name, "size": size},
         4.0 * arrays * sum(map(np.prod, shapes)), "byte", int(4 * (arrays + 1) // 2 * sum(map(np.prod, shapes))),
         traffic="read" if name == "norm of gradients" else "update",
         bars={"torch": 1.2} | ({"peak": 0.9} if size == "10 M" and name in HEADLINES else {}),
         short=name in HEADLINES)
    for name, (_, arrays) in RULES.items()
    for size, shapes in SIZES.items()
]  # fmt: skip


def verify(case, summaries):
    """Complain about parameters that are further from those of float64 than rounding explains."""
    allowed = {name: TOLERANCE if name == "fastnn" else PEERS_TOLERANCE for name in summaries}
    return {name: f"wrong: error {e[0]:.3g}" for name, e in summaries.items() if not e[0] <= allowed[name]}


def build(library, case, threads):
    """Build the case in the process of one library; the first parameter, or the norm, is checked after two steps."""
    rule, shapes = RULES[case.params["name"]][0], SIZES[case.params["size"]]
    rng = np.random.default_rng(0)
    values, gradients = ([rng.standard_normal(shape, np.float32) for shape in shapes] for _ in range(2))
    exact = _exact(rule, values[0].astype(np.float64), [g.astype(np.float64) for g in gradients])
    step, first = globals()[f"_build_{library}"](rule, values, gradients, threads)
    step(), step()
    error = np.abs(first() - exact).max() / (np.finfo(np.float32).eps * np.abs(exact).max())
    return {"": Calls([step], [float(error)])}


def _exact(rule, value, gradients):
    from tests.reference import optimizer as reference

    if rule == "norm":
        return np.sqrt(sum((g**2).sum() for g in gradients))
    name, settings = rule
    decoupled = {"decoupled_weight_decay": True} if name == "AdamW" else {}
    return reference.follow(
        name.lower().replace("adamw", "adam"), value, [gradients[0]] * 2, **settings, **decoupled
    )  # fmt: skip


def _build_fastnn(rule, values, gradients, threads):
    from fastnn import nn, optim

    parameters = [nn.Parameter(value) for value in values]
    name, settings = ("SGD", {}) if rule == "norm" else rule
    optimizer = getattr(optim, name)(parameters, **settings)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    if rule == "norm":
        norm = partial(optim.clip_grad_norm_, parameters, np.inf)
        return norm, norm
    return optimizer.step, parameters[0].numpy


def _build_torch(rule, values, gradients, threads):
    import torch

    torch.set_num_threads(threads)
    parameters = [torch.nn.Parameter(torch.from_numpy(value)) for value in values]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = torch.from_numpy(gradient)
    if rule == "norm":
        norm = partial(torch.nn.utils.get_total_norm, [p.grad for p in parameters])
        return norm, lambda: norm().item()
    name, settings = rule
    if not hasattr(torch.optim, name):
        raise Unsupported
    fused = {"fused": True} if name in FUSED else {}
    optimizer = getattr(torch.optim, name)(parameters, **settings, **fused)
    return optimizer.step, parameters[0].detach().numpy


def _build_numpy(rule, values, gradients, threads):
    if rule == "norm" or rule[0] not in ("SGD", "Adam"):
        raise Unsupported
    name, settings = rule
    if settings.get("amsgrad"):
        raise Unsupported
    p, g = (np.concatenate([x.ravel() for x in arrays]) for arrays in (values, gradients))
    m, v, work, count = np.zeros_like(p), np.zeros_like(p), np.empty_like(p), iter(range(1, 1 << 40))
    lr, momentum = settings["lr"], settings.get("momentum", 0)

    def adam():
        t = next(count)
        scale = (1 - 0.999**t) ** 0.5
        np.multiply(m, 0.9, out=m)
        np.multiply(g, 0.1, out=work)
        np.add(m, work, out=m)
        np.multiply(v, 0.999, out=v)
        np.multiply(g, g, out=work)
        np.multiply(work, 0.001, out=work)
        np.add(v, work, out=v)
        np.sqrt(v, out=work)
        np.add(work, 1e-8 * scale, out=work)
        np.divide(m, work, out=work)
        np.multiply(work, lr * scale / (1 - 0.9**t), out=work)
        np.subtract(p, work, out=p)

    def sgd():
        if momentum:
            np.multiply(m, momentum, out=m)
            np.add(m, g, out=m)
        np.multiply(m if momentum else g, lr, out=work)
        np.subtract(p, work, out=p)

    return (adam if name == "Adam" else sgd), lambda: p[: values[0].size].reshape(values[0].shape)
