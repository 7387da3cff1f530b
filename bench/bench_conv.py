"""Convolutions with the shapes of real networks, forwards and backwards.

Every library computes in its best layout: PyTorch and JAX both in NCHW and channels-last (the faster one counts), ONNX
Runtime with weights packed at load.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from bench.harness import Calls, Case, Unsupported

LIBRARIES = ("numpy", "torch", "jax", "onnxruntime")
TOLERANCE = 30.0  # in eps * sqrt(reduction length), of the largest result; Winograd's transforms cost some bits
LAYERS = {  # name: input, weight, stride, padding, groups
    "LeNet 5x5, first": ((64, 1, 28, 28), (12, 1, 5, 5), 1, 2, 1),
    "digits 3x3, second": ((64, 32, 14, 14), (64, 32, 3, 3), 1, 1, 1),
    "ResNet 7x7 s2, first": ((1, 3, 224, 224), (64, 3, 7, 7), 2, 3, 1),
    "ResNet 3x3, 64": ((1, 64, 56, 56), (64, 64, 3, 3), 1, 1, 1),
    "ResNet 3x3 s2, 128": ((1, 128, 28, 28), (256, 128, 3, 3), 2, 1, 1),
    "ResNet 1x1, 256": ((1, 256, 14, 14), (1024, 256, 1, 1), 1, 0, 1),
    "MobileNet depthwise": ((1, 96, 56, 56), (96, 1, 3, 3), 1, 1, 96),
}
DIRECTIONS = {
    "forward": tuple(LAYERS),
    "dx": ("digits 3x3, second", "ResNet 3x3, 64"),
    "dweight": ("LeNet 5x5, first", "digits 3x3, second", "ResNet 3x3, 64"),
}


def _case(direction, name):
    x, w, stride, padding, groups = LAYERS[name]
    size = [(n + 2 * padding - k) // stride + 1 for n, k in zip(x[2:], w[2:], strict=True)]
    flop = 2.0 * x[0] * size[0] * size[1] * int(np.prod(w))
    bars = dict.fromkeys(LIBRARIES, 1.0)
    return Case(
        "conv", direction, f"{name} {x} x {w}", {"name": name, "dy": (x[0], w[0], *size)}, flop, "flop", bars=bars
    )


CASES = [_case(direction, name) for direction, names in DIRECTIONS.items() for name in names]


def verify(case, summaries):
    """Complain about results that are further from float64 than rounding explains."""
    return {name: f"wrong: error {e[0]:.3g}" for name, e in summaries.items() if not e[0] <= TOLERANCE}


def build(library, case, threads):
    """Build the case in the process of one library."""
    layer = LAYERS[case.params["name"]]
    rng = np.random.default_rng(0)
    sets = []
    for _ in range(2):
        shapes = layer[0], layer[1], case.params["dy"]
        sets.append(tuple(rng.standard_normal(shape, np.float32) for shape in shapes))
    sets[1] = (sets[1][0], sets[0][1], sets[1][2])  # weights stay, images change
    makers, to_numpy = globals()[f"_build_{library}"](case.group, layer, threads)
    expected = _expected(case.group, layer, sets[0])
    terms = {"forward": np.prod(layer[1][1:]), "dx": np.prod(layer[1]) / layer[1][1], "dweight": _positions(case)}
    scale = np.finfo(np.float32).eps * np.sqrt(terms[case.group]) * np.abs(expected).max()
    made = {}
    for variant, make in makers.items():
        calls = [make(*arrays) for arrays in sets]
        result = to_numpy(calls[0]())
        made[variant] = Calls(calls, [float(np.abs(result - expected).max() / scale)])
    return made


def _positions(case):
    batch, _, height, width = case.params["dy"]
    return batch * height * width


def _expected(direction, layer, arrays):
    from tests.reference import conv

    (x, w, dy), (_, _, stride, padding, groups) = arrays, layer
    if direction == "forward":
        return conv.conv2d(x, w, None, stride, padding, 1, groups)
    return conv.conv2d_backward(dy, x, w, stride, padding, 1, groups)[0 if direction == "dx" else 1]


def _build_fastnn(direction, layer, threads):
    import fastnn_kernels as kernels

    x_shape, w_shape, stride, padding, groups = layer
    more = (stride, padding, 1, groups)
    if direction == "forward":
        makers = {
            "": lambda x, w, dy: partial(kernels.conv2d, x, w, None, *more),
            "channels_last": lambda x, w, dy: partial(kernels.conv2d, _pixels(x), w, None, *more),
        }
    elif direction == "dx":
        makers = {"": lambda x, w, dy: partial(kernels.conv2d_backward_input, dy, w, x_shape, *more)}
    else:
        makers = {"": lambda x, w, dy: partial(kernels.conv2d_backward_weight, dy, x, w_shape, *more)}
    return makers, np.asarray


def _pixels(x):
    """Lay images out by pixels, channels last, under the same shape."""
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def _build_numpy(direction, layer, threads):
    """Multiply matrices over a view of all windows, as one does with NumPy alone."""
    _, w_shape, stride, padding, groups = layer
    if direction != "forward" or groups > 1:
        raise Unsupported

    def convolve(x, w):
        padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, w_shape[2:], (2, 3))[:, :, ::stride, ::stride]
        return np.tensordot(windows, w, ((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2)

    return {"": lambda x, w, dy: partial(convolve, x, w)}, np.asarray


def _build_torch(direction, layer, threads):
    import torch

    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    _, _, stride, padding, groups = layer

    def maker(memory):
        def make(x, w, dy):
            x, w, dy = (torch.from_numpy(a).to(memory_format=memory) for a in (x, w, dy))
            if direction == "forward":
                return partial(torch.conv2d, x, w, None, stride, padding, 1, groups)
            mask = [direction == "dx", direction == "dweight", False]
            back = partial(
                torch.ops.aten.convolution_backward, dy, x, w, None,
                [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], groups, mask,
            )  # fmt: skip
            return lambda: back()[0 if direction == "dx" else 1]

        return make

    makers = {"": maker(torch.contiguous_format), "channels_last": maker(torch.channels_last)}
    return makers, lambda y: y.contiguous().numpy()


def _build_jax(direction, layer, threads):
    import jax
    from jax import lax

    _, _, stride, padding, groups = layer

    def maker(layout):
        last = layout == "NHWC"

        def convolve(x, w):
            numbers = (layout, "HWIO" if last else "OIHW", layout)
            return lax.conv_general_dilated(
                x, w, (stride, stride), [(padding, padding)] * 2, dimension_numbers=numbers, feature_group_count=groups
            )

        def compute(x, w, dy):
            if direction == "forward":
                y = convolve(x, w)
            elif direction == "dx":
                y = jax.vjp(lambda x: convolve(x, w), x)[1](dy)[0]
            else:
                y = jax.vjp(lambda w: convolve(x, w), w)[1](dy)[0]
            return y

        compute = jax.jit(compute)

        def make(x, w, dy):
            if last:
                x, w, dy = x.transpose(0, 2, 3, 1), w.transpose(2, 3, 1, 0), dy.transpose(0, 2, 3, 1)
            x, w, dy = (jax.device_put(np.ascontiguousarray(a)) for a in (x, w, dy))
            back = {"dweight": (3, 2, 0, 1)}.get(direction, (0, 3, 1, 2)) if last else (0, 1, 2, 3)
            return lambda: (compute(x, w, dy).block_until_ready(), back)

        return make

    return {"": maker("NCHW"), "channels_last": maker("NHWC")}, lambda y: np.asarray(y[0]).transpose(y[1])


def _build_onnxruntime(direction, layer, threads):
    import onnxruntime as ort
    from onnx import TensorProto, helper, numpy_helper

    from bench.bench_matmul import _run_session

    if direction != "forward":
        raise Unsupported
    _, _, stride, padding, groups = layer
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1

    def make(x, w, dy):
        node = helper.make_node("Conv", ["x", "w"], ["y"], strides=[stride] * 2, pads=[padding] * 4, group=groups)
        graph = helper.make_graph(
            [node],
            "convolution",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, dy.shape)],
            [numpy_helper.from_array(w, "w")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        binding = session.io_binding()
        binding.bind_ortvalue_input("x", ort.OrtValue.ortvalue_from_numpy(x))
        binding.bind_output("y", "cpu")
        return partial(_run_session, session, binding)

    return {"": make}, lambda binding: binding.copy_outputs_to_cpu()[0]
