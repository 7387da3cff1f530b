"""Functions of elements that are made of others in a line or two."""

from __future__ import annotations

from math import log, pi
from typing import Any

import numpy as np

from fastnn.tape import Tensor, unwrap, wrap

from .arithmetic import clamp, div, maximum, mul, pow, sub, where
from .arithmetic import log as logarithm
from .mathematics import log1p, sign, sin
from .operands import logaddexp
from .promotion import cast, floating
from .shaping import check_array

__all__ = [
    "deg2rad", "float_power", "heaviside", "isneginf", "isposinf", "isreal", "ldexp", "logaddexp2", "logit",
    "nan_to_num", "positive", "rad2deg", "sgn", "sinc",
]  # fmt: skip

sgn = sign


def positive(input: Any) -> Any:
    """Give the input itself."""
    return input


def deg2rad(input: Any) -> Any:
    """Give radians for degrees."""
    return mul(input, pi / 180)


def rad2deg(input: Any) -> Any:
    """Give degrees for radians."""
    return mul(input, 180 / pi)


def float_power(input: Any, exponent: Any) -> Any:
    """Give ``input ** exponent``, computed in float64."""
    a, b = (cast(x, np.float64) if hasattr(x, "dtype") else float(x) for x in (input, exponent))
    return pow(a, b)


def ldexp(input: Any, other: Any) -> Any:
    """Give ``input * 2 ** other``."""
    return mul(input, pow(2.0, other))


def logaddexp2(input: Any, other: Any) -> Any:
    """Give log2(2^input + 2^other)."""
    return div(logaddexp(mul(input, log(2)), mul(other, log(2))), log(2))


def logit(input: Any, eps: float | None = None) -> Any:
    """Give log(input / (1 - input)), the inverse of sigmoid; NaN beyond 0 .. 1.

    eps: to which distance from 0 and 1 the input is limited before.
    """
    x = input if eps is None else clamp(input, float(eps), 1 - float(eps))
    return sub(logarithm(x), log1p(mul(x, -1.0)))  # neg would wrap unsigned integers


def sinc(input: Any) -> Any:
    """Give sin(pi x) / (pi x), 1 at 0."""
    x = input if isinstance(input, Tensor) else floating("sinc", input)
    zero = np.equal(unwrap(x), 0)
    angle = mul(where(zero, 1.0, x), pi)
    return where(zero, 1.0, div(sin(angle), angle))


def nan_to_num(input: Any, nan: float | None = 0.0, posinf: float | None = None, neginf: float | None = None) -> Any:
    """Put numbers in the place of NaN and infinities: nan (0 for None), the largest and the smallest of the dtype."""
    check_array("nan_to_num", "input", input)
    x = np.asarray(unwrap(input))
    if x.dtype.kind != "f":
        return input
    limits = np.finfo(x.dtype)
    y = where(np.isnan(x), 0.0 if nan is None else float(nan), input)
    y = where(np.isposinf(x), float(limits.max if posinf is None else posinf), y)
    return where(np.isneginf(x), float(limits.min if neginf is None else neginf), y)


def heaviside(input: Any, values: Any) -> Any:
    """Give 0 below 0, 1 above and `values` at 0; NaN for NaN. The gradient of input is 0."""
    return where(np.equal(unwrap(input), 0), values, maximum(sign(input), 0))


def _question(name: str, ask: Any, text: str) -> Any:
    def operation(input: Any) -> Any:
        y = ask(unwrap(input))
        return wrap(y) if isinstance(input, Tensor) else y

    operation.__name__ = operation.__qualname__ = name
    operation.__doc__ = f"Tell which elements are {text}."
    return operation


isposinf = _question("isposinf", np.isposinf, "positive infinity")
isneginf = _question("isneginf", np.isneginf, "negative infinity")
isreal = _question("isreal", np.isreal, "real: all of them")
