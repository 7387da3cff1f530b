"""Normalisation of channels with running statistics: over a batch, or of each image alone.

Arrays are (B, C, ...), float32 or float64 (TypeError for others), of any strides; channels-last images are normalised
without a copy and give channels-last results. Results have the arrays' common dtype. Running statistics are arrays (C,)
that training changes in place, by the momentum: r = (1 - momentum) r + momentum new. Variances normalise as those of
the population (divided by n) and run as those of a sample (by n - 1), as in PyTorch. See `rows` on accuracy,
`return_statistics` and gradients.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from ..ground.checks import flag, needed
from ..ground.operation import Layout, operation
from .rows import as_statistics, channel_groups, channels_of, check_gradient, gradient, pair


def batch_norm(
    input,
    running_mean,
    running_var,
    weight=None,
    bias=None,
    training=False,
    momentum=0.1,
    eps=1e-5,
    *,
    out=None,
    return_statistics=False,
):
    """Return (x - mean) / sqrt(variance + eps) weight + bias per channel (Ioffe & Szegedy, 2015).

    input (B, C, ...) -> the same; weight, bias, running_mean, running_var (C,). In training, mean and variance are
    those of the batch, and change the running ones, if given, in place; else they are the running ones.

    Raises ValueError for another number of channels, for one value per channel in training, and where there are no
    running statistics to use.
    """
    training = flag("batch_norm", "training", training)
    given = _split(running_mean, running_var, training, momentum)
    return _batch_norm.run(out, input, weight, bias, eps, *given, return_statistics)


def batch_norm_backward(
    dy,
    input,
    running_mean=None,
    running_var=None,
    weight=None,
    training=False,
    eps=1e-5,
    *,
    statistics=None,
    needs=(True, True, True),
):
    """Return the gradients (dx, dweight, dbias) of batch_norm; without training, mean and variance are constants."""
    training = flag("batch_norm_backward", "training", training)
    given = _statistics("batch_norm_backward", statistics, running_mean, running_var, training)
    return _batch_norm_backward.run(None, dy, input, weight, eps, *given, training, needs)


def instance_norm(
    input,
    running_mean=None,
    running_var=None,
    weight=None,
    bias=None,
    use_input_stats=True,
    momentum=0.1,
    eps=1e-5,
    *,
    out=None,
    return_statistics=False,
):
    """Return (x - mean) / sqrt(variance + eps) weight + bias per channel of each image (Ulyanov et al., 2016).

    input (B, C, ...) -> the same; weight, bias, running_mean, running_var (C,). Running statistics follow
    the mean of those of the images; without use_input_stats they are used. Raises as `batch_norm` does.
    """
    use_input_stats = flag("instance_norm", "use_input_stats", use_input_stats)
    given = _split(running_mean, running_var, use_input_stats, momentum)
    return _instance_norm.run(out, input, weight, bias, eps, *given, return_statistics)


def instance_norm_backward(
    dy,
    input,
    running_mean=None,
    running_var=None,
    weight=None,
    use_input_stats=True,
    eps=1e-5,
    *,
    statistics=None,
    needs=(True, True, True),
):
    """Return the gradients (dx, dweight, dbias) of instance_norm."""
    own = flag("instance_norm_backward", "use_input_stats", use_input_stats)
    given = _statistics("instance_norm_backward", statistics, running_mean, running_var, own)
    return _instance_norm_backward.run(None, dy, input, weight, eps, *given, own, needs)


class Channels(NamedTuple):
    """An input (B, C, ...), each channel of which is normalised over the batch.

    own_statistics: by the batch's statistics, else by those given. running: the running mean and variance to update.
    statistics: whether they are part of the result.
    """

    input: Layout
    weight: Layout | None
    bias: Layout | None
    own_statistics: bool
    running: tuple[Layout | None, Layout | None] = (None, None)
    statistics: bool = False
    out: Layout | None = None

    @property
    def result(self):
        """Return the shape and dtype of the result."""
        return self.input.shape, self.input.dtype


class ChannelsGradient(NamedTuple):
    """The gradient of `Channels`. Without own statistics the mean and variance given are constants.

    statistics: those of the batch, (2, C), or None to be computed from the input.
    """

    dy: Layout
    input: Layout
    weight: Layout | None
    statistics: Layout | None
    own_statistics: bool
    needs: tuple[bool, ...]


def _split(running_mean, running_var, own, momentum):
    """Return (mean, variance, running_mean, running_var, momentum, own): what is used and what is changed."""
    if not own:
        return running_mean, running_var, None, None, 0.0, False
    if running_mean is None and running_var is None:
        momentum = 0.0
    return None, None, running_mean, running_var, momentum, True


def _statistics(function, statistics, running_mean, running_var, own):
    """Return (statistics, mean, variance) for a gradient."""
    if own:
        return as_statistics(function, statistics), None, None
    return None, *((running_mean, running_var) if statistics is None else pair(function, statistics))


def _check_running(function, own, channels, mean, variance):
    for name, x in (("running_mean", mean), ("running_var", variance)):
        if x is None and not own:
            raise ValueError(f"{function}: {name} must be given where the batch's own statistics are not used")
        if x is not None and x.shape != (channels,):
            raise ValueError(f"{function}: {name} must have shape ({channels},), got {x.shape}")


def _forward(function, instance):
    def check(input, weight, bias, eps, mean, variance, running_mean, running_var, momentum, own, return_statistics):
        channels = channels_of(function, input.shape)
        _check_running(function, own, channels, running_mean or mean, running_var or variance)
        if own and prod(input.shape[2:]) * (1 if instance else input.shape[0]) == 1:
            raise ValueError(
                f"{function}: training needs more than one value per channel, got input of shape {input.shape}"
            )
        if instance and own:
            rows = channel_groups(function, input, weight, bias, channels, return_statistics)
            return rows._replace(running=(running_mean, running_var))
        _check_weights(function, input, weight=weight, bias=bias)
        return Channels(input, weight, bias, own, (running_mean, running_var), bool(return_statistics))

    kinds = {"optional": "weight bias", "converted": "mean variance", "states": "running_mean running_var"}
    return operation("input", **kinds, numbers="eps momentum", name=function)(check)


def _backward(function, instance):
    def check(dy, input, weight, eps, statistics, mean, variance, own, needs):
        needs, channels = needed(function, needs, 3), channels_of(function, input.shape)
        if instance and own:
            norm = channel_groups(function, input, weight, None, channels)
            return gradient(function, norm, (channels,), dy, statistics, needs)
        _check_weights(function, input, weight=weight)
        check_gradient(function, dy, input)
        if statistics is not None and statistics.shape != (2, channels):
            raise ValueError(f"{function}: statistics must have shape (2, {channels}), got {statistics.shape}")
        _check_running(function, own, channels, mean, variance)
        return ChannelsGradient(dy, input, weight, statistics, own, needs)

    kinds = {"optional": "weight", "converted": "statistics mean variance", "numbers": "eps"}
    return operation("dy input", **kinds, name=function)(check)


def _check_weights(function, input, **weights):
    for name, given in weights.items():
        if given is not None and given.shape != input.shape[1:2]:
            raise ValueError(
                f"{function}: {name} must have one number for each of the {input.shape[1]} channels "
                f"(input {input.shape}), got shape {given.shape}"
            )


_batch_norm, _instance_norm = _forward("batch_norm", False), _forward("instance_norm", True)
_batch_norm_backward = _backward("batch_norm_backward", False)
_instance_norm_backward = _backward("instance_norm_backward", True)
