"""Call every public function with one invalid argument: it raises an error that names both, or gives a result.

No other error, no access outside an array, and no input is changed.
"""

import inspect
import re

import numpy as np
import pytest

import fastnn_kernels as kernels
from fastnn_kernels.arithmetic import NUMPY
from fastnn_kernels.ground import memory
from tests.kernels.contract_cases import CASES
from tests.kernels.guarded import Guard
from tests.kernels.test_contract import PRIME
from tests.kernels.test_layouts import Make

FUNCTIONS = sorted(name for name in CASES if inspect.isroutine(getattr(kernels, name, None)))
NO_ARRAYS = {
    "None": None,
    "text": "a",
    "ragged": [[1.0], [1.0, 2.0]],
    "huge": [10**400],
    "object": np.array([None, 1.0]),
    "masked": np.ma.masked_array([1.0, 2.0], [True, False]),
    "complex": np.ones(2, complex),
    "record": np.zeros(2, [("a", "f4")]),
}
NO_NUMBERS = (None, "a", 10**400, float("nan"), [], {1}, np.ones(2))
RESHAPED = {
    "longer": lambda x: np.concatenate([x, x[..., :1]], -1) if x.ndim and x.shape[-1] else np.ones(2, x.dtype),
    "shorter": lambda x: x[..., :-1] if x.ndim else np.ones(0, x.dtype),
    "cut": lambda x: x[:-1] if x.ndim else np.ones((1, 1), x.dtype),
    "deeper": lambda x: x[None],
    "scalar": lambda x: np.array(1, x.dtype),
    "none": lambda x: np.ones(0, x.dtype),
    "transposed": lambda x: x.T,
}


class Stop(Exception):
    """Ends a case before its own call of the function."""


def calls_of(name, monkeypatch):
    """Return (arguments by name, in the order of the signature) of each call that the cases make of a function."""
    function, found = getattr(kernels, name), []
    signature = inspect.signature(function)

    def record(*args, **named):
        found.append(signature.bind(*args, **named))
        raise Stop

    for case in CASES[name]:
        with monkeypatch.context() as patch:
            patch.setattr(kernels, name, record)
            with pytest.raises(Stop):
                case(Make(np.float32), PRIME)
    return found


def outcome(name, bound):
    """Call a function; return the message of a named error, or None where there is a result."""
    function, guard = getattr(kernels, name), Guard()
    arrays = {k: v for k, v in bound.arguments.items() if type(v) is np.ndarray}
    before = {k: v.copy() for k, v in arrays.items()}
    try:
        with memory.allocator(guard.empty):
            function(*bound.args, **bound.kwargs)
        message = None
    except (TypeError, ValueError, IndexError) as error:
        message = str(error)
        assert re.match(r"[a-z](?!\w*__)\w*(: |\(\) )", message), f"{type(error).__name__}: {message}"
        for k, v in arrays.items():
            np.testing.assert_array_equal(v, before[k], err_msg=f"{k} was changed")
    guard.check()
    return message


def with_argument(bound, argument, value):
    other = inspect.BoundArguments(bound.signature, dict(bound.arguments))
    other.arguments[argument] = value
    return other


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_arrays(name, monkeypatch):
    for bound in calls_of(name, monkeypatch):
        for argument, given in list(bound.arguments.items()):
            if not isinstance(given, np.ndarray):
                continue
            for kind, value in NO_ARRAYS.items():
                message = outcome(name, with_argument(bound, argument, value))
                optional = bound.signature.parameters[argument].default is None or argument.startswith("running_")
                if kind == "complex" and name in ("matmul", "where", *NUMPY):
                    continue  # NumPy does these
                if not (optional and value is None):
                    assert message is not None, f"{argument}: {kind} was taken"
                    if kind == "None":
                        assert argument in message, message


@pytest.mark.parametrize("name", FUNCTIONS)
def test_arrays_of_other_shapes(name, monkeypatch):
    for bound in calls_of(name, monkeypatch):
        for argument, given in list(bound.arguments.items()):
            if isinstance(given, np.ndarray):
                for change in RESHAPED.values():
                    value = Guard().copy(change(given))
                    outcome(name, with_argument(bound, argument, value))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_numbers(name, monkeypatch):
    for bound in calls_of(name, monkeypatch):
        bound.apply_defaults()
        for argument, given in list(bound.arguments.items()):
            several = bound.signature.parameters[argument].kind in (inspect.Parameter.VAR_KEYWORD,)
            if not isinstance(given, np.ndarray) and argument != "out" and not several:
                for value in NO_NUMBERS:
                    outcome(name, with_argument(bound, argument, value))
