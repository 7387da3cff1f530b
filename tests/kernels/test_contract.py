"""What every entry point owes its callers, and every kernel its entry point, checked on the cases of the table.

Outputs are write-only: fresh memory holds NaN here, so whatever a kernel leaves out shows; the memory around it is
watched. Inputs stay as they were, and may be read-only, strided or empty. Any number of threads gives the same bits.
"""

import numpy as np
import pytest

import fastnn_kernels as kernels
from fastnn_kernels import _memory, _plans
from fastnn_kernels._jit import specs
from fastnn_kernels._parallel import threads
from tests.kernels.contract_cases import CASES

PRIME = 5
MARGIN = 64
NOT_OPERATIONS = {  # public names that compute nothing
    "set_num_threads", "get_num_threads", "threads", "threading_layer", "empty_pool", "set_pool_limit", "pool_stats",
    "specs", "PreparedMatmul", "PreparedConv", "PreparedConv2d", "set_conv_precision",
}  # fmt: skip
ALL = [
    pytest.param(call, id=f"{name}-{number}")
    for name, calls in CASES.items()
    for number, call in enumerate(calls)
    if hasattr(kernels, name)
]


class Make:
    """Makes the inputs of one call, always the same values, in the dtype and form under test."""

    def __init__(self, dtype, form="plain"):
        self.dtype, self.form = np.dtype(dtype), form
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
        self.states.append(values.astype(self.dtype))
        return self.states[-1]

    def give(self, values):
        x = np.array(values)
        if self.form == "strided" and x.ndim:
            wide = np.full([2 * n for n in x.shape], 99, x.dtype)
            x = wide[tuple(slice(None, None, -2 if axis == x.ndim - 1 else 2) for axis in range(x.ndim))]
            x[...] = values
        if self.form == "frozen":
            x.flags.writeable = False
        self.inputs.append(x)
        self.originals.append(np.array(values))
        return x


def call(case, dtype, form="plain", n=PRIME):
    """Return the results of a call as a list of arrays, after checking that its inputs are as they were."""
    make = Make(dtype, form)
    results = case(make, n)
    results = [r for r in (results if isinstance(results, tuple) else (results,)) if r is not None]
    for x, original in zip(make.inputs, make.originals, strict=True):
        np.testing.assert_array_equal(x, original, err_msg="an input was modified")
    return [np.asarray(r) for r in results] + make.states


@pytest.fixture(autouse=True)
def poisoned(monkeypatch):
    """Fill fresh memory with NaN, watch the memory around it, and return nothing else than that."""
    handed_out = []

    def fresh(shape, dtype):
        dtype = np.dtype(dtype)
        poison = np.nan if dtype.kind == "f" else np.iinfo(dtype).min if dtype.kind in "iu" else 0
        size = int(np.prod(shape, dtype=np.int64))
        around = np.full(size + 2 * MARGIN, 77, dtype)
        around[MARGIN : MARGIN + size] = poison
        handed_out.append(around)
        return around[MARGIN : MARGIN + size].reshape(shape)

    monkeypatch.setattr(_memory, "fresh", fresh)
    monkeypatch.setattr(_memory, "SMALL", 1 << 62)  # nothing comes from the pool
    yield
    for around in handed_out:
        assert (around[:MARGIN] == 77).all() and (around[-MARGIN:] == 77).all(), "written out of bounds"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", ALL)
def test_contract(case, dtype):
    with threads(1):
        expected = call(case, dtype)
    for result in expected:
        assert not np.isnan(result).any(), "some of the output was not written"
        if result.dtype.kind == "f":
            assert result.dtype == dtype
    for count in (2, 3, 8, 17):
        with threads(count):
            for result, first in zip(call(case, dtype), expected, strict=True):
                assert result.tobytes() == first.tobytes(), f"other bits with {count} threads"
    for result, first in zip(call(case, dtype, "frozen"), expected, strict=True):
        assert result.tobytes() == first.tobytes(), "other bits from read-only inputs"
    tolerance = 200 * np.finfo(dtype).eps
    for result, first in zip(call(case, dtype, "strided"), expected, strict=True):
        assert result.dtype == first.dtype and result.shape == first.shape
        np.testing.assert_allclose(result, first, rtol=tolerance, atol=tolerance * np.abs(first).max(initial=1))


@pytest.mark.parametrize("case", ALL)
def test_empty(case):
    shapes = [result.shape for result in call(case, np.float32)]
    for result, shape in zip(call(case, np.float32, n=0), shapes, strict=True):
        assert result.ndim == len(shape)
        assert not np.isnan(result).any()


def test_every_entry_point_has_a_case():
    public = {name for name in kernels.__all__ if callable(getattr(kernels, name)) and name not in NOT_OPERATIONS}
    missing = sorted(public - set(CASES))
    assert not missing, "add them to tests/kernels/contract_cases.py"


def test_the_cases_reach_every_kernel():
    registered = [spec for spec in specs() if spec.kernel.__module__.startswith("fastnn_kernels.")]
    for spec in registered:
        spec.kernel.clear()  # of compiled entries; they come back at the next use
    _plans.forget()  # they hold such entries, too
    for parameter in ALL:
        call(parameter.values[0], np.float32)
    missed = [spec.name for spec in registered if not spec.kernel and not spec.kernel.flats]
    assert not missed, "add cases to tests/kernels/contract_cases.py"
