"""Dropout of elements and of channels."""

from itertools import product
from math import prod

import numpy as np

from ..ground.backend import plans
from ..ground.checks import word
from ..ground.outputs import deliver
from .philox import random_words

NAMES = ["".join(parts) for parts in product(("", "feature_"), ("", "alpha_"), ("dropout",), ("", "_backward"))]


@plans(*NAMES)
def dropout(problem):
    """X scale + shift where a random word reaches the threshold, else 0 x + low."""
    shape, dtype = problem.result
    drawn = shape[:2] if problem.channels else shape

    def run(out, x, p, seed, offset):
        seed, offset = word(problem.name, "seed", seed), word(problem.name, "offset", offset)
        kept = random_words(prod(drawn), seed, offset) >= problem.threshold
        kept = kept.reshape(drawn + (1,) * (len(shape) - len(drawn)))
        y = x * np.where(kept, problem.scale, 0) + np.where(kept, problem.shift, problem.low)
        return deliver(out, y.astype(dtype))

    return run
