"""Pictures made larger, smaller, padded, or with their pixels and channels in other places: layers of real networks.

fastnn and PyTorch compute all of them on planes (NCHW) and on pixels (channels-last). What counts is bytes: those of
the image and of the result, once each, whatever a method needs in between.
"""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass
from functools import cache, partial
from math import prod

import numpy as np

from bench.harness import Calls, Case
from bench.layers import FOLDER, centred, pixels, spots, wrong

LIBRARIES = ("torch",)
LARGE = 8 << 20  # bytes from which on memory decides
INTERPOLATIONS = ("nearest", "bilinear", "bicubic")
PADDINGS = ("constant", "reflect", "replicate", "circular")
TOLERANCE = 2.0  # in eps times the longest side, of the largest result: PyTorch's positions are float32


@dataclass(frozen=True)
class Layer:
    """An operation on images x (B, C, H, W); argument: the new size, the padding, a factor, groups, or a window."""

    network: str
    operation: str
    x: tuple[int, ...]
    argument: int

    @property
    def y(self) -> tuple[int, ...]:
        """The result's shape."""
        (b, c, h, w), n = self.x, self.argument
        return {
            **dict.fromkeys((*INTERPOLATIONS, "adaptive avg", "adaptive max"), (b, c, n, n)),
            **dict.fromkeys(PADDINGS, (b, c, h + 2 * n, w + 2 * n)),
            "pixel shuffle": (b, c // n**2, h * n, w * n),
            "channel shuffle": self.x,
            "unfold": (b, c * n * n, h * w),
            "max unpool": (b, c, h * n, w * n),
        }[self.operation]

    def __str__(self) -> str:
        b, c, h, w = self.x
        size = f"{h}" if h == w else f"{h}x{w}"
        return f"{self.network} {self.operation} {self.argument} {c} @{size}, batch {b}"


def _cases():
    for path in sorted(FOLDER.glob("*.toml")):
        network = tomllib.loads(path.read_text(encoding="utf-8"))
        for row in network.get("resize", ()):
            for batch in row.get("batches", [1]):
                layer = Layer(network["network"], row["operation"], (batch, *row["input"]), row["argument"])
                kind = "interpolation" if layer.operation in INTERPOLATIONS else "padding"
                kind = kind if layer.operation in (*INTERPOLATIONS, *PADDINGS) else "places"
                for direction in row.get("directions", ["forward"]):
                    numbers = prod(layer.x) + prod(layer.y)
                    params, name = {"layer": asdict(layer), "direction": direction}, f"{kind} {direction}"
                    short = row.get("short", True)
                    yield Case(
                        "resize", name, str(layer), params, 4.0 * numbers, "byte", 4 * numbers,
                        bars={"torch": 2.0}, short=short, traffic="copy",
                    )  # fmt: skip


CASES = sorted(_cases(), key=lambda case: case.group)


def verify(case, summaries):
    """Complain about results that are further from NumPy's than rounding explains."""
    layer = _layer(case)
    allowed = TOLERANCE * np.finfo(np.float32).eps * max(*layer.x[2:], *layer.y[2:])
    return wrong(summaries, _expected(layer, case.params["direction"]), allowed)


def _layer(case):
    fields = case.params["layer"]
    return Layer(**{**fields, "x": tuple(fields["x"])})


def _input(layer, direction, number=0):
    return centred(np.random.default_rng(number), layer.x if direction == "forward" else layer.y)


@cache
def _places(layer):
    """Return where a max pooling might have found its values: in each square of a larger image."""
    b, c, h, w = layer.x
    rows, columns = np.random.default_rng(9).integers(0, layer.argument, (2, b, c, h, w))
    rows += layer.argument * np.arange(h)[:, None]
    return (rows * w + np.arange(w)) * layer.argument + columns


@cache
def _expected(layer, direction):
    """Return spots of the first and the last image."""
    from tests.reference import pool, resize

    ends = sorted({0, layer.x[0] - 1})
    x, n, operation = _input(layer, direction)[ends], layer.argument, layer.operation
    if operation in INTERPOLATIONS:
        matrices = [resize.matrix(size, n, operation, False) for size in layer.x[2:]]
        return spots(resize.interpolate(x, matrices if direction == "forward" else [m.T for m in matrices]))
    if operation in PADDINGS:
        mode = {"replicate": "edge", "circular": "wrap"}.get(operation, operation)
        around = ((n, n), (n, n))
        if direction == "forward":
            return spots(np.pad(x, ((0, 0), (0, 0), *around), mode))
        dx = np.zeros((len(ends), *layer.x[1:]))
        sources = [np.pad(np.arange(size), pads, mode) for size, pads in zip(layer.x[2:], around, strict=True)]
        np.add.at(dx, (slice(None), slice(None), sources[0][:, None], sources[1]), x)
        return spots(dx)
    if operation == "pixel shuffle":
        return spots(np.stack([resize.pixel_shuffle(image, n) for image in x]))
    if operation == "channel shuffle":
        return spots(x[:, np.arange(x.shape[1]).reshape(n, -1).T.ravel()])
    if operation == "unfold":
        padded = np.pad(x, ((0, 0), (0, 0), (n // 2, n // 2), (n // 2, n // 2)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (n, n), (2, 3))
        return spots(windows.transpose(0, 1, 4, 5, 2, 3).reshape(len(ends), *layer.y[1:]))
    if operation == "max unpool":
        return spots(pool.scatter(x, _places(layer)[ends], (len(ends), *layer.y[1:])))
    axes = pool.adaptive(layer.x[2:], (n, n))
    return spots(pool.max_pool(x, axes)[0] if operation == "adaptive max" else pool.avg_pool(x, axes))


def build(library, case, threads):
    """Build the case in the process of one library."""
    layer, direction = _layer(case), case.params["direction"]
    makers, to_numpy = globals()[f"_build_{library}"](layer, direction, threads)
    sets = [_input(layer, direction, number) for number in range(1 if case.footprint > LARGE else 2)]
    made = {}
    for variant, make in makers.items():
        calls = [make(x) for x in sets]
        result = to_numpy(calls[0]())
        good = result.shape == (layer.y if direction == "forward" else layer.x) and result.dtype == np.float32
        made[variant] = Calls(calls, spots(result[sorted({0, layer.x[0] - 1})]).tolist() if good else [])
    return made


def _build_fastnn(layer, direction, threads):
    import fastnn_kernels as kernels

    n, operation = layer.argument, layer.operation

    def make(layout, x):
        x = layout(x)
        if direction == "backward":
            if operation in INTERPOLATIONS:
                return partial(kernels.interpolate_backward, x, layer.x, n, mode=operation)
            return partial(kernels.pad_backward, x, layer.x, (n,) * 4, operation)
        if operation in INTERPOLATIONS:
            return partial(kernels.interpolate, x, n, mode=operation)
        if operation in PADDINGS:
            return partial(kernels.pad, x, (n,) * 4, operation)
        if operation == "max unpool":
            return partial(kernels.max_unpool2d, x, layout(_places(layer)), n)
        if operation == "unfold":
            return partial(kernels.unfold, x, n, padding=n // 2)
        name = f"{operation} pool2d".replace("shuffle pool2d", "shuffle").replace(" ", "_")
        return partial(getattr(kernels, name), x, n)

    return {"": partial(make, lambda x: x), "channels_last": partial(make, pixels)}, np.asarray


def _build_torch(layer, direction, threads):
    import torch
    import torch.nn.functional as F

    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    n, operation, aten = layer.argument, layer.operation, torch.ops.aten
    more = () if operation == "nearest" else (False,)

    def make(memory, x):
        x = torch.from_numpy(x)
        x = x.to(memory_format=memory) if x.ndim == 4 else x
        if direction == "backward":
            if operation in INTERPOLATIONS:
                back = getattr(aten, f"upsample_{operation}2d_backward")
                return partial(back, x, [n, n], list(layer.x), *more)
            image = torch.zeros(layer.x).to(memory_format=memory)
            back = {"reflect": aten.reflection_pad2d_backward, "replicate": aten.replication_pad2d_backward}[operation]
            return partial(back, x, image, [n] * 4)
        if operation in INTERPOLATIONS:
            return partial(F.interpolate, x, size=(n, n), mode=operation)
        if operation in PADDINGS:
            return partial(F.pad, x, (n,) * 4, mode=operation)
        if operation == "max unpool":
            return partial(F.max_unpool2d, x, torch.from_numpy(_places(layer)).to(memory_format=memory), n)
        if operation == "unfold":
            return partial(F.unfold, x, n, padding=n // 2)
        name = f"{operation} pool2d".replace("shuffle pool2d", "shuffle").replace(" ", "_")
        return partial(getattr(F, name), x, n)

    makers = {"": partial(make, torch.contiguous_format), "channels_last": partial(make, torch.channels_last)}
    return makers, lambda y: y.contiguous().numpy()
