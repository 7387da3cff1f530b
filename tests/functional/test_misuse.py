"""Call every operation with one argument that is not an array: a TypeError names both; lists are accepted as arrays."""

import re

import numpy as np
import pytest

from fastnn import Tensor
from fastnn import functional as F
from tests.functional.table import TABLE

ROWS = {
    name: row for name, row in TABLE.items() if not name.startswith("loss ")
}  # whose rows look at dtypes themselves


@pytest.mark.parametrize("value", [None, "a", [[1.0, 2.0]]], ids=["None", "text", "list"])
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_no_arrays(row, value):
    inputs = row.inputs()
    for i, x in enumerate(inputs):
        if not isinstance(x, np.ndarray):
            continue
        for recorded in (False, True):
            given = [Tensor(a, requires_grad=True) if recorded and a.dtype.kind == "f" else a for a in inputs]
            given[i] = value
            try:
                row.operation(*given, **row.options)
            except TypeError as error:
                assert re.match(r"[a-z]\w*: .", str(error)), str(error)
            except (ValueError, IndexError) as error:
                assert value is not None or str(error).startswith("clamp: at least one of min and max")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: F.reshape(None, 2), "reshape: input must be a tensor or an array, got None"),
        (lambda: F.flatten([1.0]), "flatten: input must be a tensor or an array, got list"),
        (lambda: F.linear(Tensor([1.0]), None), "linear: weight must be"),
        (lambda: F.conv2d(None, np.ones((1, 1, 3, 3))), "conv2d: input must be"),
        (lambda: F.cat([np.ones(2), None]), r"cat: tensors\[1\] must be"),
        (lambda: F.expand(None, 2), "expand: input must be"),
        (lambda: F.split("ab", 1), "split: tensor must be a tensor or an array, got str"),
        (lambda: F.relu(None), "relu: input must be"),
        (lambda: F.dropout2d(None), "dropout2d: input must be"),
        (lambda: F.abs(None), "abs: input must be"),
    ],
)
def test_messages(call, message):
    with pytest.raises(TypeError, match=f"^{message}"):
        call()
