"""Tensors of random numbers, under PyTorch's names. All are drawn from `manual_seed`'s stream, or from `generator`.

`generator` is a `fastnn.Generator` (or NumPy's). Other options as in `_constructors`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn._constructors import _like, _sized, finish, shape_of
from fastnn._dtypes import FLOATS, dtype_for, dtype_of, get_default_dtype
from fastnn._tensor import Tensor, unwrap
from fastnn.random import numpy_generator

__all__ = [
    "bernoulli",
    "multinomial",
    "normal",
    "poisson",
    "rand",
    "rand_like",
    "randint",
    "randint_like",
    "randn",
    "randn_like",
    "randperm",
]


def uniform_array(generator: Any, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Draw numbers of 0 <= x < 1."""
    drawn = numpy_generator(generator).random(shape, dtype if dtype in FLOATS else np.float32)
    return np.asarray(drawn).astype(dtype, copy=False)


def normal_array(generator: Any, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Draw standard normal numbers."""
    drawn = numpy_generator(generator).standard_normal(shape, dtype if dtype in FLOATS else np.float32)
    return np.asarray(drawn).astype(dtype, copy=False)


def _float_of(function: str, dtype: Any) -> Any:
    made = dtype_of(function, dtype or get_default_dtype())
    if made.kind != "f":
        raise TypeError(f"{function}: dtype must be one of floats, got {made}")
    return made


def rand(*size: Any, generator: Any = None, dtype: Any = None, **options: Any) -> Tensor:
    """Draw numbers of 0 <= x < 1, all as probable."""
    shape = shape_of("rand", _sized(size, options.pop("size", None)))
    return finish("rand", uniform_array(generator, shape, _float_of("rand", dtype)), **options)


def randn(*size: Any, generator: Any = None, dtype: Any = None, **options: Any) -> Tensor:
    """Draw numbers of the normal distribution with mean 0 and variance 1."""
    shape = shape_of("randn", _sized(size, options.pop("size", None)))
    return finish("randn", normal_array(generator, shape, _float_of("randn", dtype)), **options)


def _whole(function: str, name: str, value: Any) -> int:
    value = value.item() if isinstance(value, Tensor | np.ndarray | np.generic) else value
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{function}: {name} must be an integer, got {value!r}")
    return value


def integers_array(
    function: str, generator: Any, low: Any, high: Any, shape: tuple[int, ...], dtype: Any
) -> np.ndarray:
    """Draw integers of low <= x < high."""
    low, high = _whole(function, "low", low), _whole(function, "high", high)
    if low >= high:
        raise ValueError(f"{function}: low must be below high, got {low} and {high}")
    return np.asarray(numpy_generator(generator).integers(low, high, shape)).astype(dtype, copy=False)


def randint(*bounds_and_size: Any, generator: Any = None, dtype: Any = None, **options: Any) -> Tensor:
    """Draw integers: ``randint(high, size)`` of 0 <= x < high, ``randint(low, high, size)`` of low <= x < high."""
    given = list(bounds_and_size)
    size = options.pop("size", None)
    size = given.pop() if size is None and given else size
    high = options.pop("high", None)
    high = given.pop() if high is None and given else high
    low = options.pop("low", given.pop() if given else 0)
    if given or size is None or high is None:
        raise TypeError("randint: expected (high, size) or (low, high, size)")
    drawn = integers_array(
        "randint", generator, low, high, shape_of("randint", (size,)), dtype_for("randint", dtype, 1)
    )
    return finish("randint", drawn, **options)


def rand_like(input: Any, *, generator: Any = None, dtype: Any = None, **options: Any) -> Tensor:
    """Draw as `rand`, with the shape and dtype of another tensor."""
    array, kind = _like("rand_like", input, dtype)
    return finish("rand_like", uniform_array(generator, array.shape, _float_of("rand_like", kind)), **options)


def randn_like(input: Any, *, generator: Any = None, dtype: Any = None, **options: Any) -> Tensor:
    """Draw as `randn`, with the shape and dtype of another tensor."""
    array, kind = _like("randn_like", input, dtype)
    return finish("randn_like", normal_array(generator, array.shape, _float_of("randn_like", kind)), **options)


def randint_like(
    input: Any, low: Any, high: Any = None, *, generator: Any = None, dtype: Any = None, **options: Any
) -> Tensor:
    """Draw integers of low <= x < high (of 0 <= x < low if that is all), with the shape and dtype of another tensor."""
    array, kind = _like("randint_like", input, dtype)
    low, high = (0, low) if high is None else (low, high)
    return finish("randint_like", integers_array("randint_like", generator, low, high, array.shape, kind), **options)


def randperm(n: int, *, generator: Any = None, dtype: Any = None, **options: Any) -> Tensor:
    """Draw an order of the integers 0 .. n - 1."""
    count = _whole("randperm", "n", n)
    if count < 0:
        raise ValueError(f"randperm: n must not be negative, got {count}")
    order = numpy_generator(generator).permutation(count)
    return finish("randperm", order.astype(dtype_for("randperm", dtype, 1), copy=False), **options)


def _probabilities(function: str, input: Any) -> np.ndarray:
    array = np.asarray(unwrap(input))
    if array.dtype.kind != "f":
        raise TypeError(f"{function}: input must hold floats, got {array.dtype}")
    return array


def bernoulli(input: Any, p: float | None = None, *, generator: Any = None, out: Any = None) -> Tensor:
    """Draw 1 with the probability that each element of `input` gives (or with `p`), else 0, in its dtype."""
    chances = _probabilities("bernoulli", input)
    if p is not None:
        chances = np.full(chances.shape, p, chances.dtype)
    return finish("bernoulli", bernoulli_array("bernoulli", generator, chances, chances.shape, chances.dtype), out)


def bernoulli_array(function: str, generator: Any, p: Any, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Draw 1 with probability `p`, a number or an array, else 0."""
    chances = np.asarray(unwrap(p))
    if not np.all((chances >= 0) & (chances <= 1)):
        raise ValueError(f"{function}: probabilities must be from 0 to 1")
    drawn: np.ndarray = np.less(numpy_generator(generator).random(shape), chances).astype(dtype)
    return drawn


def multinomial(
    input: Any, num_samples: int, replacement: bool = False, *, generator: Any = None, out: Any = None
) -> Tensor:
    """Draw `num_samples` indices per row of `input`, (N,) or (B, N), with its elements as weights: int64.

    Weights need not add up to 1. Raises ValueError for weights that are negative or not finite, for rows without a
    positive one, and for more samples than a row has positive weights where none may come twice.
    """
    weights = _probabilities("multinomial", input).astype(np.float64)
    count = _whole("multinomial", "num_samples", num_samples)
    if weights.ndim not in (1, 2) or count < 1:
        raise ValueError(
            f"multinomial: expected weights (N,) or (B, N) and at least 1 sample, got {weights.shape} and {count}"
        )
    rows = np.atleast_2d(weights)
    if not np.all(np.isfinite(rows) & (rows >= 0)) or not np.all(rows.sum(1) > 0):
        raise ValueError("multinomial: weights must be finite, not negative, and some of each row positive")
    draw = numpy_generator(generator)
    if replacement:
        ends = np.cumsum(rows, 1)
        points = draw.random((len(rows), count)) * ends[:, -1:]
        last = rows.shape[1] - 1 - np.argmax(rows[:, ::-1] > 0, 1)  # rounding must not lead beyond it
        found = [np.searchsorted(end, point, "right") for end, point in zip(ends, points, strict=True)]
        drawn = np.minimum(np.reshape(found, points.shape), last[:, None])
    else:
        if count > np.count_nonzero(rows, 1).min(initial=rows.shape[1]):
            raise ValueError(f"multinomial: {count} samples without replacement, but fewer weights are positive")
        with np.errstate(divide="ignore"):  # exponential times: the first to ring is drawn first (Efraimidis, 2006)
            times = draw.standard_exponential(rows.shape) / rows
        drawn = np.argsort(times, 1)[:, :count]
    shape = (*weights.shape[:-1], count)
    return finish("multinomial", drawn.reshape(shape).astype(np.int64, copy=False), out)


def normal(
    mean: Any = 0.0, std: Any = 1.0, size: Any = None, *, generator: Any = None, dtype: Any = None, **options: Any
) -> Tensor:
    """Draw normal numbers. mean, std: tensors of one number per element, or numbers for all (with `size`)."""
    centre, width = np.asarray(unwrap(mean)), np.asarray(unwrap(std))
    if np.any(width < 0):
        raise ValueError("normal: std must not be negative")
    shape = np.broadcast_shapes(centre.shape, width.shape) if size is None else shape_of("normal", (size,))
    given = [x.dtype for x in (centre, width) if x.ndim and x.dtype.kind == "f"]
    kind = _float_of("normal", dtype or (given[0] if given else None))
    drawn = normal_array(generator, shape, kind)
    drawn = (drawn * width.astype(kind) + centre.astype(kind)).astype(kind, copy=False)
    return finish("normal", drawn, **options)


def poisson(input: Any, generator: Any = None) -> Tensor:
    """Draw a number of events per element of `input`, the number that is expected, in its dtype."""
    rates = _probabilities("poisson", input)
    if not np.all(rates >= 0):
        raise ValueError("poisson: rates must not be negative")
    return finish("poisson", np.asarray(numpy_generator(generator).poisson(rates)).astype(rates.dtype))
