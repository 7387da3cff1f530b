"""Denormal numbers: exact by default, flushed where asked, always in optimizers; the caller's own mode is untouched."""

import ctypes
import ctypes.util
import platform
import sys
import threading

import numpy as np
import pytest

import fastnn_kernels as kernels
from fastnn_kernels import flush_denormal, get_flush_denormal, set_flush_denormal, threads
from fastnn_kernels.cpu.activation import FUNCTIONS
from fastnn_kernels.ground import denormal

F4, F8 = np.dtype(np.float32), np.dtype(np.float64)
DTYPES = pytest.mark.parametrize("dtype", [F4, F8], ids=str)
FLUSHES = pytest.mark.skipif(denormal.ARCHITECTURE is None, reason="this CPU's control register is not known")


@pytest.fixture(autouse=True)
def exact_afterwards():
    yield
    assert not get_flush_denormal()


def denormals(dtype, shape=(64,)):
    """Return denormal numbers of both signs."""
    tiny = np.finfo(dtype).smallest_normal
    made = np.linspace(-0.9, 0.9, int(np.prod(shape))).reshape(shape).astype(dtype) * tiny
    assert np.count_nonzero(made) == made.size and (np.abs(made) < tiny).all()
    return made


def is_denormal(x):
    return (x != 0) & (np.abs(x) < np.finfo(x.dtype).smallest_normal)


def control_register() -> int:
    """Return MXCSR without what it notes of past operations, or FPCR, of this thread, as the C library has it."""
    arm = platform.machine() in ("aarch64", "arm64")
    environment = (ctypes.c_uint32 * 16)()
    assert MATH.fegetenv(environment) == 0
    return environment[0] if arm else environment[7] & ~0x3F


MATH = ctypes.CDLL(ctypes.util.find_library("m")) if sys.platform == "linux" else None
READS_REGISTER = pytest.mark.skipif(
    MATH is None or platform.libc_ver()[0] != "glibc", reason="the layout of fenv_t is that of glibc"
)


def test_it_says_what_this_cpu_can():
    known = platform.machine().lower() in ("x86_64", "amd64", "aarch64", "arm64")
    assert set_flush_denormal(True) is set_flush_denormal(False) is known


@pytest.mark.parametrize("wrong", [1, 0, None, "on", np.True_, 1.0])
def test_a_mode_is_a_bool(wrong):
    for function in (set_flush_denormal, flush_denormal(wrong).__enter__):
        with pytest.raises(TypeError, match="flush_denormal: mode must be True or False, got"):
            function(*([wrong] if function is set_flush_denormal else []))


@FLUSHES
def test_blocks_end_with_the_mode_before():
    with flush_denormal():
        assert get_flush_denormal()
        with flush_denormal(False):
            assert not get_flush_denormal()
        assert get_flush_denormal()
        set_flush_denormal(False)
        assert not get_flush_denormal()
    assert not get_flush_denormal()
    with pytest.raises(RuntimeError), flush_denormal():
        raise RuntimeError
    set_flush_denormal(True)
    with flush_denormal(False):
        assert not get_flush_denormal()
    assert get_flush_denormal()
    set_flush_denormal(False)


@FLUSHES
def test_blocks_that_overlap_in_two_threads_leave_nothing_behind():
    first, second = flush_denormal(), flush_denormal()
    first.__enter__(), second.__enter__()
    first.__exit__(None, None, None)
    assert get_flush_denormal(), "the second block still runs"
    second.__exit__(None, None, None)
    assert not get_flush_denormal()


@DTYPES
def test_by_default_nothing_is_flushed(dtype):
    for shape in ((64,), (1 << 18,)):  # in C; by the kernel's own entry, in threads
        x = denormals(dtype, shape)
        np.testing.assert_array_equal(kernels.leaky_relu(x, 1.0), x)
        np.testing.assert_array_equal(kernels.mul(x, np.ones_like(x)), x)
        np.testing.assert_array_equal(kernels.add(x, x), 2 * x)
        np.testing.assert_array_equal(kernels.matmul(x.reshape(-1, 1), np.ones((1, 1), dtype)).ravel(), x)


@FLUSHES
@DTYPES
def test_kernels_flush_where_asked(dtype):
    for shape in ((64,), (1 << 18,)):
        x, one = denormals(dtype, shape), np.ones((1, 1), dtype)
        with flush_denormal():
            for y in (
                kernels.leaky_relu(x, 1.0), kernels.mul(x, np.full_like(x, 1e20)), kernels.add(x, x),
                kernels.matmul(x.reshape(-1, 1), one * 1e20), kernels.softmax(x.reshape(-1, 4)) - dtype.type(0.25),
            ):  # fmt: skip
                assert not y.any()
            small = np.full(shape, np.finfo(dtype).smallest_normal)  # results are flushed, too
            assert not kernels.mul(small, np.full_like(small, 0.5)).any()
            np.testing.assert_array_equal(kernels.mul(small, np.ones_like(small)), small)


@FLUSHES
@DTYPES
@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - {"gelu_tanh"}))
def test_elementwise_functions_are_as_before_when_the_mode_is_off_again(name, dtype):
    arguments = [0.5 if usual is None else usual for usual in FUNCTIONS[name].usual_parameters]
    x = np.concatenate([denormals(dtype), np.linspace(-5, 5, 100).astype(dtype)])
    function, gradient = getattr(kernels, name), getattr(kernels, f"{name}_backward")
    before = function(x, *arguments), gradient(x, x, *arguments)
    with flush_denormal():
        during, at_zero = function(x, *arguments)[:64], function(np.zeros(1, dtype), *arguments)
    np.testing.assert_allclose(during, at_zero[0], rtol=4 * np.finfo(dtype).eps, atol=np.finfo(dtype).smallest_normal)
    after = function(x, *arguments), gradient(x, x, *arguments)
    for a, b in zip(before, after, strict=True):
        assert a.tobytes() == b.tobytes()


@FLUSHES
def test_any_number_of_threads_gives_the_same_bits(rng):
    x = (rng.standard_normal((300, 300)) * 1e-20).astype(F4)
    results, each = set(), set()
    for count in (1, 2, 3, 8, 17):
        with threads(count):
            with flush_denormal():
                results.add((kernels.matmul(x, x).tobytes(), kernels.leaky_relu(denormals(F4, (1 << 18,)), 1.0).any()))
            each.add((kernels.matmul(x, x).tobytes(), kernels.leaky_relu(denormals(F4, (1 << 18,)), 1.0).all()))
    assert len(results) == len(each) == 1 and results.pop()[1] == False and each.pop()[1] == True  # noqa: E712


@READS_REGISTER
def test_the_callers_register_is_as_before():
    registers = []

    def use():
        before = control_register()
        for mode in (False, True, False):
            with flush_denormal(mode), threads(4):
                for size in (8, 1 << 18):
                    x = denormals(F4, (size,))
                    kernels.leaky_relu(x)
                    kernels.matmul(x.reshape(-1, 8), np.ones((8, 8), F4))
                    kernels.optimizer_step("sgd", x, x.copy())
                    with pytest.raises(TypeError):
                        FUNCTIONS["relu"].forward_kernel[F4](x, None, 1, 1)
                registers.append(control_register() == before)

    use()
    worker = threading.Thread(target=use)
    worker.start()
    worker.join()
    assert registers == [True] * 6


@READS_REGISTER
@FLUSHES
def test_a_caller_that_flushes_itself_goes_on():
    """Such as after torch.set_flush_denormal(True)."""
    before, changed = (ctypes.c_uint32 * 16)(), (ctypes.c_uint32 * 16)()
    MATH.fegetenv(before), MATH.fegetenv(changed)
    place, bits = (0, denormal.FZ) if denormal.ARCHITECTURE == "arm" else (7, denormal.FTZ_DAZ)
    changed[place] |= bits
    MATH.fesetenv(changed)
    try:
        x = np.full(4, 1.0, F4)
        for mode in (True, False):
            with flush_denormal(mode):
                kernels.leaky_relu(x)
                kernels.optimizer_step("sgd", x, x.copy())
            assert control_register() & bits == bits
    finally:
        MATH.fesetenv(before)
    assert not control_register() & bits


SETTINGS = {
    "momentum": 0.9, "dampening": 0.0, "nesterov": False, "betas": (0.9, 0.999), "eps": 1e-8, "momentum_decay": 4e-3,
    "mu_product": None, "alpha": 0.99, "lr_decay": 0.0, "rho": 0.9, "decay": 0.9, "etas": (0.5, 1.2),
    "step_sizes": (0.0, 50.0), "lambd": 1e-4, "t0": 1e6,
}  # fmt: skip


@FLUSHES
@DTYPES
@pytest.mark.parametrize("rule", kernels.OPTIMIZER_RULES)
def test_optimizers_flush_their_state(rule, dtype):
    """Moments that have faded away become 0, and so do parameters; what is not denormal is kept."""
    for n in (100, 1 << 16):  # in this thread; in several
        signed = {"exp_avg", "momentum_buffer", "grad_avg", "prev", "ax"}
        states = [
            x if name in signed else np.abs(x)
            for name in kernels.OPTIMIZER_RULES[rule].states
            for x in [denormals(dtype, (n,))]
        ]
        param, grad = denormals(dtype, (n,)), np.zeros(n, dtype)
        chosen = {name: SETTINGS[name] for name in kernels.OPTIMIZER_RULES[rule].settings}
        kernels.optimizer_step(rule, param, grad, states, 7, lr=1e-3, **chosen)
        for x in (param, *states):
            assert not is_denormal(x).any() and np.isfinite(x).all()
        assert is_denormal(denormals(dtype, (n,)) * dtype.type(0.5)).all() and not get_flush_denormal()


@FLUSHES
def test_moments_fade_to_nothing():
    param, mean, square = (np.full(33, value, F4) for value in (1.0, 1e-37, 1e-37))
    for step in range(1, 60):
        kernels.optimizer_step("adam", param, np.zeros(33, F4), [mean, square], step, betas=(0.9, 0.9), eps=1e-8)
        assert not is_denormal(mean).any() and not is_denormal(square).any()
    assert not mean.any() and not square.any()
