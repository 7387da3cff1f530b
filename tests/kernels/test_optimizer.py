"""Optimizer kernels, whatever the length and number of threads; the rules themselves are tested in tests/optim."""

import numpy as np
import pytest

import fastnn_kernels as kernels
from fastnn_kernels.ground.threads import threads
from tests.kernels.contract_cases import SETTINGS
from tests.reference import optimizer as reference

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
every_rule = pytest.mark.parametrize("rule", kernels.OPTIMIZER_RULES)


def draw(count, dtype, steps=2):
    rng = np.random.default_rng(3)
    return rng.normal(size=count).astype(dtype), [rng.normal(size=count).astype(dtype) for _ in range(steps)]


def run(rule, value, gradients, **more):
    value, states = value.copy(), [np.zeros_like(value) for _ in kernels.OPTIMIZER_RULES[rule].states]
    settings = {name: SETTINGS[name] for name in kernels.OPTIMIZER_RULES[rule].settings}
    for step, gradient in enumerate(gradients, start=1):
        kernels.optimizer_step(rule, value, gradient, states, step, lr=0.05, **settings, **more)
    return np.array([value, *states])


@every_rule
def test_same_bits_for_any_number_of_threads(rule):
    value, gradients = draw(100_003, np.float32)
    results = []
    for count in (1, 2, 3, 8, 17):
        with threads(count):
            results.append(run(rule, value, gradients, weight_decay=0.1, l1=0.01))
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


@every_rule
@DTYPES
def test_vectors_and_what_is_left_over_agree(rule, dtype):
    value, gradients = draw(33, dtype)
    value[:2] = 0  # where l1 has no direction
    whole = run(rule, value, gradients, l1=0.01)
    for first in (1, 16, 17, 32, 33):
        np.testing.assert_array_equal(
            run(rule, value[first:], [g[first:] for g in gradients], l1=0.01), whole[:, first:]
        )


def test_numbers_follow_from_the_step_alone():
    value, (gradient,) = draw(5, np.float64, steps=1)
    states = [np.zeros(5), np.zeros(5)]
    kernels.optimizer_step("adam", value, gradient, states, 7, lr=0.1, betas=(0.9, 0.99), eps=0.0)
    step = 0.1 * np.sqrt(1 - 0.99**7) / (1 - 0.9**7) * 0.1 / np.sqrt(0.01)
    np.testing.assert_allclose(value, draw(5, np.float64)[0] - step * np.sign(gradient), rtol=1e-13)


@pytest.mark.parametrize("rule", ["adam", "lion", "sgd_momentum"])
def test_nan_gradients_stay_visible(rule):
    value = np.zeros(20, np.float32)
    result = run(rule, value, [np.full(20, np.nan, np.float32)])
    assert np.isnan(result).any(0).all() and np.isnan(result[0]).all()


@DTYPES
def test_clip_grad_norm(dtype, rng):
    arrays = [rng.normal(size=shape).astype(dtype) for shape in ((70, 71), (4097,), (), (0, 3))]
    everything = np.concatenate([a.ravel() for a in arrays]).astype(np.float64)
    sizes = np.abs(everything)
    norms = {2: np.linalg.norm(sizes), 1: sizes.sum(), np.inf: sizes.max(), 3: (sizes**3).sum() ** (1 / 3)}
    for order, expected in norms.items():
        clipped = [a.copy() for a in arrays]
        assert kernels.clip_grad_norm(clipped, 2 * expected, order) == pytest.approx(expected, rel=1e-6)
        assert all(np.array_equal(a, b) for a, b in zip(arrays, clipped, strict=True))
        kernels.clip_grad_norm(clipped, 0.1, order)
        for a, b in zip(arrays, clipped, strict=True):
            np.testing.assert_allclose(b, a * (0.1 / (expected + 1e-6)), rtol=reference.rtol(dtype))
    huge = np.full(10, 1e30, np.float32)
    assert kernels.clip_grad_norm([huge], 1.0) == pytest.approx(1e30 * 10**0.5, rel=1e-6)
    np.testing.assert_allclose(huge, 10**-0.5, rtol=1e-5)
    assert np.isnan(kernels.clip_grad_norm([np.float32([np.nan, 1])], 1.0))
    assert kernels.clip_grad_norm([], 1.0) == 0


def test_clip_grad_value():
    x = np.float32([-5, -0.5, 0, np.nan, 0.25, np.inf] * 5).reshape(5, 6)
    kernels.clip_grad_value([x], 0.5)
    np.testing.assert_array_equal(x, np.float32([[-0.5, -0.5, 0, np.nan, 0.25, 0.5]] * 5))


def test_bad_arguments():
    p, g = np.zeros(4, np.float32), np.ones(4, np.float32)
    adam = {"betas": (0.9, 0.99), "eps": 1e-8}
    with pytest.raises(TypeError, match="optimizer_step: grad must be a float32 array as param is, got float64"):
        kernels.optimizer_step("sgd", p, g.astype(np.float64))
    with pytest.raises(TypeError, match="optimizer_step: param must be a float32 or float64 array, got int64"):
        kernels.optimizer_step("sgd", np.zeros(4, int), g)
    with pytest.raises(ValueError, match=r"optimizer_step: exp_avg has shape \(3,\) and param \(4,\)"):
        kernels.optimizer_step("adam", p, g, [np.zeros(3, np.float32), p.copy()], **adam)
    with pytest.raises(ValueError, match="optimizer_step: param must be contiguous and writable"):
        kernels.optimizer_step("sgd", np.zeros(8, np.float32)[::2], g)
    with pytest.raises(ValueError, match="optimizer_step: step must be at least 1, got 0"):
        kernels.optimizer_step("adam", p, g, [p.copy(), p.copy()], 0, **adam)
    with pytest.raises(ValueError, match="both must be flat"):
        kernels.optimizer_step("sgd", p.reshape(2, 2), g.reshape(2, 2))
    with pytest.raises(ValueError, match=r"adam needs 2 states \(exp_avg, exp_avg_sq\), got 1"):
        kernels.optimizer_step("adam", p, g, [p.copy()], **adam)
    with pytest.raises(ValueError, match="rule must be one of sgd, .*, got 'adagradient'"):
        kernels.optimizer_step("adagradient", p, g)
    with pytest.raises(TypeError, match="adam has missing settings betas"):
        kernels.optimizer_step("adam", p, g, [p.copy(), p.copy()], eps=1e-8)
    with pytest.raises(TypeError, match="sgd has unknown settings momentum"):
        kernels.optimizer_step("sgd", p, g, momentum=0.9)
    for clip in (kernels.clip_grad_norm, kernels.clip_grad_value):
        with pytest.raises(ValueError, match=f"{clip.__name__}: (max_norm|clip_value) must not be negative, got -1"):
            clip([g], -1)
        with pytest.raises(TypeError, match=f"{clip.__name__}: gradients must be float32 or float64 arrays, got int64"):
            clip([np.zeros(3, int)], 1)
        with pytest.raises(ValueError, match=f"{clip.__name__}: gradients must be contiguous and writable"):
            clip([g[::2]], 1)
    with pytest.raises(ValueError, match="clip_grad_norm: norm_type must be positive, got 0"):
        kernels.clip_grad_norm([g], 1, 0)
