"""Call every public function with its array arguments in random layouts, and compare with contiguous arrays.

The result must be the same, or an error must name the function and the argument. All arrays lie beside guard pages.
"""

import inspect
import re

import numpy as np
import pytest

import fastnn_kernels as kernels
from fastnn_kernels.ground import memory
from tests.kernels import test_contract
from tests.kernels.contract_cases import CASES
from tests.kernels.guarded import FORMS, Guard, lay
from tests.kernels.test_contract import ALL, PRIME


def name_of(parameter) -> str:
    """Return the name of a case's function."""
    return parameter.id.rpartition("-")[0]


def takes_out(name) -> bool:
    function = getattr(kernels, name)
    return callable(function) and "out" in inspect.signature(function).parameters


TAKES_OUT = [pytest.param(*p.values, name_of(p), id=p.id) for p in ALL if takes_out(name_of(p))]
SEEDS = range(6)
NONE = {"f": np.nan, "i": -7}  # what outs hold before


class Make(test_contract.Make):
    """Makes the arrays of one call: values from one generator, layouts from another."""

    def __init__(self, dtype, layouts=None, broadcast=None, at_start=False):
        super().__init__(dtype, "plain", Guard(at_start=at_start))
        self.layouts, self.broadcast, self.at_start, self.used = layouts, broadcast, at_start, []

    def give(self, values):
        values = np.array(values)
        axis = None
        if self.broadcast is not None and values.ndim and values.size and self.broadcast.random() < 0.2:
            axis = int(self.broadcast.integers(values.ndim))
            values[...] = np.take(values, [0], axis)  # the contiguous call gets the same numbers
        if self.layouts is None:
            return values
        if axis is not None:
            self.used.append("broadcast")
            return np.broadcast_to(np.take(values, [0], axis), values.shape)
        form = FORMS[self.layouts.integers(len(FORMS))]
        self.used.append(form)
        return lay(values, form, self.layouts, self.at_start)


def run(case, make, n=PRIME):
    results = case(make, n)
    results = results if isinstance(results, tuple) else (results,)
    return [np.array(r) for r in results if r is not None] + make.states


def same(results, expected, dtype, used):
    tolerance = 200 * np.finfo(dtype).eps
    assert len(results) == len(expected)
    for result, right in zip(results, expected, strict=True):
        assert result.shape == right.shape, used
        assert result.dtype == right.dtype, used
        scale = np.abs(right).max(initial=1)
        np.testing.assert_allclose(result, right, rtol=tolerance, atol=tolerance * scale, err_msg=str(used))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("case", "name"), [pytest.param(*p.values, name_of(p), id=p.id) for p in ALL])
def test_every_array_in_any_layout(case, name, dtype):
    for seed in SEEDS:
        expected = run(case, Make(dtype, broadcast=np.random.default_rng((seed, 1))))
        guard = Guard(at_start=bool(seed % 2))
        make = Make(dtype, np.random.default_rng((seed, 2)), np.random.default_rng((seed, 1)), bool(seed % 2))
        with memory.allocator(guard.empty):
            try:
                results = run(case, make)
            except (TypeError, ValueError) as error:
                if name == "optimizer_step" and re.match(r"optimizer_step: \w+ must be ", str(error)):
                    continue  # its buffers have to be contiguous
                raise AssertionError(f"{make.used}: {error}") from error
        guard.check()
        same(results, expected, dtype, make.used)
        for result in results:
            if result.dtype.kind == "f":
                assert result.dtype is np.dtype(dtype)


def with_out(monkeypatch, name, make_out, make):
    """Let the public function write to what `make_out` gives for its result."""
    function, called = getattr(kernels, name), []

    def calls(*args, **named):
        states = [state.copy() for state in make.states]
        plain = function(*args, **named)
        for state, before in zip(make.states, states, strict=True):
            state[...] = before
        first = plain[0] if isinstance(plain, tuple) else plain
        out = make_out(np.array(first))
        before = out.copy()
        called.append((out, before))
        result = function(*args, **named, out=out)
        assert (result[0] if isinstance(result, tuple) else result) is out
        return result

    monkeypatch.setattr(kernels, name, calls)
    return called


@pytest.mark.parametrize(("case", "name"), TAKES_OUT)
def test_out_in_any_layout(case, name, monkeypatch):
    expected = run(case, Make(np.float32))
    rng = np.random.default_rng(3)
    for form in ("plain", "last", "reversed", "cut", "turned", "steps", "odd", "record", "unpickled"):
        make = Make(np.float32)
        with monkeypatch.context() as patch:
            with_out(patch, name, lambda y, form=form: lay(np.full_like(y, NONE[y.dtype.kind]), form, rng), make)
            same(run(case, make), expected, np.float32, form)


@pytest.mark.parametrize(("case", "name"), TAKES_OUT)
@pytest.mark.parametrize("wrong", ["read-only", "broadcast", "dtype", "shape", "matrix", "masked", "list", "overlap"])
def test_out_that_does_not_fit_is_refused(case, name, wrong, monkeypatch):
    inputs = []

    def make_out(y):
        if wrong == "read-only":
            return lay(y, "read-only")
        if wrong == "broadcast":
            return np.lib.stride_tricks.as_strided(np.zeros(1, y.dtype), y.shape or (2,), (0,) * max(y.ndim, 1))
        if wrong == "dtype":
            if name in ("add", "mul"):
                pytest.skip("as in NumPy, out may be of a wider dtype")
            return y.astype(np.float64 if y.dtype != np.float64 else np.float32)
        if wrong == "shape":
            return np.zeros((*y.shape, 2), y.dtype)
        if wrong == "matrix":
            return np.zeros((2, 2), y.dtype).view(np.matrix)
        if wrong == "masked":
            return np.ma.zeros(y.shape, y.dtype)
        if wrong == "list":
            return OutList(y)
        return overlapping(y, inputs)

    make = Make(np.float32)
    give = make.give
    make.give = lambda values: inputs.append(given := give(values)) or given
    before = [x.copy() for x in inputs]
    called = with_out(monkeypatch, name, make_out, make)
    with pytest.raises((TypeError, ValueError), match=r"^\w+: .*out"):
        run(case, make)
    for x, y in zip(inputs, before, strict=False):
        np.testing.assert_array_equal(x, y)
    (out, kept), *_ = called
    np.testing.assert_array_equal(np.asarray(out), np.asarray(kept))


class OutList(list):
    """A list that can be copied as arrays are."""

    def __init__(self, y):
        super().__init__(np.asarray(y).ravel().tolist())

    def copy(self):
        return OutList(np.array(list(self)))


def overlapping(y, inputs):
    """Return an array for a result that shares some memory with an input, but is not the input."""
    for x in inputs:
        if isinstance(x, np.ndarray) and x.dtype == y.dtype and x.size > 1 and y.size:
            whole = x.ravel()
            if not np.shares_memory(whole, x):
                continue
            shift = whole[1:] if y.size < x.size else None
            if shift is not None:
                return shift[: y.size].reshape(y.shape)
    pytest.skip("no input is larger than the result")


def test_every_entry_point_is_tried():
    assert {name_of(parameter) for parameter in ALL} == {name for name in CASES if hasattr(kernels, name)}
