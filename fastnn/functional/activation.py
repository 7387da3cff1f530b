"""Elementwise activations: a differentiable operation for every function of `fastnn_kernels.ACTIVATIONS`.

Each takes ``inplace=True``, as PyTorch's do: see `differentiable`.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, Signature, signature
from typing import Any

import fastnn_kernels as kernels
from fastnn.tape import Array, WithBackward, differentiable
from fastnn_kernels import ACTIVATIONS

IN_PLACE = ("celu", "elu", "hardtanh", "leaky_relu", "relu", "selu", "threshold")  # that have a name ending in _, too


@differentiable(in_place=True)
def gelu(input: Array, approximate: str = "none", *, out: Any = None) -> WithBackward:
    """Give x times the probability that a normal variable is below x; approximate="tanh" for the one of GPT-2."""
    y = kernels.gelu(input, approximate, out=out)
    return y, lambda dy, needs: (kernels.gelu_backward(dy, input, approximate),)


def _operation(name: str) -> Callable[..., Any]:
    """Make the operation of an entry."""
    forward, backward = getattr(kernels, name), getattr(kernels, f"{name}_backward")
    of_output = ACTIVATIONS[name].gradient_of == "output"

    def operation(input: Array, *parameters: float, out: Any = None, **named: float) -> WithBackward:
        y = forward(input, *parameters, out=out, **named)
        kept = y if of_output else input
        return y, lambda dy, needs: (backward(dy, kept, *parameters, **named),)

    operation.__name__ = operation.__qualname__ = name
    operation.__doc__ = forward.__doc__.replace("Return", "Give", 1)
    made = differentiable(in_place=True)(operation)
    known = [p for p in signature(forward).parameters.values() if p.name != "out"]
    made.__signature__ = Signature([*known, Parameter("inplace", Parameter.KEYWORD_ONLY, default=False)])  # type: ignore[attr-defined]
    return made


_operations = {name: _operation(name) for name in ACTIVATIONS if name not in ("gelu", "gelu_tanh", "exp", "log")}


def _in_place(name: str) -> Callable[..., Any]:
    """Make PyTorch's function whose name ends in _: the operation with inplace=True."""

    def operation(input: Any, *parameters: Any, **named: Any) -> Any:
        return _operations[name](input, *parameters, inplace=True, **named)

    operation.__name__ = operation.__qualname__ = f"{name}_"
    operation.__doc__ = f"Do as `{name}` with ``inplace=True``."
    return operation


_operations |= {f"{name}_": _in_place(name) for name in IN_PLACE}
globals().update(_operations)
__all__ = ["gelu", *_operations]  # noqa: PLE0604
