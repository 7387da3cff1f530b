"""Convolutions with the shapes of real networks, forwards and backwards.

fastnn and PyTorch compute both on planes (NCHW) and on pixels (channels-last), with weights as they come and with
prepacked ones; ONNX Runtime, OpenVINO and ncnn pack theirs at load, take planes and give planes: where they compute in
blocks of channels they turn images around at both ends, which within a network they do once. Results must be right
within 2 eps sqrt(n) of the largest, for sums of n products, or within 2e-5 where Winograd's transforms apply. NumPy has
no convolution, and JAX was never the fastest.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import cache, partial
from math import prod

import numpy as np

from bench import engines
from bench.harness import Calls, Case, Unsupported
from bench.layers import Layer, centred, spots, table, wrong

LIBRARIES = ("torch", "onnxruntime", "openvino", "ncnn")
RIVALS = (*LIBRARIES, "torch prepacked")
DIRECTIONS = ("forward", "dx", "dweight")
TOLERANCE = 2.0  # in eps * sqrt(terms of a sum), of the largest result
WINOGRAD = 2e-5  # of the largest result, where Winograd's transforms apply and cost some bits; for every library
CACHED = 2 << 20  # numbers in images from which on a second set of them would not be cached either
BARS = {  # families of layers, as the page shows them, and how many times faster than its rivals fastnn should be
    "3x3": {"onnxruntime": 2.0},
    "large, strided": {},
    "1x1": dict.fromkeys(RIVALS, 1.05),
    "depthwise": dict.fromkeys(RIVALS, 1.5),
    "few channels": dict.fromkeys(RIVALS, 1.2),
    "small images": dict.fromkeys(RIVALS, 1.2),
    "conv1d": dict.fromkeys(RIVALS, 1.2),
    "conv3d": dict.fromkeys(RIVALS, 1.2),
    "transposed": dict.fromkeys(RIVALS, 1.2),
    "dx": {"torch": 1.2},
    "dweight": {"torch": 1.2},
}


def family(layer: Layer) -> str:
    """Return the family of layers that are computed, and drawn, alike."""
    if layer.transposed:
        return "transposed"
    if layer.rank != 2:
        return f"conv{layer.rank}d"
    if layer.groups > 1:
        return "depthwise"
    if layer.x[1] <= 3:
        return "few channels"
    if layer.x[0] >= 64 and layer.x[2] <= 28:
        return "small images"
    if layer.kernel == (1, 1):
        return "1x1"
    return "3x3" if _winograd(layer) else "large, strided"


def _winograd(layer):
    return layer.kernel == (3, 3) and layer.stride == layer.dilation == layer.groups == 1


def _case(layer, direction, short):
    group = family(layer) if direction == "forward" else direction
    work, unit, footprint = layer.flop, "flop", 0
    if family(layer) == "depthwise":  # a few operations for each number: memory decides
        footprint = 4 * (prod(layer.x) + prod(layer.w) + prod(layer.y))
        work, unit = float(footprint), "byte"
    params, bars = {"layer": asdict(layer), "direction": direction}, dict.fromkeys(RIVALS, 1.0) | BARS[group]
    return Case("conv", group, str(layer), params, work, unit, footprint, bars=bars, short=short)


CASES = [_case(*row) for row in table("conv", DIRECTIONS[1:])]
CASES.sort(key=lambda case: list(BARS).index(case.group))


def inputs(layer, direction):
    """Return the images, weight and gradient that a direction needs, None for the third: the same in every process."""
    rng = np.random.default_rng(0)
    shapes = {"x": layer.x, "w": layer.w, "dy": layer.y}
    needed = {"forward": "x w", "dx": "w dy", "dweight": "x dy"}[direction].split()
    return [centred(rng, shapes[name]) if name in needed else None for name in shapes]


def _ends(count, number):
    return sorted({*range(number), *range(count - number, count)} & set(range(count)))


def _checked(layer, direction, name, array):
    """Return what is checked of x, w or dy, or of a result with the shape of one: some images, filters and channels."""
    channels = {"x": _ends(layer.x[1], 4), "dy": _ends(layer.y[1], 4)}
    depthwise, summed = layer.groups > 1, {"forward": "x", "dx": "dy"}.get(direction)
    if summed and not depthwise:
        channels[summed] = slice(None)
    if name == "w":
        first, second = ("x", "dy") if layer.transposed else ("dy", "x")
        array = array[channels[first]]
        return array if depthwise else array[:, channels[second]]
    images = slice(None) if direction == "dweight" else _ends(layer.x[0], 1)
    return array[images][:, channels[name]]


def verify(case, summaries):
    """Complain about results that are further from float64 than rounding, or Winograd's transforms, explain."""
    layer, direction = Layer(**case.params["layer"]), case.params["direction"]
    expected = _expected(layer, direction)
    filters, channels, *_ = layer.w
    each = prod(layer.w) / filters, prod(layer.w) / channels  # numbers of a filter, and behind a channel
    terms = layer.flop / 2 / prod(layer.w) if direction == "dweight" else each[(direction == "dx") != layer.transposed]
    allowed = TOLERANCE * np.finfo(np.float32).eps * terms**0.5
    return wrong(summaries, expected, max(allowed, WINOGRAD) if _winograd(layer) else allowed)


@cache
def _expected(layer, direction):
    """Return the right answer in float64 at the checked places."""
    from tests.reference import conv_nd

    arrays = zip(("x", "w", "dy"), inputs(layer, direction), (layer.x, layer.w, layer.y), strict=True)
    x, w, dy = (
        _checked(layer, direction, name, np.broadcast_to(np.float32(0), shape) if array is None else array)
        for name, array, shape in arrays
    )
    more = _window(layer) | {"groups": x.shape[1] if layer.groups > 1 else 1}
    forward, backward = conv_nd.convolve, conv_nd.convolve_backward
    if layer.transposed:
        forward, backward = conv_nd.convolve_transpose, conv_nd.convolve_transpose_backward
    if direction == "forward":
        return spots(forward(x, w, None, **more))
    return spots(backward(dy, x, w, **more)[DIRECTIONS.index(direction) - 1])


def _window(layer):
    return {name: getattr(layer, name) for name in ("stride", "padding", "dilation", "groups")}


def build(library, case, threads):
    """Build the case in the process of one library."""
    layer, direction = Layer(**case.params["layer"]), case.params["direction"]
    makers, to_numpy = globals()[f"_build_{library}"](layer, direction, threads)
    sets = [inputs(layer, direction)]
    if prod(layer.x) + prod(layer.y) < CACHED:  # weights stay, images change
        x, w, dy = sets[0]
        sets.append((None if x is None else x[..., ::-1].copy(), w, None if dy is None else dy[..., ::-1].copy()))
    name, shape = {"forward": ("dy", layer.y), "dx": ("x", layer.x), "dweight": ("w", layer.w)}[direction]
    made = {}
    for variant, make in makers.items():
        calls = [make(*arrays) for arrays in sets]
        result = to_numpy(calls[0]())
        good = result.shape == shape and result.dtype == np.float32
        made[variant] = Calls(calls, spots(_checked(layer, direction, name, result)).tolist() if good else [])
    return made


def _build_fastnn(layer, direction, threads):
    import fastnn_kernels as kernels
    from fastnn_kernels.ground.memory import empty

    def own(x):
        """Copy images channels-last into the library's own memory, as PyTorch's copies are and results of layers."""
        made = np.moveaxis(empty((x.shape[0], *x.shape[2:], x.shape[1]), x.dtype), -1, 1)
        made[...] = x
        return made

    name, more = f"conv{'_transpose' * layer.transposed}{layer.rank}d", _window(layer)
    forward, backward = getattr(kernels, name), getattr(kernels, f"{name}_backward")

    def maker(layout, prepared=False):
        def make(x, w, dy):
            x, dy = (None if a is None else layout(a) for a in (x, dy))
            w = getattr(kernels, f"prepare_{name}")(w, layer.x, **more) if prepared else w
            if direction == "forward":
                return partial(forward, x, w, None, **more)
            needs = direction == "dx", direction == "dweight", False
            x = layout(np.empty(layer.x, np.float32)) if x is None else x  # only asked for its shape
            w = np.empty(layer.w, np.float32) if w is None else w
            return partial(backward, dy, x, w, **more, needs=needs)

        return make

    def to_numpy(y):
        return y if direction == "forward" else y[DIRECTIONS.index(direction) - 1]

    layouts = {"": lambda x: x, "channels_last": own}
    made = {key: maker(layout) for key, layout in layouts.items()}
    if direction == "forward":
        made |= {f"prepared {key}".strip(): maker(layout, prepared=True) for key, layout in layouts.items()}
    return made, to_numpy


def _build_torch(layer, direction, threads):
    import torch

    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    stride, padding, dilation = ([n] * layer.rank for n in (layer.stride, layer.padding, layer.dilation))
    more = stride, padding, dilation, layer.transposed, [0] * layer.rank, layer.groups

    def maker(memory, prepacked=False):
        def make(x, w, dy):
            x, w, dy = (None if a is None else torch.from_numpy(a).to(memory_format=memory) for a in (x, w, dy))
            if prepacked:
                pack = getattr(torch._C._nn, f"mkldnn_reorder_conv{layer.rank}d_weight")
                w = pack(w.to_mkldnn(), padding, stride, dilation, layer.groups, layer.x)
                run = torch.ops.mkldnn._convolution_pointwise
                return partial(run, x, w, None, padding, stride, dilation, layer.groups, "none", [], "")
            if direction == "forward":
                return partial(torch.ops.aten.convolution, x, w, None, *more)
            x = torch.empty(layer.x).to(memory_format=memory) if x is None else x  # only asked for its shape
            w = torch.empty(layer.w).to(memory_format=memory) if w is None else w
            mask = [direction == "dx", direction == "dweight", False]
            return partial(torch.ops.aten.convolution_backward, dy, x, w, None, *more, mask)

        return make

    def to_numpy(y):
        y = y if direction == "forward" else y[DIRECTIONS.index(direction) - 1]
        return y.contiguous().numpy()

    layouts = {"": torch.contiguous_format}
    if layer.rank > 1:
        layouts["channels_last"] = {2: torch.channels_last, 3: torch.channels_last_3d}[layer.rank]
    made = {name: maker(memory) for name, memory in layouts.items()}
    if direction == "forward" and layer.rank > 1 and not layer.transposed:
        made |= {f"prepacked {name}".strip(): maker(memory, prepacked=True) for name, memory in layouts.items()}
    return made, to_numpy


def _onnx(engine, to_numpy, layer, direction, threads):
    if direction != "forward":
        raise Unsupported

    def make(x, w, dy):
        attributes = {"pads": [layer.padding] * 2 * layer.rank, "group": layer.groups}
        attributes |= {"strides": [layer.stride] * layer.rank, "dilations": [layer.dilation] * layer.rank}
        name = "ConvTranspose" if layer.transposed else "Conv"
        return engine(engines.onnx_model(name, {"x": x}, layer.y, {"w": w}, **attributes), {"x": x}, threads)

    return {"": make}, to_numpy


_build_onnxruntime = partial(_onnx, engines.onnxruntime, engines.onnxruntime_result)
_build_openvino = partial(_onnx, engines.openvino, engines.openvino_result)


def _build_ncnn(layer, direction, threads):
    if direction != "forward":
        raise Unsupported
    name = "Deconvolution" if layer.transposed else "Convolution"
    name += {1: "1D", 2: "DepthWise" * (layer.groups > 1), 3: "3D"}[layer.rank]
    parameters = {0: layer.filters, 1: layer.kernel[0], 2: layer.dilation, 3: layer.stride, 4: layer.padding}
    parameters |= {6: prod(layer.w)} | ({7: layer.groups} if layer.groups > 1 else {})

    def make(x, w, dy):
        w = w.swapaxes(0, 1) if layer.transposed else w
        return engines.ncnn(name, parameters, x, w, threads)

    return {"": make}, engines.ncnn_result
