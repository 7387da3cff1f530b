"""Gradients compared with finite differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn._gradients import grad
from fastnn.tape import Tensor, no_grad, unwrap


class GradcheckError(RuntimeError):
    """A gradient that is not what finite differences say."""


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    **ignored: Any,
) -> bool:
    """Tell whether the gradients of ``func(*inputs)`` agree with central differences of width `eps`.

    inputs: a tensor or a tuple; those that require gradients should be float64. All elements of all results that have
    gradients are looked at, one by one. Raises GradcheckError where they disagree, or gives False unless
    `raise_exception`.
    """
    given = inputs if isinstance(inputs, tuple | list) else (inputs,)
    wanted = [(i, x) for i, x in enumerate(given) if isinstance(x, Tensor) and x.requires_grad]
    if not wanted:
        raise ValueError("gradcheck: none of the inputs requires a gradient")
    for place, x in wanted:
        expected = _differences(func, given, place, eps)
        for number, output in enumerate(_outputs(func, given)):
            found = np.zeros((output.numel(), x.numel()))
            if output.requires_grad:
                for row in range(output.numel()):
                    weights = np.zeros(output.numel(), output.dtype)
                    weights[row] = 1
                    (dx,) = grad(output, x, weights.reshape(output.shape), retain_graph=True, materialize_grads=True)
                    found[row] = dx.numpy().reshape(-1)
            elif output.dtype.kind != "f":
                continue
            if not np.allclose(found, expected[number], rtol, atol):
                if not raise_exception:
                    return False
                raise GradcheckError(
                    f"gradcheck: the gradient of result {number} with regard to input {place} is not that of finite "
                    f"differences\nfound:\n{found}\nfinite differences:\n{expected[number]}"
                )
    return True


def _outputs(func: Callable[..., Any], inputs: Any) -> list[Any]:
    result = func(*inputs)
    return [x for x in (result if isinstance(result, tuple | list) else (result,)) if isinstance(x, Tensor)]


def _differences(func: Callable[..., Any], inputs: Any, place: int, eps: float) -> list[np.ndarray]:
    """Give the derivatives of each result with regard to one input, by finite differences: (results, inputs)."""
    columns: list[list[np.ndarray]] = []
    values = np.array(unwrap(inputs[place]))
    for index in np.ndindex(values.shape):
        ends = []
        for sign in (1, -1):
            moved = values.copy()
            moved[index] += sign * eps
            with no_grad():
                outputs = _outputs(func, [*inputs[:place], Tensor(moved), *inputs[place + 1 :]])
            ends.append([np.array(y._data, np.float64).reshape(-1) for y in outputs])
        columns.append([(high - low) / (2 * eps) for high, low in zip(*ends, strict=True)])
    if not columns:
        return [np.zeros((y.numel(), 0)) for y in _outputs(func, inputs)]
    return [np.stack(column, 1) for column in zip(*columns, strict=True)]
