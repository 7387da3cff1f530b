"""Normalisation and its gradients: short and long rows and images, in the cache and far beyond it.

PyTorch's batch norm of large channels-last images is timed though its results are 200 eps off; ours may be 100 off.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from bench.harness import Calls, Case, Unsupported

LIBRARIES = ("torch",)
ROWS = {"cached": ((1000, 10), (160, 64), (10, 1000), (3, 4096)), "50 MB": ((200_000, 64), (12_500, 1000))}
IMAGES = {"cached": ((160, 64), (4, 8, 16, 16)), "50 MB": ((64, 64, 56, 56),)}
TOLERANCE, PEERS_TOLERANCE = 100.0, 1000.0  # eps, of the largest number; PyTorch loses 200 channels-last
EPS = 1e-5


def _cases():
    for name in ("layer_norm", "rms_norm", "group_norm", "batch_norm", "batch_norm in use"):
        images = name not in ("layer_norm", "rms_norm")
        for size, shapes in (IMAGES if images else ROWS).items():
            for shape in shapes:
                for last in (False, True) if name.startswith("batch") and len(shape) == 4 else (False,):
                    for gradient in (False, True):
                        if name == "group_norm" and len(shape) == 2:
                            continue
                        moved = 4 * int(np.prod(shape)) * (3 if gradient else 2)
                        bars = {"torch": 1.5 if gradient else 2.0}
                        bars |= {} if size == "cached" else {"peak@2": 1 / 1.3}
                        yield Case(
                            "norm", f"{name} gradient" if gradient else name,
                            f"{size} {shape}" + " channels last" * last,
                            {"name": name, "shape": shape, "gradient": gradient, "last": last}, float(moved), "byte",
                            moved, traffic="copy", bars=bars,
                        )  # fmt: skip


CASES = list(_cases())


def verify(case, summaries):
    """Complain about results that are further from float64 than rounding explains."""
    allowed = {name: TOLERANCE if name.startswith("fastnn") else PEERS_TOLERANCE for name in summaries}
    return {name: f"wrong: error {e[0]:.3g}" for name, e in summaries.items() if not e[0] <= allowed[name]}


def build(library, case, threads):
    """Build the case in the process of one library; results are checked against fastnn in float64."""
    rng, name, shape, gradient = np.random.default_rng(0), *(case.params[k] for k in ("name", "shape", "gradient"))
    width = shape[1]
    w, b, mean = (rng.standard_normal(width, np.float32) for _ in range(3))
    sets = []
    for _ in range(2):
        x, dy = (rng.standard_normal(shape, np.float32) for _ in range(2))
        if case.params["last"]:
            x, dy = (np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2) for a in (x, dy))
        sets.append((dy, x, w, b, mean, np.abs(mean) + 1))
    if library == "torch":
        calls, to_numpy = [_build_torch(name, gradient, threads, *arrays) for arrays in sets], lambda y: y.numpy()
    elif library == "fastnn":
        calls, to_numpy = [_build_fastnn(name, gradient, *arrays) for arrays in sets], np.asarray
    else:
        raise Unsupported
    result = calls[0]()
    result = to_numpy(result[0] if isinstance(result, tuple) else result)
    few = slice(None) if result.size < 1 << 20 else slice(0, None, 7)
    exact = _build_fastnn(name, gradient, *(a.astype(np.float64) for a in sets[0]))()
    exact = exact[0] if isinstance(exact, tuple) else exact
    error = np.abs(result[few] - exact[few]).max() / np.abs(exact[few]).max() / np.finfo(np.float32).eps
    return {"": Calls(calls, [float(error)])}


def _build_fastnn(name, gradient, dy, x, w, b, mean, variance):
    import fastnn_kernels as kernels

    if name.startswith("batch"):
        training = name == "batch_norm"
        given = (None, None) if training else (mean, variance)
        if not gradient:
            return partial(kernels.batch_norm, x, *given, w, b, training, 0.1, EPS)
        _, kept = kernels.batch_norm(x, *given, w, b, training, 0.1, EPS, return_statistics=True)
        return partial(kernels.batch_norm_backward, dy, x, *given, w, training, EPS, statistics=kept)
    by = 8 if name == "group_norm" else w.size
    biases = () if name == "rms_norm" else (b,)
    if not gradient:
        return partial(getattr(kernels, name), x, by, w, *biases, EPS)
    _, kept = getattr(kernels, name)(x, by, w, *biases, EPS, return_statistics=True)
    return partial(getattr(kernels, f"{name}_backward"), dy, x, by, w, EPS, statistics=kept)


def _build_torch(name, gradient, threads, *arrays):
    import torch

    torch.set_num_threads(threads)
    torch.set_grad_enabled(True)
    dy, x, w, b, mean, variance = map(torch.from_numpy, arrays)
    F, aten, shape = torch.nn.functional, torch.ops.aten, [w.numel()]
    if name == "rms_norm" and gradient:  # has no operation of its own for the gradient
        x.requires_grad_(), w.requires_grad_()
        y = F.rms_norm(x, shape, w, EPS)
        return lambda: torch.autograd.grad(y, (x, w), dy, retain_graph=True)
    torch.set_grad_enabled(False)
    if name == "layer_norm":
        if not gradient:
            return lambda: F.layer_norm(x, shape, w, b, EPS)
        _, *kept = torch.native_layer_norm(x, shape, w, b, EPS)
        return lambda: aten.native_layer_norm_backward(dy, x, shape, *kept, w, b, [True] * 3)
    if name == "rms_norm":
        return lambda: F.rms_norm(x, shape, w, EPS)
    if name == "group_norm":
        if not gradient:
            return lambda: F.group_norm(x, 8, w, b, EPS)
        sizes = x.shape[0], x.shape[1], x[0, 0].numel(), 8
        _, *kept = torch.native_group_norm(x, w, b, *sizes, EPS)
        return lambda: aten.native_group_norm_backward(dy, x, *kept, w, *sizes, [True] * 3)
    training = name == "batch_norm"
    given = (None, None) if training else (mean, variance)
    if not gradient:
        return lambda: F.batch_norm(x, *given, w, b, training, 0.1, EPS)
    _, *kept = torch.native_batch_norm(x, w, b, *given, training, 0.1, EPS)
    return lambda: aten.native_batch_norm_backward(dy, x, w, *given, *kept, training, EPS, [True] * 3)
