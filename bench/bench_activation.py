"""Elementwise functions, softmax, their gradients: in the cache, where arithmetic decides, and where memory does.

Every entry of the table of functions has its rows. "with out": the result goes into an array that is there already, on
all sides.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from bench.harness import Calls, Case, Unsupported
from fastnn_kernels.formulas.activation import FORMULAS

LIBRARIES = ("numpy", "torch", "jax")
SIZES = {"10 k": ((100, 100),), "12.5 M": ((3125, 4000),)}
ROWS = {
    "10 k": ((1000, 10), (160, 64), (10, 1000), (2, 4096), (4, 40, 64)),
    "12.5 M": ((12500, 1000), (64, 64, 3136)),
}  # the dimension is 1
TOLERANCE = 8.0  # ulp of the result
SHORT = ("relu", "add", "sigmoid", "tanh", "gelu", "exp", "silu", "softmax")
GIVEN = {"threshold": (0.5, -1.25)}
PAIRS = ("add", "mul")  # of two arrays; their gradients are such products again
WITH_OUT = ("relu", "leaky_relu", "sigmoid", "tanh", "gelu", "exp", "silu")
COPY = 0.85  # share of a copy's speed that functions of large arrays are to reach


def _bars(name, large, gradient, out):
    """Return what a row is to reach, by its kind of function."""
    rows = name.endswith("softmax")
    bars = {"numpy": 1.0, "torch": 2.0 if rows and not gradient else 1.5, "jax": 1.0}
    if out:
        return {"torch": 1.0, "peak@2": COPY}
    if large:
        return bars | ({"peak@2": 1 / 1.3} if rows else {"torch@2": 4.0})
    if gradient or rows:
        return bars
    if name in PAIRS or FORMULAS[name].cheap:
        return bars | {"numpy": 1.5}
    return {"numpy": 1.0, "torch": 1.0, "jax": 1.0, "seconds@1": 0.2e-9 * 1e4}


def _case(name, size, shape, gradient=False, out=False):
    moved = 4 * int(np.prod(shape)) * (3 if gradient or name in PAIRS else 2)
    return Case(
        "activation", name + " gradient" * gradient + " with out" * out, f"{size} {shape}",
        {"name": name, "shape": shape, "gradient": gradient, "out": out}, float(moved), "byte", moved, traffic="copy",
        bars=_bars(name, size != "10 k", gradient, out), short=name in SHORT and not gradient,
    )  # fmt: skip


def _cases(name, sizes):
    """Make the rows of a function, those of its gradient with it."""
    for gradient in (False,) if name in PAIRS else (False, True):
        for size, shapes in sizes.items():
            for shape in shapes:
                yield _case(name, size, shape, gradient)
    if name in WITH_OUT:
        yield _case(name, "12.5 M", SIZES["12.5 M"][0], out=True)


CASES = [
    case
    for name in (*FORMULAS, *PAIRS, "softmax", "log_softmax")
    if name not in ("identity", "binary_step", "bipolar_step")
    for case in _cases(name, ROWS if name.endswith("softmax") else SIZES)
]


def verify(case, summaries):
    """Complain about results that are further from float64 than a few ulp."""
    return {name: f"wrong: error {e[0]:.3g}" for name, e in summaries.items() if not e[0] <= TOLERANCE}


def build(library, case, threads):
    """Build the case in the process of one library; the first rows are checked, against fastnn in float64."""
    name, gradient, shape = (case.params[k] for k in ("name", "gradient", "shape"))
    dim = 1 if name.endswith("softmax") else None
    rng = np.random.default_rng(0)
    calls, sets = [], []
    for _ in range(2):
        x = 3 * rng.standard_normal(shape, np.float32)
        x = np.abs(x) + np.float32(0.01) if name == "log" else x
        dy = rng.standard_normal(shape, np.float32) if gradient or name in PAIRS else None
        sets.append((x, dy))
    make, to_numpy = globals()[f"_build_{library}"](name, dim, gradient, threads)
    calls = [make(x, dy) for x, dy in sets]
    if case.params["out"]:
        calls = [_with_out(library, name, call, shape) for call in calls]
    x, dy = (None if a is None else a[:10].astype(np.float64) for a in sets[0])
    result, expected = to_numpy(calls[0]())[:10], _build_fastnn(name, dim, gradient, threads)[0](x, dy)()
    slack = np.finfo(np.float32).eps * np.maximum(np.abs(expected), 1.0)  # others compute tails by cancellation
    terms = 40 if dim else 4 if gradient else 1  # of a sum
    return {"": Calls(calls, [float((np.abs(result - expected) / slack).max() / terms)])}


def _with_out(library, name, call, shape):
    """Let a call fill an array that is there already."""
    out = np.empty(shape, np.float32)
    if library == "fastnn":
        return partial(call, out=out)
    if library == "numpy" and name in ("tanh", "exp"):
        return partial(getattr(np, name), *call.args, out=out)
    if library == "torch":
        import torch

        return partial(getattr(torch.ops.aten, name), *call.args, **call.keywords, out=torch.from_numpy(out))
    raise Unsupported


def _options(name, dim):
    """Return the arguments after the array, in PyTorch's order and fastnn's."""
    if dim is not None:
        return (dim,)
    if name in PAIRS:
        return ()
    return GIVEN.get(name, FORMULAS[name].usual_parameters)


def _build_fastnn(name, dim, gradient, threads):
    import fastnn_kernels as kernels

    approximation = {"gelu": ("none",), "gelu_tanh": ("tanh",)}.get(name)
    options = approximation or _options(name, dim)
    if name in PAIRS:
        return lambda x, dy: partial(getattr(kernels, name), x, dy), np.asarray
    stem = "gelu" if approximation else name
    forward, backward = getattr(kernels, stem), getattr(kernels, f"{stem}_backward")
    of_output = dim is not None or FORMULAS[name].gradient_of == "output"

    def make(x, dy):
        if not gradient:
            return partial(forward, x, *options)
        return partial(backward, dy, forward(x, *options) if of_output else x, *options)

    return make, np.asarray


def _build_numpy(name, dim, gradient, threads):
    def softmax(x):
        e = np.exp(x - x.max(1, keepdims=True))
        return e / e.sum(1, keepdims=True)

    if name in PAIRS:
        return lambda x, dy: partial({"add": np.add, "mul": np.multiply}[name], x, dy), np.asarray
    found = {
        "relu": lambda x: np.maximum(x, 0), "sigmoid": lambda x: 1 / (1 + np.exp(-x)), "tanh": np.tanh, "exp": np.exp,
        "log": np.log, "softmax": softmax,
    }.get(name)  # fmt: skip
    if found is None or gradient:
        raise Unsupported
    return (lambda x, dy: partial(found, x)), np.asarray


def _build_torch(name, dim, gradient, threads):
    import torch

    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    if name in PAIRS:
        function = getattr(torch, name)
        return lambda x, dy: partial(function, torch.from_numpy(x), torch.from_numpy(dy)), lambda y: y.numpy()
    forward = getattr(torch.nn.functional, name, None) or getattr(torch, name, None)
    if name == "gelu_tanh":
        forward = partial(torch.nn.functional.gelu, approximate="tanh")
    options = () if name == "gelu_tanh" else _options(name, dim)
    aten = torch.ops.aten
    backward = {  # PyTorch's own kernels, without its tape
        "relu": lambda dy, x, y: partial(aten.threshold_backward, dy, x, 0),
        "threshold": lambda dy, x, y: partial(aten.threshold_backward, dy, x, 0.5),
        "relu6": lambda dy, x, y: partial(aten.hardtanh_backward, dy, x, 0, 6),
        "leaky_relu": lambda dy, x, y: partial(aten.leaky_relu_backward, dy, x, 0.01, False),
        "hardtanh": lambda dy, x, y: partial(aten.hardtanh_backward, dy, x, -1, 1),
        "hardsigmoid": lambda dy, x, y: partial(aten.hardsigmoid_backward, dy, x),
        "hardswish": lambda dy, x, y: partial(aten.hardswish_backward, dy, x),
        "hardshrink": lambda dy, x, y: partial(aten.hardshrink_backward, dy, x, 0.5),
        "softshrink": lambda dy, x, y: partial(aten.softshrink_backward, dy, x, 0.5),
        "sigmoid": lambda dy, x, y: partial(aten.sigmoid_backward, dy, y),
        "logsigmoid": lambda dy, x, y: partial(aten.log_sigmoid_backward, dy, x, aten.log_sigmoid_forward(x)[1]),
        "tanh": lambda dy, x, y: partial(aten.tanh_backward, dy, y),
        "elu": lambda dy, x, y: partial(aten.elu_backward, dy, 1, 1, 1, False, x),
        "softplus": lambda dy, x, y: partial(aten.softplus_backward, dy, x, 1, 20),
        "silu": lambda dy, x, y: partial(aten.silu_backward, dy, x),
        "mish": lambda dy, x, y: partial(aten.mish_backward, dy, x),
        "gelu": lambda dy, x, y: partial(aten.gelu_backward, dy, x),
        "gelu_tanh": lambda dy, x, y: partial(aten.gelu_backward, dy, x, approximate="tanh"),
        "exp": lambda dy, x, y: partial(torch.mul, dy, y),
        "log": lambda dy, x, y: partial(torch.div, dy, x),
        "softmax": lambda dy, x, y: partial(aten._softmax_backward_data, dy, y, 1, torch.float32),
        "log_softmax": lambda dy, x, y: partial(aten._log_softmax_backward_data, dy, y, 1, torch.float32),
    }.get(name)
    if forward is None or (gradient and backward is None):
        raise Unsupported

    def make(x, dy):
        x = torch.from_numpy(x)
        if not gradient:
            return partial(forward, x, *options)
        return backward(torch.from_numpy(dy), x, forward(x, *options))

    return make, lambda y: y.numpy()


def _build_jax(name, dim, gradient, threads):
    import jax

    found = {
        "tanh": jax.numpy.tanh, "exp": jax.numpy.exp, "log": jax.numpy.log, "erf": jax.scipy.special.erf,
        "gelu": partial(jax.nn.gelu, approximate=False), "gelu_tanh": partial(jax.nn.gelu, approximate=True),
        "logsigmoid": jax.nn.log_sigmoid, "softsign": jax.nn.soft_sign,
    }.get(name) or getattr(jax.nn, name, None)  # fmt: skip
    if name in PAIRS:
        function = jax.jit({"add": jax.numpy.add, "mul": jax.numpy.multiply}[name])
        return lambda x, dy: partial(_blocking, function, jax.device_put(x), jax.device_put(dy)), np.asarray
    if found is None or gradient or name in ("hardshrink", "softshrink", "threshold"):
        raise Unsupported
    function = jax.jit(partial(found, axis=dim) if dim is not None else found)

    def make(x, dy):
        return partial(_blocking, function, jax.device_put(x))

    return make, np.asarray


def _blocking(function, *arrays):
    return function(*arrays).block_until_ready()
