"""Elementwise functions on arrays of any shape: an entry point and its gradient for each of `formulas.activation`.

All take float32 or float64 arrays of any strides (TypeError for others), and write to a new array, whose axes lie in
memory as the input's do, or to `out`, which must have the shape and dtype of the result and not overlap an input
(ValueError), or be the input itself: then the function works in place. Parameters are numbers (TypeError for others).

Errors in ulp are the largest over all 2^32 float32 arguments, and over millions of random float64 ones.
"""

from collections.abc import Callable
from typing import Any

from .formulas.activation import FORMULAS
from .formulas.formula import Formula
from .ground.elementwise import ElementwiseOperation, elementwise_entry


def gelu(input, approximate="none", *, out=None):
    """Return x times the probability that a normal variable is below x (Hendrycks & Gimpel, 2016).

    approximate="tanh": x / (1 + e^-u) with u = 2 sqrt(2 / pi) (x + 0.044715 x^3), as in GPT-2. Others: ValueError.
    Relative accuracy holds in the left tail too, where 1 + erf would cancel; see `docs/activations.md`.
    """
    return _GELU[_approximation("gelu", approximate)](input, out=out)


def gelu_backward(dy, input, approximate="none", *, out=None):
    """Return dy times the slope of gelu at its input."""
    return _GELU_BACKWARD[_approximation("gelu_backward", approximate)](dy, input, out=out)


def _approximation(function, approximate):
    if type(approximate) is str and approximate in ("none", "tanh"):
        return approximate
    raise ValueError(f"{function}: approximate must be 'none' or 'tanh', got {approximate!r}")


def _forward(spec: Formula, module: str):
    """Make the public function of a formula."""
    accuracy = "Exact." if not any(spec.ulp) else f"At most {spec.ulp[0]} ulp in float32, {spec.ulp[1]} in float64."
    summary, _, rest = spec.doc.partition("\n\n")
    text = "\n\n".join(filter(None, (f"Return {summary}.", rest, accuracy)))
    return _entry(spec.name, module, ("input",), spec.parameters, text)


def _backward(spec: Formula, module: str):
    """Make the public function of a formula's gradient."""
    second = {"output": "y", "input": "input"}[spec.gradient_of]
    text = f"Return dy times the slope of {spec.name} at its {spec.gradient_of}{' y' * (second == 'y')}."
    return _entry(f"{spec.name}_backward", module, ("dy", second), spec.parameters, text)


def _entry(name, module, arrays, parameters, text):
    return elementwise_entry(ElementwiseOperation(name, module, arrays, parameters), parameters, text)


def entries_of(formulas: dict[str, Formula], module: str) -> dict[str, Callable[..., Any]]:
    """Make the public functions of formulas and of their gradients. module: whose twins in the back ends plan them."""
    made = {}
    for spec in formulas.values():
        made[spec.name] = _forward(spec, module)
        made[f"{spec.name}_backward"] = _backward(spec, module)
    return made


_entries = entries_of(FORMULAS, __name__)
_GELU = {"none": _entries.pop("gelu"), "tanh": _entries.pop("gelu_tanh")}
_GELU_BACKWARD = {"none": _entries.pop("gelu_backward"), "tanh": _entries.pop("gelu_tanh_backward")}
globals().update(_entries)
__all__ = ["gelu", "gelu_backward", *_entries]  # noqa: PLE0604
