"""Every loss of elements and rows, with inputs and arguments: the tests of losses follow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Row(NamedTuple):
    """A loss by name, what makes its operands (those that are differentiated first) and its other arguments."""

    name: str
    make: Callable[[np.random.Generator], tuple[Any, ...]]
    options: dict[str, Any] = {}  # noqa: RUF012
    operands: int = 2  # that are differentiated


def normal(rng, *shape):
    """Draw from a normal distribution."""
    return rng.normal(size=shape)


def probabilities(rng, *shape):
    """Draw from 0.05 .. 0.95."""
    return rng.uniform(0.05, 0.95, shape)


def signs(rng, *shape):
    """Draw -1 or 1."""
    return rng.choice([-1.0, 1.0], shape)


SHAPE = (7, 5)
WEIGHT = np.array([0.5, 2.0, 1.0, 0.25, 3.0])
LABELS = np.array([[1, 0, -1, 2, 3], [4, -1, 0, 0, 0], [0, 1, 2, 3, 4], [-1, 0, 0, 0, 0], [3, 2, 1, -1, -1]])


def pair(rng):
    """Draw two arrays."""
    return normal(rng, *SHAPE), normal(rng, *SHAPE)


def three(rng):
    """Draw three arrays."""
    return *pair(rng), normal(rng, *SHAPE)


def signed(rng):
    """Draw numbers and signs."""
    return normal(rng, *SHAPE), signs(rng, *SHAPE)


def beside(rng):
    """Draw probabilities twice."""
    return probabilities(rng, *SHAPE), probabilities(rng, *SHAPE)


def counts(rng):
    """Draw logarithms of rates, and counts."""
    return normal(rng, *SHAPE), rng.poisson(2.0, SHAPE).astype(float)


def between(rng):
    """Draw logarithms of rates, and counts off the integers: Stirling's term jumps at 1."""
    x, t = counts(rng)
    return x, t + 0.4


def logs(rng):
    """Draw log-probabilities twice."""
    return tuple(np.log(x) for x in beside(rng))


TABLE = {
    "mse": Row("mse_loss", pair),
    "l1": Row("l1_loss", pair),
    "smooth_l1": Row("smooth_l1_loss", pair, {"beta": 0.7}),
    "huber": Row("huber_loss", pair, {"delta": 0.6}),
    "bce": Row("binary_cross_entropy", beside),
    "bce weight": Row("binary_cross_entropy", beside, {"weight": WEIGHT}),
    "logits": Row("binary_cross_entropy_with_logits", lambda rng: (5 * normal(rng, *SHAPE), beside(rng)[0])),
    "logits weights": Row(
        "binary_cross_entropy_with_logits",
        lambda rng: (5 * normal(rng, *SHAPE), beside(rng)[0]),
        {"weight": np.arange(1.0, 8.0)[:, None], "pos_weight": WEIGHT},
    ),
    "kl": Row("kl_div", lambda rng: (logs(rng)[0], beside(rng)[0])),
    "kl log": Row("kl_div", logs, {"log_target": True}),
    "hinge": Row("hinge_loss", signed, {"margin": 0.8}),
    "hinge_embedding": Row("hinge_embedding_loss", signed, {"margin": 0.8}, 1),
    "margin_ranking": Row("margin_ranking_loss", lambda rng: (*pair(rng), signs(rng, *SHAPE)), {"margin": 0.3}, 3),
    "soft_margin": Row("soft_margin_loss", lambda rng: (3 * normal(rng, *SHAPE), signs(rng, *SHAPE))),
    "poisson": Row("poisson_nll_loss", counts),
    "poisson full": Row("poisson_nll_loss", between, {"full": True}),
    "poisson rates": Row("poisson_nll_loss", lambda rng: (beside(rng)[0], counts(rng)[1]), {"log_input": False}),
    "poisson rates full": Row(
        "poisson_nll_loss",
        lambda rng: (beside(rng)[0], between(rng)[1]),
        {"log_input": False, "full": True, "eps": 0.1},
    ),
    "gaussian": Row("gaussian_nll_loss", lambda rng: (*pair(rng), beside(rng)[0]), {"full": True}, 3),
    "gaussian tight": Row("gaussian_nll_loss", lambda rng: (*pair(rng), beside(rng)[0]), {"eps": 0.01}, 3),
    "gaussian rows full": Row(
        "gaussian_nll_loss", lambda rng: (*pair(rng), probabilities(rng, 7, 1)), {"full": True}, 3
    ),
    "gaussian rows": Row("gaussian_nll_loss", lambda rng: (*pair(rng), probabilities(rng, 7)), {}, 3),
    "multilabel_soft_margin": Row(
        "multilabel_soft_margin_loss", lambda rng: (normal(rng, *SHAPE), 1.0 * (normal(rng, *SHAPE) > 0))
    ),
    "multilabel_soft_margin weight": Row(
        "multilabel_soft_margin_loss", lambda rng: (normal(rng, *SHAPE), beside(rng)[0]), {"weight": WEIGHT}
    ),
    "multi_margin": Row("multi_margin_loss", lambda rng: (normal(rng, *SHAPE), rng.integers(5, size=7)), {}, 1),
    "multi_margin squares": Row(
        "multi_margin_loss",
        lambda rng: (normal(rng, *SHAPE), rng.integers(5, size=7)),
        {"p": 2, "margin": 0.7, "weight": WEIGHT},
        1,
    ),
    "multilabel_margin": Row("multilabel_margin_loss", lambda rng: (normal(rng, 5, 5), LABELS), {}, 1),
    "cosine_embedding": Row("cosine_embedding_loss", lambda rng: (*pair(rng), signs(rng, 7)), {"margin": -0.4}),
    "triplet_margin": Row("triplet_margin_loss", three, {"margin": 2.0}, 3),
    "triplet_margin swap": Row("triplet_margin_loss", three, {"margin": 2.0, "p": 3.5, "swap": True}, 3),
    "triplet_margin largest": Row("triplet_margin_loss", three, {"margin": 2.0, "p": np.inf}, 3),
    "triplet_margin sums": Row("triplet_margin_loss", three, {"margin": 2.0, "p": 1.0}, 3),
}
