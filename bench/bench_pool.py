"""Max and average pooling with the shapes of real networks, forwards and backwards.

fastnn and PyTorch compute both on planes (NCHW) and on pixels (channels-last); ONNX Runtime, OpenVINO and ncnn take
planes and have no gradients. What counts is bytes: those of the image and of the result, once each; for the gradient of
the maximum the image, the gradient and the result.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import cache, partial
from math import prod

import numpy as np

from bench import engines
from bench.harness import Calls, Case, Unsupported
from bench.layers import Layer, centred, pixels, spots, table, wrong

LIBRARIES = ("torch", "onnxruntime", "openvino", "ncnn")
TOLERANCE = 2.0  # in eps * sqrt(terms of a sum), of the largest result
LARGE = 8 << 20  # bytes from which on memory decides


def _case(layer, direction, short):
    numbers = prod(layer.x) + prod(layer.y) + (prod(layer.x) if (direction, layer.kind) == ("backward", "max") else 0)
    bars = {**dict.fromkeys(LIBRARIES, 1.0), "torch": 2.0}
    if 4 * numbers >= LARGE:
        bars |= {"peak": 0.8}
    params = {"layer": asdict(layer), "direction": direction}
    group = f"{layer.kind} {direction}"
    return Case("pool", group, str(layer), params, 4.0 * numbers, "byte", 4 * numbers, bars=bars, short=short)


CASES = [_case(*row) for row in table("pool", ("backward",))]
CASES.sort(key=lambda case: case.group)


def verify(case, summaries):
    """Complain about results that are further from float64 than rounding explains; maxima must be exact."""
    layer, direction = Layer(**case.params["layer"]), case.params["direction"]
    allowed = TOLERANCE * np.finfo(np.float32).eps * prod(layer.kernel) ** 0.5
    return wrong(summaries, _expected(layer, direction), 0.0 if case.group == "max forward" else allowed)


def _inputs(layer, number=0):
    """Return images and the gradient of their pooling: the same in every process."""
    rng = np.random.default_rng(number)
    return centred(rng, layer.x), centred(rng, layer.y)


def _ends(layer):
    return sorted({0, layer.x[0] - 1})  # the first and the last image are checked


@cache
def _expected(layer, direction):
    from tests.reference import pool

    x, dy = (a[_ends(layer)] for a in _inputs(layer))
    axes = pool.sliding(x.shape[2:], layer.kernel, layer.stride, layer.padding)
    if layer.kind == "max":
        y, places = pool.max_pool(x, axes)
        return spots(y if direction == "forward" else pool.scatter(dy, places, x.shape))
    if direction == "forward":
        return spots(pool.avg_pool(x, axes))
    return spots(pool.avg_pool_backward(dy, x.shape, axes))


def build(library, case, threads):
    """Build the case in the process of one library."""
    layer, direction = Layer(**case.params["layer"]), case.params["direction"]
    makers, to_numpy = globals()[f"_build_{library}"](layer, direction, threads)
    sets = [_inputs(layer, number) for number in range(1 if case.footprint > LARGE else 2)]
    made = {}
    for variant, make in makers.items():
        calls = [make(*arrays) for arrays in sets]
        result = to_numpy(calls[0]())
        good = result.shape == (layer.y if direction == "forward" else layer.x) and result.dtype == np.float32
        made[variant] = Calls(calls, spots(result[_ends(layer)]).tolist() if good else [])
    return made


def _build_fastnn(layer, direction, threads):
    import fastnn_kernels as kernels

    name = f"{layer.kind}_pool{layer.rank}d"
    window = layer.kernel, layer.stride, layer.padding

    def maker(layout):
        def make(x, dy):
            if direction == "forward":
                return partial(getattr(kernels, name), layout(x), *window)
            x, dy = layout(x), layout(dy)
            if layer.kind == "avg":
                return partial(kernels.avg_pool_backward, layer.rank, dy, x.shape, (*window, False, True, None))
            _, indices = getattr(kernels, name)(x, *window, return_indices="compact")
            options = {"indices": indices, "check_indices": False}
            return partial(kernels.max_pool_backward, layer.rank, dy, x, (*window, 1, False), **options)

        return make

    return {"": maker(lambda x: x), "channels_last": maker(pixels)}, np.asarray


def _build_torch(layer, direction, threads):
    import torch

    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    aten, window = torch.ops.aten, (layer.kernel, (layer.stride,) * layer.rank, (layer.padding,) * layer.rank)

    def maker(memory):
        def make(x, dy):
            x, dy = (torch.from_numpy(a).to(memory_format=memory) for a in (x, dy))
            if layer.kind == "avg" and direction == "forward":
                return partial(aten.avg_pool2d, x, *window)
            if layer.kind == "avg":
                return partial(aten.avg_pool2d_backward, dy, x, *window, False, True, None)
            if direction == "forward":
                return partial(torch.max_pool2d, x, *window)
            _, places = aten.max_pool2d_with_indices(x, *window)
            return partial(aten.max_pool2d_with_indices_backward, dy, x, *window, (1,) * layer.rank, False, places)

        return make

    makers = {"": maker(torch.contiguous_format), "channels_last": maker(torch.channels_last)}
    return makers, lambda y: y.contiguous().numpy()


def _onnx(engine, to_numpy, layer, direction, threads):
    if direction != "forward":
        raise Unsupported

    def make(x, dy):
        attributes = {"kernel_shape": layer.kernel, "strides": [layer.stride] * layer.rank}
        attributes |= {"pads": [layer.padding] * 2 * layer.rank}
        name = "MaxPool" if layer.kind == "max" else "AveragePool"
        return engine(engines.onnx_model(name, {"x": x}, layer.y, **attributes), {"x": x}, threads)

    return {"": make}, to_numpy


_build_onnxruntime = partial(_onnx, engines.onnxruntime, engines.onnxruntime_result)
_build_openvino = partial(_onnx, engines.openvino, engines.openvino_result)


def _build_ncnn(layer, direction, threads):
    if direction != "forward":
        raise Unsupported
    parameters = {0: int(layer.kind == "avg"), 1: layer.kernel[0], 2: layer.stride, 3: layer.padding, 5: 1}

    def make(x, dy):
        return engines.ncnn("Pooling", parameters, x, None, threads)

    return {"": make}, engines.ncnn_result
