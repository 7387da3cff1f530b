"""Operations of one's own, written as PyTorch's: a class with a static forward and backward of tensors.

`fastnn.differentiable` is the shorter way, of arrays and a closure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn.tape import Tensor, is_grad_enabled, no_grad, recorded, unwrap, wrap


class FunctionCtx:
    """What `forward` leaves for `backward`: any attributes, and the tensors of `save_for_backward`."""

    needs_input_grad: tuple[bool, ...] = ()
    materialize_grads = True

    def __init__(self) -> None:
        self._saved: tuple[Any, ...] = ()
        self._without: tuple[int, ...] = ()

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep tensors (or None) for `backward`, which finds them in `saved_tensors`."""
        for tensor in tensors:
            if not (tensor is None or isinstance(tensor, Tensor)):
                raise TypeError(f"save_for_backward: expected tensors or None, got {type(tensor).__name__}")
        self._saved = tuple(None if x is None else x.detach() for x in tensors)

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """The tensors that `save_for_backward` was given."""
        return self._saved

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Say which results have no gradient."""
        self._without = tuple(map(id, tensors))

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Accept which arguments were changed in place."""

    def set_materialize_grads(self, value: bool) -> None:
        """Let gradients of results that were not used be zeros (True) or None."""
        self.materialize_grads = bool(value)


class Function:
    """Base of an operation with a gradient of one's own.

    ::

        class Cube(Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return x ** 3

            @staticmethod
            def backward(ctx, dy):
                (x,) = ctx.saved_tensors
                return 3 * x ** 2 * dy

        y = Cube.apply(x)

    Both compute with tensors, outside the tape. `backward` gets a gradient per result and gives one gradient or None
    per argument of `forward`. With a static `setup_context(ctx, inputs, output)`, `forward` has no `ctx`.
    """

    @staticmethod
    def forward(*args: Any, **options: Any) -> Any:
        """Compute the result: a tensor, or a tuple."""
        raise NotImplementedError("a Function needs a static method forward")

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Compute one gradient, or None, per argument of `forward`."""
        raise NotImplementedError("a Function needs a static method backward")

    vjp = backward
    setup_context: Callable[..., Any] | None = None

    @classmethod
    def apply(cls, *args: Any, **options: Any) -> Any:
        """Compute the result, and record how to undo it."""
        ctx = FunctionCtx()
        ctx.needs_input_grad = tuple(isinstance(x, Tensor) and x.requires_grad for x in args)
        with no_grad():
            if cls.setup_context is None:
                output = cls.forward(ctx, *args, **options)
            else:
                output = cls.forward(*args, **options)
                cls.setup_context(ctx, args, output)
        return cls._recorded(ctx, args, output)

    @classmethod
    def _recorded(cls, ctx: FunctionCtx, args: tuple[Any, ...], output: Any) -> Any:
        several = isinstance(output, tuple)
        outputs = output if several else (output,)
        places = [i for i, x in enumerate(outputs) if isinstance(x, Tensor)]
        sources = [i for i, x in enumerate(args) if isinstance(x, Tensor)]
        arrays = [outputs[i]._data for i in places]

        def backward(dy: Any, needs: tuple[bool, ...]) -> tuple[Any, ...]:
            given = dict(zip(places, dy if len(places) > 1 else (dy,), strict=True))
            return cls._undone(ctx, args, sources, [_gradient(ctx, given.get(i), x) for i, x in enumerate(outputs)])

        backward.__qualname__ = f"{cls.__name__}.<locals>.backward"
        made = recorded_if_needed(arrays, backward, [args[i]._node for i in sources])
        results = list(outputs)
        for i, tensor in zip(places, made, strict=True):
            if id(outputs[i]) in ctx._without:
                tensor._node = None
            results[i] = tensor
        return tuple(results) if several else results[0]

    @classmethod
    def _undone(cls, ctx: FunctionCtx, args: tuple[Any, ...], sources: list[int], dys: list[Any]) -> tuple[Any, ...]:
        """Call `backward` and give the gradients of the tensors among the arguments."""
        with no_grad():
            gradients = cls.backward(ctx, *dys)
        gradients = gradients if isinstance(gradients, tuple | list) else (gradients,)
        if len(gradients) < len(args) or any(x is not None for x in gradients[len(args) :]):
            raise RuntimeError(
                f"{cls.__name__}.backward gave {len(gradients)} gradients for {len(args)} arguments of forward"
            )
        made = []
        for i in sources:
            gradient = None if gradients[i] is None else np.asarray(unwrap(gradients[i]))
            if gradient is not None and gradient.shape != args[i].shape:
                raise RuntimeError(
                    f"{cls.__name__}.backward gave a gradient of shape {gradient.shape} for argument {i} of shape "
                    f"{args[i].shape}"
                )
            made.append(None if gradient is None else gradient.astype(args[i].dtype, copy=False))
        return tuple(made)


def recorded_if_needed(arrays: list[Any], backward: Callable[..., Any], parents: list[Any]) -> list[Tensor]:
    """Wrap results, with a node if one of the parents requires a gradient."""
    if not is_grad_enabled() or not any(parent is not None for parent in parents):
        return [wrap(array) for array in arrays]
    made = recorded(tuple(arrays) if len(arrays) > 1 else arrays[0], backward, parents, False)
    return list(made) if len(arrays) > 1 else [made]


def _gradient(ctx: FunctionCtx, dy: Any, output: Any) -> Any:
    """Give the gradient of a result as `backward` wants it."""
    if dy is not None:
        return wrap(dy)
    return wrap(np.zeros_like(output._data)) if ctx.materialize_grads and isinstance(output, Tensor) else None


def once_differentiable(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a backward function as it is: none here is differentiated again."""
    return function
