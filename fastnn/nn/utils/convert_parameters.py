"""Parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from fastnn import functional as F
from fastnn.tape import Tensor, unwrap


def parameters_to_vector(parameters: Iterable[Tensor]) -> Any:
    """Give all parameters as one vector, in order; gradients pass. Raises ValueError if there are none."""
    flat = [F.reshape(parameter, (-1,)) for parameter in parameters]
    if not flat:
        raise ValueError("parameters_to_vector: there are no parameters")
    return F.cat(flat)


def vector_to_parameters(vec: Any, parameters: Iterable[Tensor]) -> None:
    """Write the numbers of a vector into parameters, in order. Raises ValueError, with nothing written, for too few."""
    given, values = list(parameters), np.asarray(unwrap(vec))
    count = sum(parameter.numel() for parameter in given)
    if values.ndim != 1 or len(values) < count:
        raise ValueError(f"vector_to_parameters: expected a vector of {count} numbers, got shape {values.shape}")
    start = 0
    for parameter in given:
        stop = start + parameter.numel()
        parameter.data[...] = values[start:stop].reshape(parameter.shape)
        start = stop
