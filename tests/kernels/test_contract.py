"""What every entry point owes its callers, and every kernel its entry point, checked on the cases of the table.

Outputs are write-only: fresh memory holds NaN or denormal numbers here, so whatever a kernel leaves out shows. Inputs,
outputs and workspace lie at pages that cannot be touched, see `guarded`. Inputs stay as they were, and may be
read-only, strided or empty. Any number of threads gives the same bits.
"""

import ctypes
import faulthandler
import os

import numpy as np
import pytest

import fastnn_kernels as kernels
from fastnn_kernels.ground import memory, plans
from fastnn_kernels.ground.backend import load_all, on_switch
from fastnn_kernels.ground.registry import specs
from fastnn_kernels.ground.threads import threads
from tests.kernels.contract_cases import CASES
from tests.kernels.guarded import Guard

PRIME = 5
DENORMAL = 1e-40
NOT_OPERATIONS = {  # public names that compute nothing
    "set_num_threads", "get_num_threads", "threads", "threading_layer", "empty_pool", "set_pool_limit", "pool_stats",
    "specs", "Prepared", "PreparedMatmul", "PreparedConv", "PreparedConv2d", "set_conv_precision", "set_flush_denormal",
    "get_flush_denormal", "flush_denormal", "use", "explain", "info", "checks", "ACTIVATIONS", "FUSED", "MATHEMATICS",
    "nadam_momentum", "compile_kernels", "dry_run",
}  # fmt: skip
ALL = [
    pytest.param(call, id=f"{name}-{number}")
    for name, calls in CASES.items()
    for number, call in enumerate(calls)
    if hasattr(kernels, name)
]


class Make:
    """Makes the inputs of one call, always the same values, in the dtype and form under test."""

    def __init__(self, dtype, form, guard):
        self.dtype, self.form, self.guard = np.dtype(dtype), form, guard
        self.rng = np.random.default_rng(7)
        self.inputs, self.originals, self.states = [], [], []

    def __call__(self, *shape):
        return self.give(self.rng.standard_normal(shape).astype(self.dtype))

    def positive(self, *shape):
        return self.give(self.rng.uniform(0.1, 2, shape).astype(self.dtype))

    def labels(self, n, classes):
        return self.give(self.rng.integers(0, classes, n))

    def state(self, *shape, positive=False):
        values = self.rng.uniform(0.1 if positive else -2, 2, shape)
        self.states.append(self.guard.copy(values.astype(self.dtype)))
        return self.states[-1]

    def give(self, values):
        x = self.guard.copy(values)
        if self.form == "strided" and x.ndim:
            wide = self.guard.room([2 * n for n in x.shape], x.dtype)
            wide[...] = 99
            x = wide[tuple(slice(None, None, -2 if axis == x.ndim - 1 else 2) for axis in range(x.ndim))]
            x[...] = values
        if self.form == "frozen":
            x.flags.writeable = False
        self.inputs.append(x)
        self.originals.append(np.array(values))
        return x


def call(case, dtype, form="plain", n=PRIME, *, poison=np.nan, at_start=False):
    """Return the results of a call as a list of arrays, after checking that its inputs are as they were."""
    guard = Guard(poison, at_start)
    make = Make(dtype, form, guard)
    with memory.allocator(guard.empty):
        results = case(make, n)
    results = [r for r in (results if isinstance(results, tuple) else (results,)) if r is not None]
    for x, original in zip(make.inputs, make.originals, strict=True):
        np.testing.assert_array_equal(x, original, err_msg="an input was modified")
    guard.check()
    return [np.array(r) for r in results + make.states]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", ALL)
def test_contract(case, dtype):
    with threads(1):
        expected = call(case, dtype)
    for result in expected:
        assert not np.isnan(result).any(), "some of the output was not written"
        if result.dtype.kind == "f":
            assert result.dtype == dtype
    # with each number of threads another side is watched, and other numbers lie in fresh memory
    for count, poison, at_start in (
        (1, DENORMAL, True), (2, np.nan, True), (3, DENORMAL, False), (8, np.nan, False), (17, DENORMAL, True),
    ):  # fmt: skip
        with threads(count):
            for result, first in zip(call(case, dtype, poison=poison, at_start=at_start), expected, strict=True):
                assert result.tobytes() == first.tobytes(), f"other bits with {count} threads and {poison} in memory"
    for result, first in zip(call(case, dtype, "frozen", at_start=True), expected, strict=True):
        assert result.tobytes() == first.tobytes(), "other bits from read-only inputs"
    tolerance = 200 * np.finfo(dtype).eps
    for result, first in zip(call(case, dtype, "strided"), expected, strict=True):
        assert result.dtype == first.dtype and result.shape == first.shape
        np.testing.assert_allclose(result, first, rtol=tolerance, atol=tolerance * np.abs(first).max(initial=1))


@pytest.mark.parametrize("case", ALL)
def test_the_reference_agrees(case):
    """Plain loops, in float64, against the kernels in float32 and in float64: NaN and the layout of results, too."""
    with kernels.use("reference"):
        expected = call(case, np.float64)
    for dtype in (np.float32, np.float64):
        for result, first in zip(call(case, dtype), expected, strict=True):
            assert result.shape == first.shape
            tolerance = 400 * np.finfo(result.dtype if result.dtype.kind == "f" else dtype).eps
            np.testing.assert_allclose(result, first, rtol=tolerance, atol=tolerance * np.abs(first).max(initial=1))


@pytest.mark.parametrize("case", ALL)
def test_empty(case):
    shapes = [result.shape for result in call(case, np.float32)]
    for result, shape in zip(call(case, np.float32, n=0), shapes, strict=True):
        assert result.ndim == len(shape)
        assert not np.isnan(result).any()


def test_a_write_outside_is_found():
    for at_start in (False, True):
        guard = Guard(at_start=at_start)
        array = guard.empty((5,), np.float32)
        assert np.isnan(array).all()
        guard.check()
        beside = np.lib.stride_tricks.as_strided(array[1:] if at_start else array, (6,), (4,))[5 * at_start :]
        beside = beside if at_start else np.lib.stride_tricks.as_strided(array, (2,), (-4,))[1:]
        beside[0] = 1
        with pytest.raises(AssertionError, match=r"written outside an array of shape \(5,\)"):
            guard.check()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_touch_of_a_forbidden_page_ends_the_process():
    for at_start in (False, True):
        array = Guard(at_start=at_start).room((5,), np.float32)
        child = os.fork()
        if not child:
            faulthandler.disable()
            ctypes.memset(array.ctypes.data + (-1 if at_start else array.nbytes), 0, 1)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) < 0


def test_every_entry_point_has_a_case():
    public = {name for name in kernels.__all__ if callable(getattr(kernels, name)) and name not in NOT_OPERATIONS}
    missing = sorted(public - set(CASES))
    assert not missing, "add them to tests/kernels/contract_cases.py"


def test_every_case_is_of_a_public_name():
    assert not [name for name in CASES if not hasattr(kernels, name)]


def test_the_cases_reach_every_kernel():
    load_all("cpu")
    registered = [spec for spec in specs() if spec.kernel.__module__.startswith("fastnn_kernels.")]
    for spec in registered:
        spec.kernel.clear()  # of compiled entries; they come back at the next use
        spec.kernel.flats.clear()
    for tell in on_switch:
        tell()  # elementwise operations hold their quick way
    assert len(registered) > 100
    plans.forget()  # they hold such entries, too
    for parameter in ALL:
        call(parameter.values[0], np.float32)
    missed = [spec.name for spec in registered if not len(spec.kernel) and not spec.kernel.flats]
    assert not missed, "add cases to tests/kernels/contract_cases.py"
