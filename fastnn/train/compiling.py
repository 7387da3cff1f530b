"""The first minute: what is compiled, and compiling it in several processes at once where that is safe."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

import fastnn_kernels as kernels
from fastnn import random
from fastnn.nn import Module
from fastnn.nn.dry import dry_run
from fastnn.nn.module import Parameter
from fastnn.tape import Tensor

Array = np.ndarray[Any, Any]


class Compiling:
    """What has been compiled: the names of kernels, and the seconds that it took.

    began: called with the name of each kernel when its compilation begins, in whichever thread that is.
    """

    def __init__(self, began: Callable[[str], None] = lambda name: None) -> None:
        self.names: list[str] = []
        self.seconds = 0.0
        self.began = began
        self._depth, self._since = 0, 0.0

    def tell(self, name: str) -> None:
        """Note a kernel."""
        if name not in self.names:
            self.names.append(name)
            self.began(name)

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Count the time of a `with` block, and of those inside it once."""
        self.enter()
        try:
            yield
        finally:
            self.leave()

    def enter(self) -> None:
        """Begin something that takes time."""
        if not self._depth:
            self._since = time.perf_counter()
        self._depth += 1

    def leave(self) -> None:
        """End it."""
        self._depth -= 1
        if not self._depth:
            self.seconds += time.perf_counter() - self._since


@contextmanager
def compiling(began: Callable[[str], None] = lambda name: None) -> Iterator[Compiling]:
    """Watch what this thread compiles inside a `with` block."""
    from numba.core import event

    made = Compiling(began)
    names: set[str] = set()
    thread = threading.get_ident()

    class Listener(event.Listener):
        def on_start(self, event: Any) -> None:
            if threading.get_ident() != thread:
                return
            made.enter()
            if not names:
                names.update(spec.name for spec in kernels.specs())
            function = getattr(event.data.get("dispatcher"), "py_func", None)
            if getattr(function, "__name__", "") in names:
                made.tell(function.__name__)  # type: ignore[union-attr]

        def on_end(self, event: Any) -> None:
            if threading.get_ident() == thread:
                made.leave()

    with event.install_listener("numba:compile", Listener()):
        yield made


_known: set[Any] = set()  # what `compile_step` was called with in this process


def compile_step(
    model: Module,
    x: Any,
    y: Any,
    loss: Callable[..., Any],
    watch: Compiling,
    transform: Callable[..., Any] | None = None,
) -> None:
    """Compile what a training step needs, in several processes if it is much; once per process and kind of step.

    Only for models, losses and transforms of fastnn: the step runs dry, which calls them. Nothing is changed.
    """
    key = repr(model), x.shape, x.dtype, y.shape, y.dtype, repr(loss), repr(transform)
    if key in _known:
        return
    _known.add(key)
    streams, gradients = random.get_state(), [(p, p.grad) for p in model.parameters()]
    buffers = [(v._data, v._data.copy()) for _, v in model._named_state() if not isinstance(v, Parameter)]
    wanted: list[Any] = []
    try:
        for parameter, _ in gradients:
            parameter.grad = None
        with suppress(Exception), dry_run(model) as record:  # the real step will say what is wrong
            wanted = record.kernels
            if transform is not None:
                x = transform(np.array(x), np.random.default_rng(0))
            loss(model(Tensor(x)), y).backward()
    finally:
        for memory, before in buffers:
            memory[...] = before
        for parameter, gradient in gradients:
            parameter.grad = gradient
        random.set_state(streams)
    if wanted:
        with watch.timed():
            kernels.compile_kernels(wanted, tell=watch.tell)
