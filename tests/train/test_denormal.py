"""Training flushes denormal numbers unless told not to."""

import contextlib

import numpy as np
import pytest

import fastnn
from fastnn import functional, nn, optim
from fastnn.train.loop import fit


@pytest.mark.parametrize("end", ["well", "error", "interrupt"])
@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("flush", [None, True, False])
def test_fit_flushes_denormals_unless_told_not_to(flush, before, end):
    """And leaves the mode of the process as it was, however training ends."""
    x, y = np.ones((8, 3), np.float32), np.zeros(8, np.int64)
    model, seen = nn.Linear(3, 2), []

    def look(run):
        seen.append(fastnn.get_flush_denormal())
        if end != "well":
            raise {"error": ValueError("enough"), "interrupt": KeyboardInterrupt()}[end]

    arguments = {} if flush is None else {"flush_denormal": flush}
    with fastnn.flush_denormal(before):
        with pytest.raises(ValueError, match="enough") if end == "error" else contextlib.nullcontext():
            fit(model, (x, y), loss=functional.cross_entropy, optimizer=optim.SGD(model.parameters(), lr=0.1),
                callbacks=[look], progress=False, **arguments)  # fmt: skip
        assert fastnn.get_flush_denormal() == before
    assert seen == [before if flush is False else True]
