"""PyTorch's way to compute activations twice instead of keeping them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fastnn._gradients import backward as _backward
from fastnn.autograd.function import Function
from fastnn.random import get_rng_state, set_rng_state
from fastnn.tape import Tensor, enable_grad, is_grad_enabled

__all__ = ["checkpoint", "checkpoint_sequential"]


class _Checkpoint(Function):
    """Compute without recording; the backward pass computes again with recording, and goes back through that."""

    @staticmethod
    def forward(ctx: Any, function: Callable[..., Any], preserve: bool, *args: Any) -> Any:
        ctx.function, ctx.args = function, [x.detach() if isinstance(x, Tensor) else x for x in args]
        ctx.state = get_rng_state() if preserve else None
        return function(*args)

    @staticmethod
    def backward(ctx: Any, *dys: Any) -> Any:
        args = [x.detach() if isinstance(x, Tensor) else x for x in ctx.args]
        for x, needed in zip(args, ctx.needs_input_grad[2:], strict=True):
            if needed:
                x.requires_grad_()
        now = get_rng_state()
        if ctx.state is not None:
            set_rng_state(ctx.state)
        try:
            with enable_grad():
                outputs = ctx.function(*args)
        finally:
            if ctx.state is not None:
                set_rng_state(now)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        pairs = [(y, dy) for y, dy in zip(outputs, dys, strict=True) if isinstance(y, Tensor) and y.requires_grad]
        if pairs:
            _backward([y for y, _ in pairs], [dy for _, dy in pairs])
        return (None, None, *[x.grad if isinstance(x, Tensor) else None for x in args])


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    **options: Any,
) -> Any:
    """Give ``function(*args, **options)`` without keeping what its backward pass needs: that computes it again.

    `function` runs a second time, with the same random numbers if `preserve_rng_state`; layers that count their calls,
    as batch normalization does in its running statistics, count both. Gradients of parameters that it uses are added
    up as ever. `use_reentrant` and the options after it choose between ways of PyTorch's, and change nothing.
    """
    if options:
        return checkpoint(lambda *a: function(*a, **options), *args, preserve_rng_state=preserve_rng_state)
    if not is_grad_enabled():
        return function(*args)
    anchor = next((x for x in args if isinstance(x, Tensor) and x.requires_grad), None)
    if anchor is None:
        return function(*args)  # parameters alone have gradients: nothing tells the tape of them from outside
    return _Checkpoint.apply(function, preserve_rng_state, *args)


def checkpoint_sequential(
    functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, **options: Any
) -> Any:
    """Give the result of a `Sequential` or list of layers of which only `segments` parts keep their inputs."""
    layers: Sequence[Any] = list(functions)
    if not 1 <= segments <= max(len(layers), 1):
        raise ValueError(f"checkpoint_sequential: segments must be in [1, {len(layers)}], got {segments}")
    size = len(layers) // segments
    for i in range(segments):
        part = layers[i * size : (i + 1) * size if i < segments - 1 else None]

        def run(x: Any, part: Sequence[Any] = part) -> Any:
            for layer in part:
                x = layer(x)
            return x

        input = run(input) if i == segments - 1 else checkpoint(run, input, **options)
    return input
