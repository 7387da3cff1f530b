"""What all losses share: a loss, its gradient, and both from one pass.

    @loss(_check, "input target weight", converted="weight", numeric="target")
    def mse_loss(input, target, reduction="mean"):
        '''What people read.'''
        return (input, target, None), reduction, ("mse_loss",)  # the arrays named above, and options

    mse_loss(input, target)                    the losses, their mean or their sum
    mse_loss.backward(dloss, input, target)    the gradient of the first operand
    mse_loss.with_gradient(input, target)      (loss, gradient for dloss = 1) from one pass; (losses, None) for "none"

dloss is a number, or an array of the losses' shape for reduction "none". With `needs`, one bool per operand, there is a
tuple of gradients, None for those that are not asked for.

Two operations, `mse_loss` and `mse_loss_backward`, do that. `_check(asked, options, input, target, weight)` gets
layouts and returns the problem. Its field `asked` says what to compute, its `shape` is that of the losses. A plan
returns (loss, gradients), None for what is not asked. A loss is NaN where its operands are not allowed (a label out of
range, say); a plan that finds NaN calls `problem.refuse(*arrays)`, which raises an error if they explain it.
"""

from __future__ import annotations

import inspect
from functools import wraps
from typing import NamedTuple

from ..ground.checks import as_float_array, number
from ..ground.operation import Layout, operation


class Asked(NamedTuple):
    """What a call asks for.

    function: its name in messages. value: whether it wants the loss. reduction: "none", "mean" or "sum". needs: of
    which operands it wants the gradient. dloss: the gradient of each loss, where they are not reduced.
    """

    function: str
    value: bool
    reduction: str
    needs: tuple[bool, ...]
    dloss: Layout | None


def loss(check, arrays, *, optional="", integers="", converted="", numeric="", reductions=("none", "mean", "sum")):
    """Make a loss of a function that puts its arguments in order. arrays: all names; the others: see `operation`."""
    names, scalars = arrays.split(), {*integers.split()}
    floats = " ".join(x for x in names if x not in {*optional.split(), *converted.split()} | scalars)
    kinds = {"optional": optional, "integers": integers, "converted": f"{converted} dloss", "numeric": numeric}
    parameters = [*names, "dloss", "scale", "reduction", "options", "needs"]

    def operation_of(function, module, value):
        def checked(dloss, scale, reduction, options, needs, **layouts):
            if not isinstance(reduction, str) or reduction not in reductions:
                wanted = "'none', 'mean' or 'sum'"
                raise ValueError(f"{function}: reduction must be {wanted}, got {reduction!r}")
            problem = check(Asked(function, value, reduction, needs, dloss), options, **layouts)
            if dloss is not None and dloss.shape != problem.shape:
                raise ValueError(f"{function}: dloss has shape {dloss.shape}, expected {problem.shape}")
            return problem

        positional = inspect.Parameter.POSITIONAL_OR_KEYWORD
        checked.__signature__ = inspect.Signature([inspect.Parameter(x, positional) for x in parameters])
        checked.__module__ = module  # the family, in which plans are looked for
        return operation(floats, **kinds, numbers="scale", name=function)(checked)

    def make(order):
        name = order.__name__
        forward = operation_of(name, order.__module__, True)
        gradient = operation_of(f"{name}_backward", order.__module__, False)

        @wraps(order)
        def loss(*args, **options):
            arrays, reduction, settings = order(*args, **options)
            return forward.run(None, *arrays, None, 1.0, reduction, settings, ())[0]

        def backward(dloss, *args, needs=None, **options):
            arrays, reduction, settings = order(*args, **options)
            asked = _needs(gradient.name, needs)
            scale = 1.0
            if _single(reduction):
                dloss = as_float_array(gradient.name, "dloss", dloss)
            else:
                scale, dloss = number(gradient.name, "dloss", dloss), None
            gradients = gradient.run(None, *arrays, dloss, scale, reduction, settings, asked)[1]
            return gradients[0] if needs is None else tuple(gradients)

        def with_gradient(*args, needs=None, **options):
            arrays, reduction, settings = order(*args, **options)
            asked = () if _single(reduction) else _needs(f"{name}_with_gradient", needs)
            value, gradients = forward.run(None, *arrays, None, 1.0, reduction, settings, asked)
            if not asked:
                return value, None
            return value, gradients[0] if needs is None else tuple(gradients)

        parameters = inspect.signature(order).parameters.values()
        first = inspect.Parameter("dloss", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        last = inspect.Parameter("needs", inspect.Parameter.KEYWORD_ONLY, default=None)
        _present(backward, f"{name}_backward", order, [first, *parameters, last])
        backward.__doc__ = f"Return the gradient of {name} for its first operand, or for those that `needs` asks for."
        _present(with_gradient, f"{name}.with_gradient", order, [*parameters, last])
        with_gradient.__doc__ = (
            f"Return ({name}, its gradients for dloss = 1) from one pass, as `{name}_backward` does."
        )
        loss.backward, loss.with_gradient = backward, with_gradient
        return loss

    return make


def _present(function, name, order, parameters):
    """Give a function its name and signature."""
    function.__name__ = function.__qualname__ = name
    function.__module__ = order.__module__  # where pickle looks for it
    function.__signature__ = inspect.Signature(parameters)


def _single(reduction):
    return isinstance(reduction, str) and reduction == "none"


def _needs(function, needs):
    if needs is None:
        return (True,)
    if not isinstance(needs, tuple | list):
        raise TypeError(f"{function}: needs must be a tuple of True and False, got {needs!r}")
    return tuple(needs)


def same_shapes(function, **operands):
    """Raise ValueError unless all operands have the shape of the first."""
    (first, x), *others = operands.items()
    for name, other in others:
        if other.shape != x.shape:
            raise ValueError(f"{function}: {first} has shape {x.shape} but {name} has {other.shape}")


def broadcasts(function, name, layout, shape):
    """Raise ValueError unless an array broadcasts to a shape, without changing it."""
    if layout is not None:
        lengths = zip(reversed(layout.shape), reversed(shape), strict=False)
        if layout.ndim > len(shape) or any(n not in (1, length) for n, length in lengths):
            raise ValueError(f"{function}: {name} has shape {layout.shape}, which does not broadcast to {shape}")
