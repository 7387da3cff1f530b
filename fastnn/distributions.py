"""Distributions to draw from, with logarithms of densities that have gradients: for policies and latent variables."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastnn import functional as F
from fastnn._constructors import as_tensor
from fastnn._draws import bernoulli, multinomial, randn
from fastnn.tape import no_grad

__all__ = ["Bernoulli", "Categorical", "Distribution", "Normal", "kl_divergence"]


def _number(distribution: Any, name: str, x: Any) -> Any:
    """Give a parameter as a tensor of float32 or float64; without numbers that are not there."""
    made = as_tensor(x)
    if made.dtype not in (np.float32, np.float64):
        made = made.float()
    if np.isnan(made.detach().numpy()).any():
        raise ValueError(f"{type(distribution).__name__}: {name} has NaN among its numbers")
    return made


def _one_of(distribution: Any, probs: Any, logits: Any) -> tuple[Any, bool]:
    """Give the parameter that was given, and whether it is `probs`."""
    if (probs is None) == (logits is None):
        raise ValueError(f"{type(distribution).__name__}: expected either probs or logits")
    if probs is None:
        return _number(distribution, "logits", logits), False
    made = _number(distribution, "probs", probs)
    if (made.detach().numpy() < 0).any():
        raise ValueError(f"{type(distribution).__name__}: probs must not be negative")
    return made, True


class Distribution:
    """What all distributions share. `batch_shape` is the shape of the parameters; a draw is one number for each."""

    batch_shape: tuple[int, ...] = ()
    event_shape: tuple[int, ...] = ()

    def log_prob(self, value: Any) -> Any:
        """Give the logarithm of the density or probability at `value`, which is broadcast with the parameters."""
        raise NotImplementedError(f"{type(self).__name__} has no log_prob")

    def rsample(self, sample_shape: Any = ()) -> Any:
        """Draw so that the draws have gradients with regard to the parameters."""
        raise NotImplementedError(f"{type(self).__name__} has no rsample: its draws have no gradients")

    def sample(self, sample_shape: Any = ()) -> Any:
        """Draw `sample_shape` times; the result is (*sample_shape, *batch_shape), without gradients."""
        with no_grad():
            return self.rsample(sample_shape)

    @property
    def variance(self) -> Any:
        """The variance."""
        raise NotImplementedError(f"{type(self).__name__} has no variance")

    @property
    def stddev(self) -> Any:
        """The standard deviation."""
        return self.variance.sqrt()

    def _drawn(self, sample_shape: Any) -> tuple[int, ...]:
        return (*sample_shape, *self.batch_shape)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(batch_shape={tuple(self.batch_shape)})"


class Categorical(Distribution):
    """Choices from 0 to K - 1, of weights `probs` or their logarithms `logits`, one of them, each (..., K).

    `probs` need not sum to one. A ValueError tells of NaN and of negative weights.
    """

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: Any = None) -> None:
        x, given = _one_of(self, probs, logits)
        if x.ndim < 1:
            raise ValueError("Categorical: expected weights of at least one dimension, got a number")
        if given:
            self.probs = x / x.sum(-1, keepdim=True)
            eps = float(np.finfo(x.dtype).eps)
            self.logits = self.probs.clamp(eps, 1 - eps).log()
        else:
            self.logits = F.log_softmax(x, -1)
            self.probs = F.softmax(x, -1)
        self.batch_shape = tuple(x.shape[:-1])

    def sample(self, sample_shape: Any = ()) -> Any:
        """Draw numbers of classes, int64."""
        classes, shape = self.probs.shape[-1], self._drawn(sample_shape)
        count = math.prod(sample_shape)
        drawn = multinomial(self.probs.detach().reshape(-1, classes), max(count, 1), True)
        return drawn.t()[:count].reshape(shape)

    def log_prob(self, value: Any) -> Any:
        """Give the logarithm of the probability of classes."""
        index, logits = F.broadcast_tensors(as_tensor(value).long().unsqueeze(-1), self.logits)
        return logits.gather(-1, index[..., :1]).squeeze(-1)

    def entropy(self) -> Any:
        """Give the entropy in nats; classes without weight add nothing."""
        lowest = float(np.finfo(self.logits.dtype).min)
        return -(self.probs * self.logits.clamp(min=lowest)).sum(-1)

    @property
    def mode(self) -> Any:
        """The class of most weight."""
        return self.probs.argmax(-1)


class Bernoulli(Distribution):
    """Zeros and ones: a one with probability `probs`, or of log odds `logits`. A ValueError tells of others."""

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: Any = None) -> None:
        x, given = _one_of(self, probs, logits)
        if given:
            if (x.detach().numpy() > 1).any():
                raise ValueError("Bernoulli: probs must not exceed 1")
            self.probs = x
            eps = float(np.finfo(x.dtype).eps)
            inside = x.clamp(eps, 1 - eps)
            self.logits = inside.log() - F.log1p(-inside)
        else:
            self.probs, self.logits = F.sigmoid(x), x
        self.batch_shape = tuple(x.shape)

    def sample(self, sample_shape: Any = ()) -> Any:
        """Draw zeros and ones, of the parameters' dtype."""
        return bernoulli(self.probs.detach().expand(self._drawn(sample_shape)))

    def log_prob(self, value: Any) -> Any:
        """Give the logarithm of the probability of zeros and ones."""
        value, logits = F.broadcast_tensors(as_tensor(value, dtype=self.logits.dtype), self.logits)
        return -F.binary_cross_entropy_with_logits(logits, value, reduction="none")

    def entropy(self) -> Any:
        """Give the entropy in nats."""
        return F.binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")

    @property
    def mean(self) -> Any:
        """The probability of a one."""
        return self.probs

    @property
    def variance(self) -> Any:
        """The variance."""
        return self.probs * (1 - self.probs)


class Normal(Distribution):
    """Normal distributions of mean `loc` and standard deviation `scale`, which are broadcast.

    A ValueError tells of NaN, and of a `scale` that is not positive.
    """

    def __init__(self, loc: Any, scale: Any, validate_args: Any = None) -> None:
        self.loc, self.scale = F.broadcast_tensors(_number(self, "loc", loc), _number(self, "scale", scale))
        if not (self.scale.detach().numpy() > 0).all():
            raise ValueError("Normal: scale must be positive")
        self.batch_shape = tuple(self.loc.shape)

    def rsample(self, sample_shape: Any = ()) -> Any:
        """Draw ``loc + scale * noise``."""
        return self.loc + self.scale * randn(*self._drawn(sample_shape), dtype=self.loc.dtype)

    def log_prob(self, value: Any) -> Any:
        """Give -((x - loc) / scale)^2 / 2 - log(scale) - log(2 pi) / 2."""
        z = (as_tensor(value, dtype=self.loc.dtype) - self.loc) / self.scale
        return -(z**2) / 2 - self.scale.log() - math.log(2 * math.pi) / 2

    def entropy(self) -> Any:
        """Give the entropy in nats."""
        return self.scale.log() + (1 + math.log(2 * math.pi)) / 2

    def cdf(self, value: Any) -> Any:
        """Give the probability of at most `value`."""
        z = (as_tensor(value, dtype=self.loc.dtype) - self.loc) / (self.scale * math.sqrt(2))
        return (1 + F.erf(z)) / 2

    @property
    def mean(self) -> Any:
        """The mean, `loc`."""
        return self.loc

    @property
    def stddev(self) -> Any:
        """The standard deviation, `scale`."""
        return self.scale

    @property
    def variance(self) -> Any:
        """The variance."""
        return self.scale**2


def kl_divergence(p: Distribution, q: Distribution) -> Any:
    """Give the divergence of Kullback and Leibler of `p` from `q`, two of the same kind, in nats."""
    if isinstance(p, Normal) and isinstance(q, Normal):
        ratio, shift = (p.scale / q.scale) ** 2, ((p.loc - q.loc) / q.scale) ** 2
        return (ratio + shift - 1 - ratio.log()) / 2
    if isinstance(p, Categorical) and isinstance(q, Categorical):
        return (p.probs * (p.logits - q.logits)).sum(-1)
    if isinstance(p, Bernoulli) and isinstance(q, Bernoulli):
        cross = F.binary_cross_entropy_with_logits(q.logits, p.probs, reduction="none")
        return cross - p.entropy()
    raise NotImplementedError(f"kl_divergence: not there for {type(p).__name__} and {type(q).__name__}")
