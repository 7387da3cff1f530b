"""Sequences of several lengths as one tensor, and back."""

import numpy as np
import pytest

import fastnn
from fastnn.nn.utils.rnn import pad_sequence, unpad_sequence


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("grad", [True, False])
def test_there_and_back(batch_first, side, grad, rng):
    arrays = [rng.normal(size=(n, 2)) for n in (3, 0, 5, 1)]
    tensors = [fastnn.tensor(x, requires_grad=grad) for x in arrays]
    padded = pad_sequence(tensors, batch_first, 7.0, side)
    expected = np.full((4, 5, 2), 7.0)
    for row, x in zip(expected, arrays, strict=True):
        row[5 - len(x) if side == "left" else 0 :][: len(x)] = x
    np.testing.assert_array_equal(padded.detach().numpy(), expected if batch_first else expected.swapaxes(0, 1))
    assert padded.requires_grad == grad
    if side == "right":
        for one, x in zip(unpad_sequence(padded, [3, 0, 5, 1], batch_first), arrays, strict=True):
            np.testing.assert_array_equal(one.detach().numpy(), x)
    if grad:
        (padded * 2).sum().backward()
        assert tensors[0].grad.tolist() == [[2, 2]] * 3


def test_integers():
    padded = pad_sequence([fastnn.tensor([1, 2]), fastnn.tensor([3])], batch_first=True, padding_value=-1)
    assert padded.tolist() == [[1, 2], [3, -1]] and padded.dtype == np.int64


def test_errors():
    for sequences in ([], [np.zeros((2, 3)), np.zeros((2, 4))], [np.zeros(())]):
        with pytest.raises(ValueError, match="pad_sequence: expected sequences"):
            pad_sequence(sequences)
    with pytest.raises(ValueError, match="padding_side must be 'right' or 'left'"):
        pad_sequence([np.zeros(2)], padding_side="up")
    with pytest.raises(ValueError, match="lengths must be 2 numbers from 0 to 3"):
        unpad_sequence(fastnn.zeros(2, 3), [1, 4], batch_first=True)
