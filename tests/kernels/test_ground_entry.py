"""How Python calls a kernel: what it refuses, and that it holds on to nothing."""

import gc
import sys

import numpy as np
import pytest

import fastnn_kernels as kernels
from fastnn_kernels.cpu.activation import FUNCTIONS

F4 = np.dtype(np.float32)
KERNEL = FUNCTIONS["leaky_relu"].forward_kernel
WANTED = "must be a contiguous array of float32 of rank 1"


def array(*shape, dtype=np.float32):
    return np.ones(shape, dtype)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((array(3), array(3), 0.1, 3), "takes 5 arguments"),
        ((array(3), array(3), 0.1, 3, 1, 1), "takes 5 arguments"),
        ((array(3), [1.0, 2.0, 3.0], 0.1, 3, 1), f"argument 2 {WANTED}"),
        ((array(3, dtype=np.float64), array(3), 0.1, 3, 1), f"argument 1 {WANTED}"),
        ((array(3, dtype=np.int32), array(3), 0.1, 3, 1), f"argument 1 {WANTED}"),
        ((array(3, 1), array(3), 0.1, 3, 1), f"argument 1 {WANTED}"),
        ((array(6)[::2], array(3), 0.1, 3, 1), f"argument 1 {WANTED}"),
        ((array(3), array(3), "steep", 3, 1), "argument"),
        ((array(3), array(3), 0.1, None, 1), "argument"),
    ],
)
def test_wrong_arguments_are_refused(arguments, complaint):
    with pytest.raises(TypeError, match=complaint):
        KERNEL[F4](*arguments)


def test_subclasses_and_new_dtype_objects_are_arrays(tmp_path):
    np.save(tmp_path / "x.npy", -array(4))
    mapped, out = np.load(tmp_path / "x.npy", mmap_mode="r"), array(4)
    KERNEL[F4](mapped, out, 0.5, 4, 1)
    assert type(mapped) is np.memmap and (out == -0.5).all()
    x = -array(4).astype(np.dtype(">f4").newbyteorder())
    assert x.dtype == F4
    KERNEL[F4](x, out, 0.25, 4, 1)
    assert (out == -0.25).all()


def test_nothing_is_kept():
    x, out = array(50, 2), array(50, 2)
    gc.collect()  # what other tests left behind
    counts = sys.getrefcount(x), sys.getrefcount(out), sys.getrefcount(None)
    for _ in range(100):
        kernels.leaky_relu(x)
        kernels.leaky_relu(x, out=out)
        kernels.leaky_relu_backward(x, out, out=out)
        KERNEL[F4](x[:, 0].copy(), out[:, 0].copy(), 0.1, 50, 1)
        with pytest.raises(TypeError):
            kernels.leaky_relu(x, "steep", out=out)
    gc.collect()
    assert np.abs(np.subtract((sys.getrefcount(x), sys.getrefcount(out), sys.getrefcount(None)), counts)).max() < 50


def test_the_function_gives_what_it_was_given_to_write_to():
    x = -array(3, 4)
    out = array(3, 4)
    assert kernels.leaky_relu(x, out=out) is out and kernels.leaky_relu(x, out=x) is x
    halves = -array(6, 4)
    with pytest.raises(ValueError, match="leaky_relu: out overlaps an input"):
        kernels.leaky_relu(halves[:4], out=halves[2:])
    with pytest.raises(ValueError, match="leaky_relu: out overlaps an input"):
        kernels.leaky_relu(halves[:4], out=halves[:4])
    kernels.leaky_relu(halves[:3], out=halves[3:])
    np.testing.assert_array_equal(halves[3:], np.float32(-0.01))
