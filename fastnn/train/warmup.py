"""Compiling ahead of time what a model needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from fastnn import random
from fastnn._checks import shape_of, type_of, whole
from fastnn.nn import Module
from fastnn.nn.dry import dry_run
from fastnn.nn.module import modes_kept
from fastnn.optim import Optimizer
from fastnn.tape import Tensor, no_grad
from fastnn.train.compiling import Compiling, compiling
from fastnn.train.progress import bar_class
from fastnn_kernels import compile_kernels


def warmup(
    model: Module,
    input_shape: tuple[int, ...],
    *,
    loss: Callable[[Any, Any], Any] | None = None,
    target: Any = None,
    optimizer: Optimizer | None = None,
    dtype: Any = np.float32,
    progress: bool = True,
    processes: int | None = None,
) -> list[str]:
    """Compile the kernels that a model needs for inputs of one shape, and return the names of those that were new.

    Kernels are compiled when they are first used, some tenths of a second each, and kept on disk for later processes.
    Call this once where such a pause would be in the way, for instance when a server starts or a container is built.
    The model runs in evaluation mode, then in training mode forward and backward, and `optimizer` takes a step: first
    dry, to see which kernels that needs, which several processes then compile, and then on random numbers. Parameters,
    their state and the random streams are as before afterwards; gradients are cleared.

    Parameters
    ----------
    model : Module
        Any model that takes one array.
    input_shape : tuple of int
        With the batch: which kernels are the fastest depends on it.
    loss, target : callable, array
        The loss function and what it compares the output with. Without them, the output's sum is differentiated.
    optimizer : Optimizer
        Over the model's parameters.
    dtype : dtype
        Of the input; float32 as default.
    progress : bool
        Show each kernel while it compiles.
    processes : int, optional
        How many compile at once, this one among them; by default one per core, four at most, or what the environment
        variable FASTNN_COMPILE_PROCESSES says. With 1, none is started.

    Examples
    --------
    >>> from fastnn import nn
    >>> compiled = warmup(nn.Linear(20, 3), (8, 20), progress=False)
    >>> warmup(nn.Linear(20, 3), (8, 20), progress=False)  # now there is nothing left to do
    []
    """
    if loss is not None and target is None:
        raise TypeError("warmup: a loss needs a target, for instance target=np.zeros(batch_size, int)")
    if not isinstance(model, Module):
        raise TypeError(f"warmup: model must be a Module, got {type(model).__name__}")
    x = np.random.default_rng(0).standard_normal(shape_of("warmup", input_shape)).astype(type_of("warmup", dtype))
    if processes is not None:
        whole("warmup", "processes", processes, 1)

    def run() -> None:
        model.eval()
        with no_grad():
            model(x)
            model(x)  # the second time with packed weights
        model.train()
        output = model(Tensor(x))
        value = output.sum() if loss is None else loss(output, target)
        if value.requires_grad:
            value.backward()
            if optimizer is not None:
                optimizer.step()

    with _shown(progress) as watch, _unchanged(model, optimizer):
        if processes != 1:
            wanted: list[Any] = []
            with suppress(Exception), _unchanged(model, optimizer), dry_run(model) as record:
                wanted = record.kernels
                run()
            compile_kernels(wanted, processes, watch.tell)
        run()
    return watch.names


@contextmanager
def _unchanged(model: Module, optimizer: Optimizer | None) -> Iterator[None]:
    """Put parameters, states, modes and random streams back in the end."""
    weights = {name: np.array(value) for name, value in model.state_dict().items()}
    memory = optimizer.state_dict() if optimizer is not None else {}
    streams = random.get_state()
    with modes_kept(model):
        try:
            yield
        finally:
            random.set_state(streams)
            model.load_state_dict(weights)
            model.zero_grad()
            if optimizer is not None:
                optimizer.zero_grad()
                optimizer.load_state_dict(memory)


@contextmanager
def _shown(progress: bool) -> Iterator[Compiling]:
    """Watch what is compiled, and show it."""
    layout = "{desc}: {n_fmt} kernels in {elapsed}{postfix}"
    with bar_class()(desc="compiling", bar_format=layout, disable=not progress) as bar:

        def began(name: str) -> None:
            bar.set_postfix_str(name, refresh=False)
            bar.update()

        with compiling(began) as watch:
            yield watch
        bar.set_postfix_str("")
