"""Operands of losses that are numbers, or broadcast."""

import numpy as np
import pytest

from fastnn import functional as F


def test_operands_that_are_broadcast_or_numbers(rng):
    x, y = rng.normal(size=(3, 1)), rng.normal(size=4)
    wide = np.broadcast_arrays(x, y)
    expected = F.gaussian_nll_loss(wide[0].copy(), wide[1].copy(), np.full((3, 4), 0.5))
    np.testing.assert_allclose(F.gaussian_nll_loss(x, y, 0.5), expected, rtol=1e-14)
    with pytest.raises(ValueError, match=r"gaussian_nll_loss: input has shape \(3, 2\) but target has \(4,\)"):
        F.gaussian_nll_loss(np.ones((3, 2)), y, 0.5)


def test_margin_losses_of_numbers():
    one, zero = np.array(0.5), np.array(0)
    assert F.multi_margin_loss(one, zero) == F.multilabel_margin_loss(one, zero) == 0
    assert F.multi_margin_loss(np.ones(3), np.array([1]), reduction="none").shape == (1,)
    assert F.triplet_margin_loss(one, one, one + 3) == 0
