"""What softmax and its kin take besides a dimension."""

import numpy as np
import pytest

from fastnn import Tensor
from fastnn import functional as F


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin"])
def test_dtype(rng, name):
    function, x = getattr(F, name), rng.normal(size=(3, 4)).astype(np.float32)
    y = function(x, 1, np.float64)
    assert y.dtype == np.float64
    np.testing.assert_array_equal(y, function(x.astype(np.float64), 1))
    assert function(np.arange(3), 0, dtype="float32").dtype == np.float32
    leaf = Tensor(x, requires_grad=True)
    function(leaf, -1, dtype=np.float64)[0, 1].backward()
    assert np.asarray(leaf.grad).dtype == np.float32


@pytest.mark.parametrize(("shape", "dim"), [((), 0), ((3,), 0), ((2, 3), 1), ((2, 3, 4), 0), ((1, 2, 3, 4), 1)])
def test_no_dimension_is_that_of_pytorch(rng, shape, dim):
    x = rng.normal(size=shape)
    for function in (F.softmax, F.log_softmax, F.softmin):
        np.testing.assert_array_equal(function(x, None), function(x, dim))
