"""Functions that run with a module: before and after its forward, and when gradients pass it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn._handle import RemovableHandle
from fastnn._tape import grad_mode
from fastnn.tape import Array, Gradients, Needs, Tensor, WithBackward, differentiable, unwrap, wrap

Hook = Callable[..., Any]
Kept = dict[RemovableHandle, tuple[Hook, bool, bool]]  # a hook; whether it takes keywords; whether it always runs


class Hooks:
    """The hooks of one module, in the order in which they run."""

    def __init__(self) -> None:
        self.before: Kept = {}
        self.after: Kept = {}
        self.gradients_before: Kept = {}
        self.gradients: Kept = {}

    def __bool__(self) -> bool:
        return bool(self.before or self.after or self.gradients_before or self.gradients)

    def add(
        self,
        kind: str,
        hook: Hook,
        then: Callable[[], None],
        prepend: bool,
        keywords: bool = False,
        always: bool = False,
    ) -> RemovableHandle:
        """Keep a hook, at the end or at the front."""
        if not callable(hook):
            raise TypeError(f"a hook must be a function, got {type(hook).__name__}")
        kept: Kept = getattr(self, kind)
        handle = RemovableHandle(kept, then)
        others = dict(kept) if prepend else {}
        if prepend:
            kept.clear()
        kept[handle] = (hook, keywords, always)
        kept.update(others)
        return handle

    def call(self, module: Any, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Run a module and its hooks."""
        done: set[RemovableHandle] = set()
        try:
            return self._call(module, inputs, options, done)
        except Exception:
            for handle, (hook, keywords, always) in self.after.items():
                if always and handle not in done:
                    hook(module, inputs, options, None) if keywords else hook(module, inputs, None)
            raise

    def _call(self, module: Any, inputs: tuple[Any, ...], options: dict[str, Any], done: set[RemovableHandle]) -> Any:
        for hook, keywords, _ in list(self.before.values()):
            given = hook(module, inputs, options) if keywords else hook(module, inputs)
            if given is None:
                continue
            if keywords:
                if not (isinstance(given, tuple) and len(given) == 2):
                    raise RuntimeError(
                        f"a forward pre-hook must give None or (args, kwargs), got {type(given).__name__}"
                    )
                inputs, options = given
            else:
                inputs = given if isinstance(given, tuple) else (given,)
        watch = None
        if (self.gradients or self.gradients_before) and grad_mode.enabled:
            watch = Watch(module, self)
            inputs = watch.inputs(inputs)
        output = module.forward(*inputs, **options)
        for handle, (hook, keywords, _) in list(self.after.items()):
            done.add(handle)
            given = hook(module, inputs, options, output) if keywords else hook(module, inputs, output)
            if given is not None:
                output = given
        return output if watch is None else watch.output(output)


class Watch:
    """One run of a module whose gradients are watched.

    Inputs and outputs pass an operation that leaves them as they are; what comes to it in the backward pass is what
    the hooks are told.
    """

    def __init__(self, module: Any, hooks: Hooks) -> None:
        self.module, self.hooks = module, hooks
        self.of_output: tuple[Any, ...] = ()
        self.places: list[int] = []  # of the inputs that require a gradient
        self.count = 0

    def inputs(self, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """Let the inputs pass."""
        self.count = len(inputs)
        self.places = [i for i, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]
        if not self.places or not self.hooks.gradients:
            return inputs
        passed = list(inputs)
        results = _passed(*[inputs[i] for i in self.places], then=self.reached_input)
        for i, x in zip(self.places, results, strict=True):
            passed[i] = x
        return tuple(passed)

    def output(self, output: Any) -> Any:
        """Let the output pass: a tensor, or a tuple or list of some."""
        several = isinstance(output, tuple | list)
        parts = list(output) if several else [output]
        places = [i for i, y in enumerate(parts) if isinstance(y, Tensor) and y.requires_grad]
        if not places:
            return output
        self.outputs, self.of = places, len(parts)
        for i, y in zip(places, _passed(*[parts[i] for i in places], then=self.reached_output), strict=True):
            parts[i] = y
        if not several:
            return parts[0]
        if isinstance(output, tuple) and hasattr(output, "_make"):
            return output._make(parts)
        return type(output)(parts)

    def reached_output(self, gradients: tuple[Any, ...]) -> tuple[Any, ...]:
        """Tell the pre-hooks; they may give other gradients."""
        given = _spread(gradients, self.outputs, self.of)
        for hook, _, _ in list(self.hooks.gradients_before.values()):
            given = _replaced(hook(self.module, given), given, "backward pre-hook")
        self.of_output = given
        if self.hooks.gradients and not self.places:  # no gradient will come to the inputs
            self._tell((None,) * self.count)
        return tuple(given[i] for i in self.outputs)

    def reached_input(self, gradients: tuple[Any, ...]) -> tuple[Any, ...]:
        """Tell the hooks; they may give other gradients."""
        given = self._tell(_spread(gradients, self.places, self.count))
        return tuple(given[i] for i in self.places)

    def _tell(self, given: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook, _, _ in list(self.hooks.gradients.values()):
            given = _replaced(hook(self.module, given, self.of_output), given, "backward hook")
        return given


def _spread(gradients: tuple[Any, ...], places: list[int], count: int) -> tuple[Any, ...]:
    """Put gradients into their places among `count`."""
    made: list[Any] = [None] * count
    for i, gradient in zip(places, gradients, strict=True):
        made[i] = None if gradient is None else wrap(gradient)
    return tuple(made)


def _replaced(answer: Any, given: tuple[Any, ...], what: str) -> tuple[Any, ...]:
    if answer is None:
        return given
    answer = answer if isinstance(answer, tuple) else (answer,)
    if len(answer) != len(given):
        raise RuntimeError(f"a {what} must give None or {len(given)} gradients, got {len(answer)}")
    return tuple(x if x is None or isinstance(x, Tensor) else wrap(np.asarray(x)) for x in answer)


@differentiable
def _passed(*arrays: Array, then: Callable[..., tuple[Any, ...]]) -> WithBackward:
    """Give the arrays, and tell `then` of their gradients."""

    def backward(dys: Any, needs: Needs) -> Gradients:
        return tuple(unwrap(x) for x in then(tuple(dys)))

    return tuple(x.view() for x in arrays), backward
