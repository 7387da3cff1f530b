"""One step of an optimizer over flat buffers, in place.

Buffers are contiguous 1-D arrays of one float dtype and one length; those that are written must not overlap. Whoever
keeps a whole model in one buffer updates it with one call.
"""

from math import sqrt

from numpy import ndarray

from ._parallel import tasks
from ._shapes import F4, F8
from .cpu.optimizer import adam_step__vector, sgd_step__momentum, sgd_step__plain

GRAIN = 16384


def sgd_step(param, grad, momentum_buffer, lr, momentum=0.0, dampening=0.0, nesterov=False, weight_decay=0.0, l1=0.0):
    """Move `param` by one step of stochastic gradient descent (Sutskever et al., 2013, in PyTorch's form).

        g = grad + weight_decay param + l1 sign(param)
        momentum_buffer = momentum momentum_buffer + (1 - dampening) g
        param -= lr momentum_buffer          (nesterov: lr (g + momentum momentum_buffer))

    param (n,), grad (n,), momentum_buffer (n,) or None, which means no momentum. At the first step the buffer holds
    zeros, and `dampening` should be 0 (then it becomes g, as in PyTorch).

    Raises TypeError or ValueError for buffers that differ in dtype or length or cannot be written in place.
    """
    n = _check("sgd_step", (("param", param), ("momentum_buffer", momentum_buffer)), grad)
    if momentum_buffer is None:
        sgd_step__plain[param.dtype](param, grad, lr, weight_decay, l1, n, tasks(n, GRAIN))
        return
    lr_velocity, lr_grad = (lr * momentum, lr) if nesterov else (lr, 0.0)
    sgd_step__momentum[param.dtype](
        param,
        grad,
        momentum_buffer,
        momentum,
        1 - dampening,
        lr_velocity,
        lr_grad,
        weight_decay,
        l1,
        n,
        tasks(n, GRAIN),
    )


def adam_step(
    param, grad, exp_avg, exp_avg_sq, step, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0, l1=0.0
):
    """Move `param` by step number `step` (from 1) of Adam (Kingma & Ba, 2015, algorithm 1).

        g = grad + weight_decay param + l1 sign(param)
        exp_avg = beta1 exp_avg + (1 - beta1) g
        exp_avg_sq = beta2 exp_avg_sq + (1 - beta2) g^2
        param -= lr (exp_avg / (1 - beta1^step)) / (sqrt(exp_avg_sq / (1 - beta2^step)) + eps)

    All buffers (n,). Raises TypeError or ValueError for buffers that differ in dtype or length or cannot be written in
    place, and ValueError for step < 1.
    """
    n = _check("adam_step", (("param", param), ("exp_avg", exp_avg), ("exp_avg_sq", exp_avg_sq)), grad)
    if step < 1:
        raise ValueError(f"adam_step: step counts from 1, got {step}")
    # numerator and denominator times sqrt(1 - beta2^step): the efficient order of section 2 of the paper
    scale = sqrt(1 - beta2**step)
    adam_step__vector[param.dtype](
        param, grad, exp_avg, exp_avg_sq, beta1, 1 - beta1, beta2, 1 - beta2,
        lr * scale / (1 - beta1**step), eps * scale, weight_decay, l1, n, tasks(n, GRAIN),
    )  # fmt: skip


def _check(function, written, grad):
    """Return the length of the buffers, if they are fit to be updated."""
    param = written[0][1]
    dtype, shape = getattr(param, "dtype", None), getattr(param, "shape", None)
    if dtype is not F4 and dtype is not F8:
        raise TypeError(f"{function}: param must be a float32 or float64 array, got {dtype or type(param).__name__}")
    for name, x in (*written, ("grad", grad)):
        if x is None:
            continue
        if type(x) is not ndarray or x.dtype is not dtype:
            raise TypeError(
                f"{function}: {name} must be a {dtype} array as param is, got {getattr(x, 'dtype', type(x))}"
            )
        if x.shape != shape or len(shape) != 1:
            raise ValueError(
                f"{function}: {name} has shape {x.shape} and param {shape}; both must be flat, of one length"
            )
        flags = x.flags
        if not flags.c_contiguous or not (flags.writeable or x is grad):
            raise ValueError(f"{function}: {name} must be contiguous" + ("" if x is grad else " and writable"))
    return shape[0]
