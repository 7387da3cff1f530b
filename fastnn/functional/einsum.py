"""Sums of products that an equation of letters describes, by permutations, reshapes and matrix products.

Two operands are contracted by one matrix product; more of them pair by pair, in the order of `numpy.einsum_path`.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np

from .arithmetic import mul
from .diagonals import diagonal
from .matmul import matmul
from .products import ordered
from .reduction import sum as total
from .shaping import check_array, reshape

__all__ = ["einsum"]

Labels = tuple[Any, ...]  # a letter, or an integer for a dimension of an ellipsis, counted from the last
DOTS = "..."


def einsum(equation: Any, *operands: Any) -> Any:
    """Give sums of products: ``einsum("bij,bjk->bik", x, y)``, or with lists of integers, ``einsum(x, [0, 1], ...)``.

    Each operand's letters name its dimensions. Those missing to the right of the arrow are summed over; without an
    arrow, the result has those that occur once, in alphabetical order. A letter twice in one operand takes its
    diagonal; "..." stands for any further dimensions, which are broadcast; spaces do not count. Dimensions of length 1
    are broadcast, as in PyTorch.

    Raises ValueError for an equation that makes no sense or does not fit the shapes; TypeError for no tensors.
    """
    terms, result, arrays = _parsed(equation, operands)
    for i, x in enumerate(arrays):
        check_array("einsum", f"operands[{i}]", x)
    if len(arrays) == 2 and isinstance(equation, str):
        found = _of_two(equation, tuple(arrays[0].shape), tuple(arrays[1].shape))
        if found is not None:
            return ordered(_joined(arrays[0], arrays[1], found[0]), found[1])
    labels = [_labelled(term, x.shape, i) for i, (term, x) in enumerate(zip(terms, arrays, strict=True))]
    sizes = _sizes(labels, [tuple(x.shape) for x in arrays])
    out = _result(result, terms, labels)
    missing = [label for label in out if label not in sizes]
    if missing:
        raise ValueError(f"einsum: {missing[0]!r} of the result is in no operand")
    parts = [_plain(x, own, sizes) for x, own in zip(arrays, labels, strict=True)]
    for pair in _path(parts, out, sizes):
        chosen = [parts.pop(i) for i in sorted(pair, reverse=True)][::-1]
        joined = chosen[0]
        for j, other in enumerate(chosen[1:], 1):
            needed = {label for _, own in (*parts, *chosen[j + 1 :]) for label in own} | set(out)
            joined = _pair(joined, other, needed)
        parts.append(joined)
    x, own = _summed(*parts[0], set(out))
    return ordered(x, [own.index(label) for label in out])


def _parsed(equation: Any, operands: tuple[Any, ...]) -> tuple[list[list[str]], list[str] | None, list[Any]]:
    """Give the letters of each operand and of the result, None if it has no arrow, and the operands."""
    if not isinstance(equation, str):
        return _of_lists((equation, *operands))
    arrays = list(operands[0]) if len(operands) == 1 and isinstance(operands[0], tuple | list) else list(operands)
    terms, result = _read(equation)
    if len(terms) != len(arrays) or not arrays:
        raise ValueError(f"einsum: {equation!r} is for {len(terms)} operands, got {len(arrays)}")
    return terms, result, arrays


@lru_cache(256)
def _read(equation: str) -> tuple[list[list[str]], list[str] | None]:
    left, arrow, right = equation.replace(" ", "").partition("->")
    return [_letters(term, equation) for term in left.split(",")], _letters(right, equation) if arrow else None


def _letters(term: str, equation: str) -> list[str]:
    head, dots, tail = term.partition(DOTS)
    made = [*head, *([DOTS] if dots else []), *tail]
    if any(label != DOTS and not (label.isascii() and label.isalpha()) for label in made):
        raise ValueError(f"einsum: {equation!r} may hold letters, commas, one '->' and '...', got {term!r}")
    return made


def _of_lists(given: tuple[Any, ...]) -> tuple[list[list[str]], list[str] | None, list[Any]]:
    """Read operands that are each followed by a list of integers or Ellipsis; a last list is that of the result."""
    lists = given[1::2] if len(given) % 2 == 0 else (*given[1::2], given[-1])
    if len(given) < 2 or not all(isinstance(one, list | tuple) for one in lists):
        raise TypeError("einsum: expected an equation and tensors, or tensors that are each followed by a list")
    made = []
    for one in lists:
        if not all(i is Ellipsis or (isinstance(i, int | np.integer) and 0 <= i < 52) for i in one):
            raise ValueError(f"einsum: lists must hold integers of 0 .. 51 or Ellipsis, got {one!r}")
        made.append([DOTS if i is Ellipsis else _name(int(i)) for i in one])
    arrays = list(given[::2][: len(given) // 2])
    return made[: len(arrays)], made[len(arrays)] if len(given) % 2 else None, arrays


def _name(i: int) -> str:
    return chr(ord("A") + i) if i < 26 else chr(ord("a") + i - 26)


def _labelled(term: list[str], shape: tuple[int, ...], number: int) -> Labels:
    """Name all dimensions of an operand: those of an ellipsis by integers from the last one, which is 0."""
    more = len(shape) - len(term) + (DOTS in term)
    if more < 0 or term.count(DOTS) > 1 or (more and DOTS not in term):
        raise ValueError(f"einsum: operands[{number}] of shape {shape} does not fit {''.join(term)!r}")
    if DOTS not in term:
        return tuple(term)
    at = term.index(DOTS)
    return (*term[:at], *range(more - 1, -1, -1), *term[at + 1 :])


def _sizes(labels: list[Labels], shapes: list[tuple[int, ...]]) -> dict[Any, int]:
    """Give the length of each label; those of length 1 are broadcast."""
    sizes: dict[Any, int] = {}
    for own, shape in zip(labels, shapes, strict=True):
        for label, n in zip(own, shape, strict=True):
            known = sizes.setdefault(label, n)
            if known == 1:
                sizes[label] = n
            elif n not in (1, known):
                which = repr(label) if isinstance(label, str) else "a dimension of '...'"
                raise ValueError(f"einsum: {which} has lengths {known} and {n}, shapes {shapes}")
    return sizes


def _result(result: list[str] | None, terms: list[list[str]], labels: list[Labels]) -> Labels:
    dots = sorted({label for own in labels for label in own if not isinstance(label, str)}, reverse=True)
    if result is None:
        every = [label for term in terms for label in term if label != DOTS]
        return (*dots, *sorted(label for label in set(every) if every.count(label) == 1))
    named = [label for label in result if label != DOTS]
    if len(set(named)) < len(named) or result.count(DOTS) > 1:
        raise ValueError(f"einsum: the result {''.join(result)!r} holds a letter twice")
    if DOTS not in result:
        return tuple(result)
    at = result.index(DOTS)
    return (*result[:at], *dots, *result[at + 1 :])


def _plain(x: Any, own: Labels, sizes: dict[Any, int]) -> tuple[Any, Labels]:
    """Take diagonals of letters that come twice, and drop dimensions that are to be broadcast."""
    for label in dict.fromkeys(own):
        while own.count(label) > 1:
            a = own.index(label)
            b = own.index(label, a + 1)
            if x.shape[a] != x.shape[b]:
                raise ValueError(f"einsum: {label!r} has lengths {x.shape[a]} and {x.shape[b]} in one operand")
            x = diagonal(x, 0, a, b)
            own = (*(other for i, other in enumerate(own) if i not in (a, b)), label)
    keep = [i for i, label in enumerate(own) if x.shape[i] == sizes[label]]
    if len(keep) < len(own):
        x, own = reshape(x, [x.shape[i] for i in keep]), tuple(own[i] for i in keep)
    return x, own


def _path(parts: list[tuple[Any, Labels]], out: Labels, sizes: dict[Any, int]) -> list[tuple[int, ...]]:
    """Give which operands to join in turn; each result becomes the last one."""
    if len(parts) < 3:
        return [(0, 1)] if len(parts) == 2 else []
    numbers = {label: i for i, label in enumerate(sizes)}
    given: list[Any] = []
    for x, own in parts:
        given += [np.broadcast_to(np.float32(0), tuple(x.shape)), [numbers[label] for label in own]]
    steps = np.einsum_path(*given, [numbers[label] for label in out], optimize="greedy")[0][1:]
    return [tuple(step) for step in steps]


def _summed(x: Any, own: Labels, needed: set[Any]) -> tuple[Any, Labels]:
    """Sum over the dimensions that nobody needs."""
    dims = tuple(i for i, label in enumerate(own) if label not in needed)
    return (total(x, dims), tuple(label for label in own if label in needed)) if dims else (x, own)


def _pair(a: tuple[Any, Labels], b: tuple[Any, Labels], needed: set[Any]) -> tuple[Any, Labels]:
    """Join two operands: multiply, and sum over what neither the result nor another operand needs."""
    (x, of_x), (y, of_y) = _summed(*a, needed | set(b[1])), _summed(*b, needed | set(a[1]))
    how = _contraction(of_x, tuple(x.shape), of_y, tuple(y.shape), frozenset(needed))
    return _joined(x, y, how), how.labels


class _Contraction(NamedTuple):
    """How two operands are joined: put in order, reshaped, multiplied as matrices or else element by element."""

    orders: tuple[list[int], list[int]]
    forms: tuple[tuple[int, ...], tuple[int, ...]]
    matrices: bool
    shape: tuple[int, ...]
    labels: Labels  # of the result's dimensions


@lru_cache(512)
def _contraction(
    of_x: Labels, shape_x: tuple[int, ...], of_y: Labels, shape_y: tuple[int, ...], needed: frozenset[Any]
) -> _Contraction:
    both = [label for label in of_x if label in of_y]
    batch, inner = [c for c in both if c in needed], [c for c in both if c not in needed]
    left, right = [c for c in of_x if c not in both], [c for c in of_y if c not in both]
    orders = [of_x.index(c) for c in (*batch, *left, *inner)], [of_y.index(c) for c in (*batch, *inner, *right)]
    stack, rows, columns, count = (
        [shape[own.index(c)] for c in labels]
        for own, shape, labels in (
            (of_x, shape_x, batch), (of_x, shape_x, left), (of_y, shape_y, right), (of_x, shape_x, inner),
        )
    )  # fmt: skip
    forms: tuple[tuple[int, ...], tuple[int, ...]]
    if inner:
        several = [prod(stack)] if batch else []
        forms = (*several, prod(rows), prod(count)), (*several, prod(count), prod(columns))
    else:
        forms = (*stack, *rows, *[1] * len(right)), (*stack, *[1] * len(left), *columns)
    return _Contraction(orders, forms, bool(inner), (*stack, *rows, *columns), (*batch, *left, *right))


def _joined(x: Any, y: Any, how: _Contraction) -> Any:
    a, b = (_formed(ordered(z, order), form) for z, order, form in zip((x, y), how.orders, how.forms, strict=True))
    return _formed(matmul(a, b), how.shape) if how.matrices else mul(a, b)


def _formed(x: Any, shape: tuple[int, ...]) -> Any:
    return x if x.shape == shape else reshape(x, shape)


@lru_cache(512)
def _of_two(equation: str, a: tuple[int, ...], b: tuple[int, ...]) -> tuple[_Contraction, list[int]] | None:
    """Give how two operands of these shapes are joined and the result's order; None where more is to be done."""
    terms, result = _read(equation)
    if len(terms) != 2:
        return None
    labels = [_labelled(term, shape, i) for i, (term, shape) in enumerate(zip(terms, (a, b), strict=True))]
    sizes, out = _sizes(labels, [a, b]), _result(result, terms, labels)
    for own, other, shape in ((labels[0], labels[1], a), (labels[1], labels[0], b)):
        if len(set(own)) < len(own) or any(c not in out and c not in other for c in own):
            return None
        if any(n != sizes[c] for c, n in zip(own, shape, strict=True)) or any(c not in sizes for c in out):
            return None
    how = _contraction(labels[0], a, labels[1], b, frozenset(out))
    return how, [how.labels.index(c) for c in out]
