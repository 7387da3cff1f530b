"""Slopes learned per channel, random slopes, and gates."""

from math import prod

import numpy as np

from ..ground.backend import plans
from ..ground.checks import word
from ..ground.outputs import deliver
from .philox import random_words


def _along_channels(weight, x):
    return weight if len(weight) == 1 else weight.reshape(-1, *[1] * (x.ndim - 2))


@plans("prelu")
def prelu(problem):
    """X above 0, weight x below."""
    return lambda out, x, weight: deliver(None, np.where(x > 0, x, x * _along_channels(weight, x)))


@plans("prelu_backward")
def prelu_backward(problem):
    """Dy, weight dy below 0; and the sums of dy x over what is below 0."""

    def run(out, dy, x, weight):
        dx = np.where(x > 0, dy, dy * _along_channels(weight, x))
        dweight = np.where(x > 0, 0, dy * x)
        axes = None if len(weight) == 1 else (0, *range(2, x.ndim))
        return deliver(None, dx), deliver(None, dweight.sum(axes).reshape(weight.shape).astype(x.dtype))

    return run


@plans("rrelu", "rrelu_backward")
def rrelu(problem):
    """Dy where x is above 0, dy times a random slope below."""
    shape, dtype = problem.result

    def run(out, *arguments):
        *arrays, lower, upper, seed, offset = arguments
        words = random_words(prod(shape), word("rrelu", "seed", seed), word("rrelu", "offset", offset))
        slopes = lower + (upper - lower) * (words >> np.uint64(8)).reshape(shape) * 2.0**-24
        return deliver(out, (arrays[0] * np.where(arrays[-1] > 0, 1, slopes)).astype(dtype))

    return run


def _sigmoid(x):
    return np.where(x > 0, 1 / (1 + np.exp(-x)), np.exp(x) / (1 + np.exp(x)))


@plans("glu")
def glu(problem):
    """A sigmoid(b)."""

    def run(out, x, dim):
        a, b = np.split(x, 2, problem.dim)
        return deliver(None, a * _sigmoid(b))

    return run


@plans("glu_backward")
def glu_backward(problem):
    """Dy sigmoid(b), dy a sigmoid(b) (1 - sigmoid(b))."""

    def run(out, dy, x, dim):
        a, b = np.split(x, 2, problem.dim)
        s = _sigmoid(b)
        return deliver(None, np.concatenate([dy * s, dy * a * s * (1 - s)], problem.dim))

    return run
