"""How far to go in a given direction."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import NamedTuple

import numpy as np


class Point(NamedTuple):
    """A point on the ray: how far along it, the loss there, its gradient, and its slope along the ray."""

    t: float
    loss: float
    gradient: np.ndarray
    slope: float


def strong_wolfe(
    at: Callable[[float], Point],
    start: Point,
    t: float,
    longest: float,
    limit: int,
    c1: float = 1e-4,
    c2: float = 0.9,
    tolerance: float = 1e-9,
) -> tuple[Point, int]:
    """Find a point that satisfies the strong Wolfe conditions (Nocedal & Wright, 2006, algorithms 3.5 and 3.6).

    There the loss is below start.loss + c1 t start.slope, and the slope at most c2 times as steep as at the start.
    at: evaluates a point; t: the first to try; longest: the largest element of the direction, for a bracket shorter
    than `tolerance` is short enough; limit: of evaluations. Gives the best point found and the evaluations it took.
    The details (which cubic, how far from the ends of a bracket) are PyTorch's, which are those of minFunc.
    """

    def too_high(point: Point) -> bool:
        return point.loss > start.loss + c1 * point.t * start.slope

    def flat(point: Point) -> bool:
        return abs(point.slope) <= -c2 * start.slope

    before, here, count = start, at(t), 0
    while count < limit:  # go on until a minimum lies behind
        if too_high(here) or (count > 1 and here.loss >= before.loss):
            break
        if flat(here):
            return here, count + 1
        if here.slope >= 0:
            break
        next_t = _cubic(before, here, here.t + 0.01 * (here.t - before.t), 10 * here.t)
        before, here, count = here, at(next_t), count + 1
    else:
        before = start
    bracket = [before, here]
    low = 0 if bracket[0].loss <= bracket[1].loss else 1
    slow = False
    while count < limit:  # close in on it
        first, last = sorted((bracket[0].t, bracket[1].t))
        if (last - first) * longest < tolerance:
            break
        t = _cubic(bracket[0], bracket[1], first, last)
        margin = 0.1 * (last - first)
        near_an_end = min(last - t, t - first) < margin
        if near_an_end and (slow or t >= last or t <= first):
            t = last - margin if abs(t - last) < abs(t - first) else first + margin
            near_an_end = False
        slow = near_an_end
        here, count = at(t), count + 1
        if too_high(here) or here.loss >= bracket[low].loss:
            bracket[1 - low] = here
            low = 0 if bracket[0].loss <= bracket[1].loss else 1
            continue
        if not flat(here) and here.slope * (bracket[1 - low].t - bracket[low].t) >= 0:
            bracket[1 - low] = bracket[low]
        bracket[low] = here
        if flat(here):
            break
    return bracket[low], count + 1


def _cubic(a: Point, b: Point, low: float, high: float) -> float:
    """Give the minimum within low .. high of the cubic with the losses and slopes of two points."""
    if a.t > b.t:
        a, b = b, a
    bend = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    square = bend * bend - a.slope * b.slope
    root = sqrt(square) if square >= 0 else 0.0
    width = b.slope - a.slope + 2 * root
    if not square >= 0 or width == 0:
        return (low + high) / 2
    return min(max(b.t - (b.t - a.t) * ((b.slope + root - bend) / width), low), high)
