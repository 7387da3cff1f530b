"""One step of an optimizer over flat buffers, in place, and what is done to whole gradients before it.

Buffers are contiguous 1-D arrays of one float dtype and one length; those that are written must not overlap. Whoever
keeps a whole model in one buffer updates it with one call.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from math import inf, prod, sqrt
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from .formulas.optimizer import UPDATES
from .ground.arguments import Kinds
from .ground.checks import F4, F8, choice, integer, number, overlap
from .ground.operation import Layout, Operation, operation


class Rule(NamedTuple):
    """An update rule of `optimizer_step`.

    states: the names of its states, PyTorch's. numbers: the formula's numbers from the step's number, lr and the
    settings; settings: the names of these, all required; known: these and the
    penalties; pick: lr and the settings out of a dictionary.
    """

    name: str
    states: tuple[str, ...]
    numbers: Callable[..., tuple[float, ...]]
    settings: tuple[str, ...]
    pick: Callable[..., tuple[Any, ...]]
    operation: Operation
    required: frozenset[str]
    known: frozenset[str]

    def update(self, buffers, step, settings) -> None:
        """Do what `optimizer_step` does without looking at the arguments: buffers are (param, grad, *states)."""
        get = settings.get
        weight_decay, keep = get("weight_decay", 0.0), 1.0
        if weight_decay and get("decoupled_weight_decay"):
            weight_decay, keep = 0.0, 1 - settings["lr"] * weight_decay
        common = -1.0 if get("maximize") else 1.0, weight_decay, get("l1", 0.0), keep
        self.operation.run(None, *buffers, *common, *self.numbers(step, *self.pick(settings)))


class Step(NamedTuple):
    """A step of a rule over buffers (param, grad, *states), in place."""

    rule: str
    buffers: tuple[Layout, ...]


class Gradient(NamedTuple):
    """A flat gradient, and the order of its norm."""

    grad: Layout
    norm_type: float = 0.0


def _sgd(step, lr):
    return (lr,)


def _sgd_momentum(step, lr, momentum, dampening, nesterov):
    # the first velocity is the gradient itself
    fresh = 1 - dampening if step > 1 else 1.0
    return (momentum, fresh, lr * momentum, lr) if nesterov else (momentum, fresh, lr, 0.0)


def _adam(step, lr, betas, eps):
    beta1, beta2 = betas
    # numerator and denominator times sqrt(1 - beta2^step): the efficient order of section 2 of the paper
    scale = sqrt(1 - beta2**step)
    return beta1, 1 - beta1, beta2, 1 - beta2, lr * scale / (1 - beta1**step), eps * scale


def nadam_momentum(step, beta1, momentum_decay):
    """Return NAdam's momentum mu of a step; `mu_product` is the product of those of all steps so far."""
    return beta1 * (1 - 0.5 * 0.96 ** (step * momentum_decay))


def _nadam(step, lr, betas, eps, momentum_decay, mu_product):
    beta1, beta2 = betas
    if mu_product is None:
        mu_product = prod(nadam_momentum(i, beta1, momentum_decay) for i in range(1, step + 1))
    mu, later = (nadam_momentum(i, beta1, momentum_decay) for i in (step, step + 1))
    scale = sqrt(1 - beta2**step)
    step_mean, step_grad = lr * scale * later / (1 - mu_product * later), lr * scale * (1 - mu) / (1 - mu_product)
    return beta1, 1 - beta1, beta2, 1 - beta2, step_mean, step_grad, eps * scale


def _radam(step, lr, betas, eps):
    beta1, beta2 = betas
    power = beta2**step
    longest = 2 / (1 - beta2) - 1
    length = longest - 2 * step * power / (1 - power)
    fixed = beta1, 1 - beta1, beta2, 1 - beta2
    lr /= 1 - beta1**step
    if length <= 5:
        return *fixed, lr, 0.0, 1.0
    rectified = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
    return *fixed, 0.0, lr * sqrt(rectified * (1 - power)), eps


def _adamax(step, lr, betas, eps):
    return betas[0], 1 - betas[0], betas[1], lr / (1 - betas[0] ** step), eps


def _rmsprop(step, lr, alpha, eps):
    return alpha, 1 - alpha, lr, eps


def _rmsprop_momentum(step, lr, alpha, eps, momentum):
    return alpha, 1 - alpha, lr, eps, momentum


def _adagrad(step, lr, lr_decay, eps):
    return lr / (1 + (step - 1) * lr_decay), eps


def _adadelta(step, lr, rho, eps):
    return rho, 1 - rho, lr, eps


def _lion(step, lr, betas):
    return betas[0], 1 - betas[0], betas[1], 1 - betas[1], lr


def _rprop(step, lr, etas, step_sizes):
    # the first sizes are lr
    first = (0.0, lr) if step == 1 else (1.0, 0.0)
    return *first, etas[1] - 1, etas[0] - 1, *step_sizes


def _asgd(step, lr, lambd, alpha, t0):
    eta = lr / (1 + lambd * lr * (step - 1)) ** alpha
    mu = 1 / max(1.0, step - 1 - t0)
    return 1 - lambd * eta, eta, mu, 1 - mu


def _average(step, lr, decay):
    return decay, 1 - decay


PAIRS = ("betas", "etas", "step_sizes")  # settings of two numbers
PENALTIES = ("weight_decay", "l1", "maximize", "decoupled_weight_decay")
COMMON = ("scale", "weight_decay", "l1", "keep")  # of all rules: g = scale grad + ..., param = keep param


def _rule(name, numbers):
    function, states = UPDATES[name]
    buffers = "param", "grad", *states
    own = list(inspect.signature(function).parameters)[len(buffers) :]
    arguments = *buffers, *COMMON, *own

    def check(**layouts):
        return Step(name, tuple(layouts[x] for x in buffers))

    kinds = Kinds(floats=buffers, numbers=(*COMMON, *own))
    step = Operation(f"{name}_step", check, kinds, arguments=arguments, module=__name__)
    settings = tuple(inspect.signature(numbers).parameters)[2:]
    pick = itemgetter("lr", *settings) if settings else _only_lr
    return Rule(name, states, numbers, settings, pick, step, frozenset(settings), frozenset((*settings, *PENALTIES)))


def _only_lr(settings):
    return (settings["lr"],)


_NUMBERS = {
    "sgd": _sgd,
    "sgd_momentum": _sgd_momentum,
    "adam": _adam,
    "amsgrad": _adam,
    "nadam": _nadam,
    "radam": _radam,
    "adamax": _adamax,
    "rmsprop": _rmsprop,
    "rmsprop_momentum": _rmsprop_momentum,
    "rmsprop_centered": _rmsprop,
    "rmsprop_centered_momentum": _rmsprop_momentum,
    "adagrad": _adagrad,
    "adadelta": _adadelta,
    "lion": _lion,
    "rprop": _rprop,
    "asgd": _asgd,
    "average": _average,
}
OPTIMIZER_RULES = {name: _rule(name, numbers) for name, numbers in _NUMBERS.items()}


def optimizer_step(rule, param, grad, states=(), step=1, *, lr=1.0, **settings):
    """Move `param` by step number `step` (from 1) of an optimizer, in place.

    rule: "sgd", "sgd_momentum" (momentum, dampening, nesterov), "adam", "amsgrad", "radam", "adamax" (betas, eps),
    "nadam" (betas, eps, momentum_decay, mu_product, which may be None), "rmsprop", "rmsprop_centered" (alpha, eps),
    "rmsprop_momentum", "rmsprop_centered_momentum" (alpha, eps, momentum), "adagrad" (lr_decay, eps), "adadelta" (rho,
    eps), "lion" (betas), "rprop" (etas, step_sizes), "asgd" (lambd, alpha, t0); "average" (decay) makes `param` a
    moving average of `grad`. The settings in brackets are required; their meanings, the formulas and their sources
    stand with the classes of `fastnn.optim`.

    param (n,), grad (n,), states: one (n,) array for each name in `OPTIMIZER_RULES[rule].states`, zeros before the
    first step.

    Every rule takes weight_decay and l1, which add weight_decay param + l1 sign(param) to the gradient;
    decoupled_weight_decay=True multiplies param by 1 - lr weight_decay instead; maximize=True climbs.

    Raises TypeError or ValueError for unknown rules, missing or unknown settings, step < 1, and for buffers that
    differ in dtype or length or cannot be written in place.
    """
    chosen = OPTIMIZER_RULES[choice("optimizer_step", "rule", rule, OPTIMIZER_RULES)]
    if not chosen.required <= settings.keys() <= chosen.known:
        missing, unknown = chosen.required - settings.keys(), settings.keys() - chosen.known
        wrong = "unknown" if unknown else "missing"
        raise TypeError(f"optimizer_step: {rule} has {wrong} settings {', '.join(sorted(unknown or missing))}")
    if not isinstance(states, (tuple, list)) or len(states) != len(chosen.states):
        raise ValueError(
            f"optimizer_step: {rule} needs {len(chosen.states)} states ({', '.join(chosen.states)}), "
            f"got {len(states) if isinstance(states, (tuple, list)) else type(states).__name__}"
        )
    integer("optimizer_step", "step", step, 1)
    for name, value in (("lr", lr), *settings.items()):
        if type(value) is float:
            continue
        if name in PAIRS and not (isinstance(value, (tuple, list)) and len(value) == 2):
            raise TypeError(f"optimizer_step: {name} must be two numbers, got {value!r}")
        for one in value if name in PAIRS else (value,):
            if not (name == "mu_product" and one is None):
                number("optimizer_step", name, one)
    _check("optimizer_step", grad, param=param, **dict(zip(chosen.states, states, strict=True)))
    chosen.update((param, grad, *states), step, {"lr": lr, **settings})


def clip_grad_norm(grads, max_norm, norm_type=2.0):
    """Scale gradients in place so that their norm, over all of them together, is at most `max_norm`; return the norm.

    grads: contiguous arrays of any shapes, float32 or float64. norm_type: 2, 1, inf or any other positive number. As in
    PyTorch they are multiplied by max_norm / (norm + 1e-6) if that is below 1; an infinite max_norm changes nothing.
    Squares are summed in float64, over blocks in order: no overflow, and the same bits for any number of threads.

    Raises ValueError for a negative or NaN max_norm, a norm_type that is not positive, and arrays that are not fit.
    """
    max_norm = number("clip_grad_norm", "max_norm", max_norm)
    norm_type = number("clip_grad_norm", "norm_type", norm_type)
    if not max_norm >= 0:
        raise ValueError(f"clip_grad_norm: max_norm must not be negative, got {max_norm}")
    if not norm_type > 0:
        raise ValueError(f"clip_grad_norm: norm_type must be positive, got {norm_type}")
    flat = _all_flat("clip_grad_norm", grads)
    norm = _norm(flat, float(norm_type))
    factor = max_norm / (norm + 1e-6)
    if max_norm < inf and not factor >= 1:  # NaN, too, shows in the gradients
        for grad in flat:
            _scale.run(None, grad, factor)
    return norm


def clip_grad_value(grads, clip_value):
    """Limit every element of gradients to -clip_value .. clip_value, in place; arrays as for `clip_grad_norm`."""
    clip_value = number("clip_grad_value", "clip_value", clip_value)
    if not clip_value >= 0:
        raise ValueError(f"clip_grad_value: clip_value must not be negative, got {clip_value}")
    for grad in _all_flat("clip_grad_value", grads):
        _clamp.run(None, grad, clip_value)


def _norm(flat, norm_type):
    sums = [_powers.run(None, grad, norm_type) for grad in flat]
    if norm_type == inf:
        return max(sums, key=lambda x: (x != x, x), default=0.0)  # NaN, if there is one
    return sqrt(sum(sums)) if norm_type == 2 else sum(sums) ** (1 / norm_type)


@operation("grad", name="clip_grad_norm")
def _powers(grad, norm_type):
    return Gradient(grad, norm_type)


@operation("grad", numbers="factor", name="clip_grad_norm_scale")
def _scale(grad, factor):
    return Gradient(grad)


@operation("grad", numbers="clip_value", name="clip_grad_value")
def _clamp(grad, clip_value):
    return Gradient(grad)


def _all_flat(function, grads):
    if not isinstance(grads, Iterable) or isinstance(grads, (str, ndarray)):
        raise TypeError(f"{function}: grads must be several arrays, got {type(grads).__name__}")
    return [_flat(function, grad) for grad in grads]


def _flat(function, grad):
    if type(grad) is not ndarray or grad.dtype not in (F4, F8):
        kind = getattr(grad, "dtype", type(grad).__name__)
        raise TypeError(f"{function}: gradients must be float32 or float64 arrays, got {kind}")
    if not grad.flags.carray:
        raise ValueError(
            f"{function}: gradients must be contiguous and writable, at aligned addresses, got shape {grad.shape}"
        )
    return grad.reshape(-1)


def _check(function, grad, **written):
    """Raise unless the buffers are fit to be updated."""
    param = written["param"]
    dtype, shape = getattr(param, "dtype", None), getattr(param, "shape", None)
    if dtype not in (F4, F8):
        raise TypeError(f"{function}: param must be a float32 or float64 array, got {dtype or type(param).__name__}")
    arrays = [*written.items(), ("grad", grad)]
    for name, x in arrays:
        if not isinstance(x, ndarray) or isinstance(x, np.ma.MaskedArray) or x.dtype != dtype:
            raise TypeError(
                f"{function}: {name} must be a {dtype} array as param is, got {getattr(x, 'dtype', type(x))}"
            )
        if x.shape != shape or len(shape) != 1:
            raise ValueError(
                f"{function}: {name} has shape {x.shape} and param {shape}; both must be flat, of one length"
            )
        flags = x.flags
        if not flags.carray and not (x is grad and flags.c_contiguous and flags.aligned):
            fit = "contiguous" if x is grad else "contiguous and writable"
            raise ValueError(f"{function}: {name} must be {fit}, at an aligned address")
    for i, (name, x) in enumerate(arrays):
        for other, y in arrays[:i]:
            if overlap(x, y):
                raise ValueError(f"{function}: {name} overlaps {other}")
