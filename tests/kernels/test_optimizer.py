"""Optimizer kernels: whole trajectories against float64, whatever the length and number of threads."""

import numpy as np
import pytest

import fastnn_kernels as kernels
from fastnn_kernels._parallel import threads
from tests.reference import optimizer as reference

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
SGD = [
    {},
    {"weight_decay": 0.1, "l1": 0.01},
    {"momentum": 0.9},
    {"momentum": 0.9, "dampening": 0.3},
    {"momentum": 0.8, "nesterov": True, "weight_decay": 0.1, "l1": 0.01},
]
ADAM = [{}, {"betas": (0.5, 0.9), "eps": 1e-3}, {"weight_decay": 0.1, "l1": 0.01}]


def draw(count, dtype, steps=6):
    rng = np.random.default_rng(3)
    return rng.normal(size=count).astype(dtype), [rng.normal(size=count).astype(dtype) for _ in range(steps)]


def run_sgd(value, gradients, lr, momentum=0.0, dampening=0.0, **options):
    value = value.copy()
    velocity = np.zeros_like(value) if momentum else None
    for step, gradient in enumerate(gradients):
        kernels.sgd_step(value, gradient, velocity, lr, momentum, dampening if step else 0.0, **options)
    return value


def run_adam(value, gradients, lr, betas=(0.9, 0.999), eps=1e-8, **options):
    value = value.copy()
    mean, square = np.zeros_like(value), np.zeros_like(value)
    for step, gradient in enumerate(gradients, start=1):
        kernels.adam_step(value, gradient, mean, square, step, lr, *betas, eps, **options)
    return value


RULES = [(run_sgd, reference.sgd, o) for o in SGD] + [(run_adam, reference.adam, o) for o in ADAM]
rules = pytest.mark.parametrize("run, expected, options", RULES, ids=[f"{r.__name__}{o}" for r, _, o in RULES])


@DTYPES
@rules
def test_trajectory(run, expected, options, dtype):
    value, gradients = draw(1009, dtype)
    value[:3] = 0  # where l1 has no direction
    exact = expected(value, [g.astype(np.float64) for g in gradients], 0.05, **options)
    result = run(value, gradients, 0.05, **options)
    assert result.dtype == dtype
    np.testing.assert_allclose(result, exact, rtol=reference.rtol(dtype), atol=reference.rtol(dtype) * 0.1)


@rules
def test_same_bits_for_any_number_of_threads(run, expected, options):
    value, gradients = draw(100_003, np.float32, steps=2)
    results = []
    for count in (1, 2, 3, 8, 17):
        with threads(count):
            results.append(run(value, gradients, 0.05, **options))
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 33])
def test_lengths_around_the_vector(count):
    value, gradients = draw(count + 1, np.float32)
    whole = run_adam(value, gradients, 0.1)
    np.testing.assert_allclose(run_adam(value[1:], [g[1:] for g in gradients], 0.1), whole[1:], rtol=1e-6)


def test_bad_buffers():
    p, g = np.zeros(4, np.float32), np.ones(4, np.float32)
    with pytest.raises(TypeError, match="sgd_step: grad must be a float32 array as param is, got float64"):
        kernels.sgd_step(p, g.astype(np.float64), None, 0.1)
    with pytest.raises(TypeError, match="sgd_step: param must be a float32 or float64 array, got int64"):
        kernels.sgd_step(np.zeros(4, int), g, None, 0.1)
    with pytest.raises(ValueError, match=r"adam_step: exp_avg has shape \(3,\) and param \(4,\)"):
        kernels.adam_step(p, g, np.zeros(3, np.float32), p.copy(), 1)
    with pytest.raises(ValueError, match="sgd_step: param must be contiguous and writable"):
        kernels.sgd_step(np.zeros(8, np.float32)[::2], g, None, 0.1)
    with pytest.raises(ValueError, match="adam_step: step counts from 1, got 0"):
        kernels.adam_step(p, g, p.copy(), p.copy(), 0)
    with pytest.raises(ValueError, match="both must be flat"):
        kernels.sgd_step(p.reshape(2, 2), g.reshape(2, 2), None, 0.1)
