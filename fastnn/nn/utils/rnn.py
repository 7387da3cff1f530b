"""Sequences of several lengths as one tensor, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn import functional as F
from fastnn.tape import Tensor, unwrap, wrap


def pad_sequence(
    sequences: Sequence[Any], batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Tensor:
    """Make one tensor of sequences (L_i, ...), the shorter ones filled up with `padding_value`; gradients pass.

    Gives (L, B, ...), L the longest; (B, L, ...) if `batch_first`. padding_side: "right" or "left".

    Raises ValueError for no sequences, for shapes that differ beside their lengths, and for another side.
    """
    given = list(sequences)
    shapes = [tuple(np.shape(unwrap(x))) for x in given]
    if not given or any(not shape or shape[1:] != shapes[0][1:] for shape in shapes):
        raise ValueError(f"pad_sequence: expected sequences (L, ...) that differ in L only, got shapes {shapes}")
    if padding_side not in ("right", "left"):
        raise ValueError(f"pad_sequence: padding_side must be 'right' or 'left', got {padding_side!r}")
    longest = max(shape[0] for shape in shapes)
    rest = [longest - shape[0] for shape in shapes]
    if any(isinstance(x, Tensor) and x.requires_grad for x in given):
        around = [(0, n) if padding_side == "right" else (n, 0) for n in rest]
        zeros = [0, 0] * (len(shapes[0]) - 1)
        padded = [F.pad(x, [*zeros, *n], value=padding_value) for x, n in zip(given, around, strict=True)]
        together: Tensor = F.stack(padded, 0 if batch_first else 1)
        return together
    arrays = [np.asarray(unwrap(x)) for x in given]
    filled = np.full((len(given), longest, *shapes[0][1:]), padding_value, np.result_type(*arrays))
    for row, array, n in zip(filled, arrays, rest, strict=True):
        row[n if padding_side == "left" else 0 :][: len(array)] = array
    return wrap(filled if batch_first else np.ascontiguousarray(filled.swapaxes(0, 1)))


def unpad_sequence(padded_sequences: Any, lengths: Any, batch_first: bool = False) -> list[Any]:
    """Give the sequences of which `pad_sequence` made one tensor, by their lengths."""
    first = padded_sequences if batch_first else F.transpose(padded_sequences, 0, 1)
    counts = [int(n) for n in np.asarray(unwrap(lengths))]
    if len(counts) != first.shape[0] or any(not 0 <= n <= first.shape[1] for n in counts):
        raise ValueError(
            f"unpad_sequence: lengths must be {first.shape[0]} numbers from 0 to {first.shape[1]}, got {counts}"
        )
    return [first[i, :n] for i, n in enumerate(counts)]
