"""A single layer in ONNX Runtime and OpenVINO (both from one ONNX model) and in ncnn (from its own format).

Each gets its weights when the layer is loaded and packs them then, computes in float32 and nothing less, and is set up
for the least latency with a given number of threads. Images go in and come out as plain arrays: an engine that computes
in blocks of channels turns them around at both ends, which within a network it would do once.

Every engine returns the call that is timed; `..._result` makes an array of what that returns.
"""

from __future__ import annotations

import tempfile
from functools import cache, partial

import numpy as np


def onnx_model(operation: str, inputs: dict, shape, weights: dict | None = None, **attributes) -> bytes:
    """Return a model of one operation on named inputs and constant weights, whose output has the given shape."""
    from onnx import checker, helper, numpy_helper
    from onnx.helper import np_dtype_to_tensor_dtype as kind

    weights = weights or {}
    dtype = next(iter(inputs.values())).dtype
    graph = helper.make_graph(
        [helper.make_node(operation, [*inputs, *weights], ["y"], **attributes)],
        "layer",
        [helper.make_tensor_value_info(name, kind(x.dtype), x.shape) for name, x in inputs.items()],
        [helper.make_tensor_value_info("y", kind(dtype), shape)],
        [numpy_helper.from_array(np.ascontiguousarray(w), name) for name, w in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    checker.check_model(model)
    return model.SerializeToString()


@cache
def _session_options(threads):
    import onnxruntime as ort

    # one pool for all sessions: with one each, their spinning threads fight for the cores (1.0 ms became 1.4)
    ort.set_global_thread_pool_sizes(threads, 1)
    options = ort.SessionOptions()
    options.use_per_session_threads = False
    return options


def onnxruntime(model: bytes, inputs: dict, threads: int):
    """Run an ONNX model in ONNX Runtime."""
    import onnxruntime as ort

    options = _session_options(threads)
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for name, x in inputs.items():
        binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(x))
    binding.bind_output("y", "cpu")
    return partial(_run, session, binding)


def _run(session, binding):
    session.run_with_iobinding(binding)
    return binding


def onnxruntime_result(binding) -> np.ndarray:
    """Return the result of a call as an array."""
    return binding.copy_outputs_to_cpu()[0]


@cache
def _core():
    import openvino

    return openvino.Core()


def openvino(model: bytes, inputs: dict, threads: int):
    """Run an ONNX model in OpenVINO, whose threads are as free to move as everybody else's."""
    from openvino import Tensor

    options = {
        "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False,
    }  # fmt: skip
    request = _core().compile_model(_core().read_model(model), "CPU", options).create_infer_request()
    for number, x in enumerate(inputs.values()):
        request.set_input_tensor(number, Tensor(x, shared_memory=True))
    call = partial(request.infer, share_outputs=True)
    call.images = inputs  # the tensors only point to them
    return call


def openvino_result(results) -> np.ndarray:
    """Return the result of a call as an array of its own."""
    return np.array(results[0])


def ncnn(layer: str, parameters: dict, x: np.ndarray, weights: np.ndarray | None, threads: int):
    """Run a layer of ncnn, by its name and numbered parameters, on images (B, C, ...); all of Winograd's forms on."""
    import ncnn

    net = ncnn.Net()
    for name in dir(net.opt):
        if name.startswith("use_") and any(kind in name for kind in ("fp16", "bf16", "int8", "vulkan")):
            setattr(net.opt, name, False)
    net.opt.num_threads = threads
    numbers = " ".join(f"{key}={value}" for key, value in parameters.items())
    bad = net.load_param_mem(f"7767517\n2 2\nInput x 0 1 x\n{layer} layer 1 1 x y {numbers}\n")
    if weights is None:
        bad = bad or net.load_model(ncnn.DataReaderFromEmpty())
    else:
        with tempfile.NamedTemporaryFile() as file:
            file.write(bytes(4) + weights.tobytes())  # four zeros: what follows is float32
            file.flush()
            bad = bad or net.load_model(file.name)
    if bad:
        raise RuntimeError(f"ncnn cannot load {layer} {numbers}")
    images = ncnn.Mat(x, 0)  # axis 0 is the batch

    def call():
        extractor = net.create_extractor()
        extractor.input("x", images)
        return extractor.extract("y")

    call.images = x  # the Mat only points to it
    return call


def ncnn_result(extracted) -> np.ndarray:
    """Return the result of a call as an array of its own."""
    code, images = extracted
    if code:
        raise RuntimeError(f"ncnn cannot compute this: {code}")
    return np.stack([np.array(images.batch(number)) for number in range(images.n)])
