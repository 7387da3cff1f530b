"""Loaders can be pickled and copied, whatever form their batches have, and go on where they were."""

import copy
import pickle

import numpy as np
import pytest

from fastnn.data import DataLoader, Shift

X = np.arange(40, dtype=np.float32).reshape(10, 1, 2, 2)
Y = np.arange(10)


@pytest.mark.parametrize("data", [X, (X, Y), {"x": X, "y": Y}])
@pytest.mark.parametrize(
    "options", [{}, {"shuffle": True, "seed": 1}, {"transform": Shift(1), "seed": 2, "prefetch": 2}]
)
@pytest.mark.parametrize("way", [copy.deepcopy, lambda loader: pickle.loads(pickle.dumps(loader))])
def test_copies_give_the_same_batches(data, options, way):
    loader = DataLoader(data, 4, **options)
    list(loader)
    other = way(loader)
    for one, two in zip(loader, other, strict=True):
        assert type(one) is type(two)
        parts = [list(x.values()) if isinstance(x, dict) else x if isinstance(x, tuple) else [x] for x in (one, two)]
        for a, b in zip(*parts, strict=True):
            np.testing.assert_array_equal(a, b)
