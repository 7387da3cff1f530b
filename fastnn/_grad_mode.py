"""Whether operations are recorded: `no_grad` and its siblings, as context managers and as decorators.

The mode belongs to a thread. A decorated function switches it at each call, a decorated generator or coroutine each
time it is resumed, so that whoever runs in between keeps a mode of their own.
"""

from __future__ import annotations

import inspect
import threading
import types
from collections.abc import Callable, Generator
from functools import wraps
from typing import Any


class _GradMode(threading.local):
    enabled = True

    def __init__(self) -> None:
        self.outside: list[bool] = []  # the modes outside the `with` blocks that this thread is in


grad_mode = _GradMode()


def is_grad_enabled() -> bool:
    """Tell whether operations of this thread are being recorded."""
    return grad_mode.enabled


class _SetGrad:
    """Set the mode inside a `with` block or a decorated function. One object may be used by many threads at once."""

    __slots__ = ()
    value: bool

    def __new__(cls, function: Any = None) -> Any:
        """Make a context manager; given a function (``@no_grad`` without brackets), decorate that."""
        return object.__new__(cls) if function is None else object.__new__(cls)(function)

    def __enter__(self) -> None:
        grad_mode.outside.append(grad_mode.enabled)
        grad_mode.enabled = self.value

    def __exit__(self, *exception: object) -> None:
        grad_mode.enabled = grad_mode.outside.pop()

    def __call__(self, function: Callable[..., Any]) -> Any:
        """Decorate a function, a generator function, a coroutine function or an asynchronous generator function."""
        value = self.value

        @wraps(function)
        def plain(*args: Any, **options: Any) -> Any:
            before = grad_mode.enabled
            grad_mode.enabled = value
            try:
                return function(*args, **options)
            finally:
                grad_mode.enabled = before

        @wraps(function)
        def generator(*args: Any, **options: Any) -> Any:
            return (yield from _drive(function(*args, **options), value))

        @wraps(function)
        async def coroutine(*args: Any, **options: Any) -> Any:
            return await _drive(function(*args, **options), value)

        @wraps(function)
        async def asynchronous_generator(*args: Any, **options: Any) -> Any:
            steps = function(*args, **options)
            step = steps.asend(None)
            while True:
                try:
                    given = await _drive(step, value)
                except StopAsyncIteration:
                    return
                try:
                    step = steps.asend((yield given))
                except BaseException as error:  # noqa: BLE001  (handed on to the generator)
                    step = steps.athrow(error)

        if inspect.isasyncgenfunction(function):
            return asynchronous_generator
        if inspect.iscoroutinefunction(function):
            return coroutine
        return generator if inspect.isgeneratorfunction(function) else plain


@types.coroutine
def _drive(steps: Any, inside: bool) -> Generator[Any, Any, Any]:
    """Run a generator or a coroutine in the mode `inside`, which it may change; its callers keep theirs."""
    resume, argument = steps.send, None
    while True:
        outside = grad_mode.enabled
        grad_mode.enabled = inside
        try:
            given = resume(argument)
        except StopIteration as end:
            return end.value
        finally:
            inside = grad_mode.enabled
            grad_mode.enabled = outside
        try:
            resume, argument = steps.send, (yield given)
        except BaseException as error:  # noqa: BLE001  (GeneratorExit, too: the generator closes in its own mode)
            resume, argument = steps.throw, error


class no_grad(_SetGrad):
    """Record nothing inside: ``with no_grad(): ...``, or as a decorator. Holds for the current thread only.

    A decorated generator or coroutine records nothing whenever it runs; who resumes it keeps their own mode.
    """

    __slots__ = ()
    value = False


class enable_grad(_SetGrad):
    """Record again inside a `no_grad` block. Otherwise as `no_grad`."""

    __slots__ = ()
    value = True


class set_grad_enabled(_SetGrad):
    """Record from now on if `mode` is true, else do not; as a context manager or a decorator, only inside."""

    def __new__(cls, mode: bool) -> Any:
        """Set the mode at once."""
        made = object.__new__(cls)
        made.value, made._before = bool(mode), grad_mode.enabled
        grad_mode.enabled = made.value
        return made

    _before: bool

    def __enter__(self) -> None:
        grad_mode.outside.append(self._before)
        grad_mode.enabled = self.value

    def __call__(self, function: Callable[..., Any]) -> Any:
        """Decorate a function; outside it the mode is again what it was before."""
        grad_mode.enabled = self._before
        return super().__call__(function)


class inference_mode(_SetGrad):
    """The same as `no_grad`, by the name that PyTorch has for inference; ``inference_mode(False)`` is `enable_grad`."""

    def __new__(cls, mode: Any = True) -> Any:
        """Make a context manager; given a function, decorate that."""
        made = object.__new__(cls)
        made.value = not mode if isinstance(mode, bool) else False
        return made if isinstance(mode, bool) else made(mode)
