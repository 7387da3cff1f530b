"""A back end in one file: arrays of its own class, computed by the reference plans through the public functions."""

import numpy as np
import pytest

import fastnn_kernels as kernels
from fastnn_kernels.ground.backend import Backend, planner_of, register, unregister
from fastnn_kernels.ground.operation import operations

RNG = np.random.default_rng(3)
HAS = {"relu", "softmax", "matmul", "conv2d", "conv2d_backward", "relu_backward", "softmax_backward"}


class Tagged:
    """An array that only the toy back end can compute with."""

    def __init__(self, values):
        self.values = values

    shape = property(lambda self: self.values.shape)
    strides = property(lambda self: self.values.strides)
    dtype = property(lambda self: self.values.dtype)


class Toy(Backend):
    def __init__(self):
        super().__init__("toy", Tagged)
        self.planned = []

    def plan(self, operation, problem):
        if operation not in HAS:
            return super().plan(operation, problem)
        self.planned.append(operation)
        compute = planner_of("reference", operation, operations()[operation].module)(problem)

        def run(out, *arguments):
            y = compute(out, *[x.values if isinstance(x, Tagged) else x for x in arguments])
            return tuple(None if part is None else Tagged(part) for part in y) if type(y) is tuple else Tagged(y)

        return run


@pytest.fixture
def toy():
    backend = Toy()
    register(backend)
    yield backend
    unregister(backend)
    for operation in operations().values():
        operation.cache_clear()


def draw(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def same(tagged, expected):
    assert type(tagged) is Tagged
    np.testing.assert_allclose(tagged.values, expected, rtol=2e-5, atol=2e-5)


def test_operations_and_their_gradients_run_on_it(toy):
    x, w, dy, image, filters = draw(4, 5), draw(5, 3), draw(4, 5), draw(2, 3, 6, 6), draw(4, 3, 3, 3)
    t = Tagged
    same(kernels.relu(t(x)), kernels.relu(x))
    same(kernels.relu_backward(t(dy), t(x)), kernels.relu_backward(dy, x))
    same(kernels.softmax(t(x), 0), kernels.softmax(x, 0))
    y = kernels.softmax(x)
    same(kernels.softmax_backward(t(dy), t(y)), kernels.softmax_backward(dy, y))
    same(kernels.matmul(t(x), t(w)), kernels.matmul(x, w))
    out = kernels.conv2d(image, filters, padding=1)
    same(kernels.conv2d(t(image), t(filters), padding=1), out)
    tagged = kernels.conv2d_backward(t(out), t(image), t(filters), padding=1)
    for got, expected in zip(tagged, kernels.conv2d_backward(out, image, filters, padding=1), strict=True):
        same(got, expected)


def test_a_problem_is_planned_once(toy):
    x = Tagged(draw(4, 5))
    kernels.softmax(x), kernels.softmax(x), kernels.softmax(x, 0)
    assert toy.planned == ["softmax", "softmax"]


def test_checks_are_those_of_all_back_ends(toy):
    with pytest.raises(ValueError, match=r"softmax: dim must be from -2 to 1 for 2 dimensions, got 2"):
        kernels.softmax(Tagged(draw(4, 5)), 2)


def test_what_it_lacks_is_named(toy):
    with pytest.raises(NotImplementedError, match="log_softmax: the back end 'toy' does not have it"):
        kernels.log_softmax(Tagged(draw(4, 5)))


def test_back_ends_are_not_mixed(toy):
    with pytest.raises(
        TypeError, match="matmul: a is an array of the back end 'toy', but b is numpy.ndarray; move both"
    ):
        kernels.matmul(Tagged(draw(4, 5)), draw(5, 3))


def test_numpy_arrays_do_not_notice(toy):
    x = draw(4, 5)
    assert type(kernels.relu(x)) is np.ndarray and type(kernels.softmax(x)) is np.ndarray


def test_use_is_for_the_block_and_known_names():
    x = draw(3, 4)
    with kernels.use("reference"):
        inside = kernels.softmax(x), kernels.relu(x)
        with kernels.use("cpu"):
            assert kernels.softmax(x).tobytes() == CPU(x)
    np.testing.assert_allclose(inside[0], kernels.softmax(x), rtol=1e-5)
    with pytest.raises(ValueError, match="use: backend must be one of cpu, reference, got 'gpu'"):
        kernels.use("gpu").__enter__()


def CPU(x):
    return kernels.softmax(x).tobytes()
