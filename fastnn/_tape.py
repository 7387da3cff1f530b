"""The tape: what ran, in which order, and how to walk back over it.

Every recorded operation leaves a `Node` that knows the closure that undoes it and where its inputs came from: other
nodes, or the `Leaf` of a tensor that a person made. One counter numbers nodes and writes alike, so sorting by it gives
the order in which everything happened: `backpropagate` visits nodes from the latest to the earliest without recursion,
and a leaf written after a node was recorded is noticed.

A node holds no tensors. What a backward pass needs, its closure holds; everything else dies with the last name for it.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count, repeat
from operator import attrgetter
from sys import getrefcount
from typing import Any

import numpy as np

import fastnn_kernels as kernels
from fastnn._grad_mode import enable_grad as enable_grad
from fastnn._grad_mode import grad_mode as grad_mode
from fastnn._grad_mode import is_grad_enabled as is_grad_enabled
from fastnn._grad_mode import no_grad as no_grad

clock = count(1)  # next(clock) is atomic; 28 ns


def added(a: Any, b: Any) -> Any:
    """Return the sum of two gradients, of arrays or of several results."""
    return a + b if type(a) is Slots else kernels.add(a, b)


def add_to(total: np.ndarray, gradient: np.ndarray) -> None:
    """Add a gradient to the memory of another."""
    if gradient.dtype == total.dtype and gradient.shape == total.shape:
        kernels.add(total, gradient, out=total)
    else:
        total += gradient


class Leaf:
    """Where gradients end: the tape's view of a tensor that a person made with ``requires_grad=True``.

    `grad` is the gradient collected so far, or None; `shown` is the tensor that people have of it. `buffer`, where an
    optimizer has set it, is the memory in which `grad` must live: a part of one flat array, which `owner` has.
    `version` is the time of the last write into the tensor's own memory.
    """

    __slots__ = ("buffer", "dtype", "grad", "hooks", "owner", "shape", "shown", "version")

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.shape = shape
        self.dtype = dtype
        self.grad: np.ndarray | None = None
        self.buffer: np.ndarray | None = None
        self.owner: Any = None
        self.hooks: Any = None
        self.shown: Any = None  # a weak reference: that a person keeps a gradient must be seen by its references
        self.version = next(clock)

    next_functions: tuple[Any, ...] = ()

    def name(self) -> str:
        """Give PyTorch's name for where gradients end."""
        return "AccumulateGrad"

    def __repr__(self) -> str:
        return f"<{self.name()}>"

    def set(self, gradient: np.ndarray) -> None:
        """Make `gradient` the whole gradient. It is copied: backward functions may hand out one array twice."""
        if self.buffer is None:
            self.grad = np.empty(self.shape, self.dtype)
        else:
            if self.grad is not None:
                self.forget()
            self.grad = self.buffer
        self.grad[...] = gradient

    def forget(self) -> None:
        """Drop the gradient. An array that somebody keeps is left to them: the next gradient gets other memory."""
        self.grad = None
        if self.owner is not None and getrefcount(self.buffer) > ALONE:
            self.owner.renew_gradients()

    def receive(
        self, gradient: np.ndarray, node: Node, backward: Callable[..., Any], out: np.ndarray | None = None
    ) -> None:
        """Add a gradient that `backward` of `node` computed; `out` is the buffer it was told to write it into."""
        if self.version > node.order or gradient.shape != self.shape:
            self.refuse(gradient, backward)
        if gradient is out:  # written in place
            self.grad = gradient
        elif self.grad is None:
            self.set(gradient)
        else:
            add_to(self.grad, gradient)

    def refuse(self, gradient: np.ndarray, backward: Callable[..., Any]) -> None:
        """Raise RuntimeError for a gradient of another shape, or of other values."""
        if gradient.shape != self.shape:
            raise RuntimeError(
                f"backward: {_name(backward)} gave a gradient of shape {gradient.shape} for a leaf of shape "
                f"{self.shape}"
            )
        raise RuntimeError(
            f"backward: a leaf tensor of shape {self.shape} was written to after {_name(backward)} used it; its "
            "gradient would be that of other values"
        )

    def add(self, gradient: np.ndarray) -> None:
        """Add to what was collected."""
        if self.grad is None:
            self.set(gradient)
        else:
            add_to(self.grad, gradient)


def _references_of_one() -> int:
    leaf = Leaf((), np.dtype(np.float64))
    leaf.buffer = np.empty(())
    return getrefcount(leaf.buffer)


ALONE = _references_of_one()  # getrefcount of a leaf's buffer that has no other references


class Node:
    """One recorded operation. `backward` is None once the graph was freed."""

    __slots__ = ("backward", "order", "parents", "retained", "takes_out")

    backward: Callable[..., Any] | None
    order: int
    parents: list[Node | Leaf | None]  # one per array argument; None where no gradient is needed
    takes_out: bool
    retained: Any  # the tensor's gradient, if `retain_grad` asked for it

    def name(self) -> str:
        """Give the name of the operation, as PyTorch shows it: "MulBackward"."""
        if self.backward is None:
            return "Freed"
        return "".join(part.title() for part in _name(self.backward).split("_")) + "Backward"

    @property
    def next_functions(self) -> tuple[tuple[Node | Leaf, int], ...]:
        """Where the arguments that have gradients came from, in PyTorch's form."""
        return tuple([(parent, 0) for parent in self.parents if parent is not None])

    def __repr__(self) -> str:
        return f"<{self.name()}>"


_order = attrgetter("order")


class Hooked:
    """A backward function with functions before it that see the gradient, and may give another in its place."""

    __slots__ = ("hooks", "retain", "undo")

    def __init__(self, undo: Callable[..., Any]) -> None:
        self.undo = undo
        self.hooks: dict[Any, Callable[[np.ndarray], np.ndarray | None]] = {}
        self.retain: Callable[[np.ndarray], None] | None = None

    def seen(self, dy: Any) -> Any:
        """Give the gradient after all hooks."""
        dy = after_hooks(self.hooks, dy)
        if self.retain is not None:
            self.retain(dy)
        return dy

    def __call__(self, dy: Any, needs: tuple[bool, ...], *outs: Any) -> Any:
        return self.undo(self.seen(dy), needs, *outs)


def after_hooks(hooks: dict[Any, Callable[[np.ndarray], np.ndarray | None]], dy: np.ndarray) -> np.ndarray:
    """Give a gradient after hooks, each of which may give another."""
    for hook in tuple(hooks.values()):
        changed = hook(dy)
        if changed is not None:
            if changed.shape != dy.shape:
                raise RuntimeError(f"a hook gave a gradient of shape {changed.shape} in place of one of {dy.shape}")
            dy = changed
    return dy


def backpropagate(
    gradients: dict[Node, Any], retain_graph: bool, wanted: dict[Node | Leaf, np.ndarray | None] | None = None
) -> None:
    """Carry the gradients of some nodes to every leaf that these depend on, and add them up there.

    With `wanted`, no leaf is changed: the gradients of those nodes and leaves are put there, and what leads to none of
    them is left out.
    """
    nodes = list(gradients)
    for node in nodes:  # grows while it is walked
        for parent in node.parents:
            if type(parent) is Node and parent not in gradients:
                gradients[parent] = None
                nodes.append(parent)
    nodes.sort(key=_order, reverse=True)
    useful = None if wanted is None else _leading_to(wanted, nodes)
    held: dict[Leaf, np.ndarray] = {}  # of leaves that do not just add it up: with hooks, or wanted
    for node in nodes:
        dy = gradients.pop(node)
        backward, parents = node.backward, node.parents
        if backward is None:
            raise RuntimeError(
                "backward: this graph was already walked and freed; pass retain_graph=True to the first backward() "
                "to walk it twice"
            )
        if wanted is not None:
            if node in wanted and dy is not None:
                if type(backward) is Hooked:
                    dy, backward = backward.seen(dy), backward.undo
                wanted[node] = dy
            if node not in useful:  # type: ignore[operator]
                continue
            parents = [parent if parent in useful or parent in wanted else None for parent in parents]  # type: ignore[operator]
        if not retain_graph:
            node.backward = None
            node.parents = []
        if dy is None:
            continue
        needs = tuple([parent is not None for parent in parents])
        outs: Any = NO_OUT
        if node.takes_out:
            outs = tuple([_destination(parent, parents) for parent in parents])
            if wanted is not None:
                outs = (None,) * len(parents)
            results = backward(dy, needs, outs)
        else:
            results = backward(dy, needs)
        if len(results) != len(parents):
            raise RuntimeError(
                f"backward: {_name(backward)} gave {len(results)} gradients for {len(parents)} array arguments"
            )
        for parent, result, out in zip(parents, results, outs):  # noqa: B905  (checked above; strict=True costs 60 ns)
            if parent is None or result is None:
                continue
            if type(parent) is Node:
                before = gradients[parent]
                gradients[parent] = result if before is None else added(before, result)
            elif wanted is not None or parent.hooks:  # type: ignore[union-attr]
                if parent.version > node.order or result.shape != parent.shape:  # type: ignore[union-attr]
                    parent.refuse(result, backward)  # type: ignore[union-attr]
                held[parent] = added(held[parent], result) if parent in held else result  # type: ignore[index]
            else:
                parent.receive(result, node, backward, out)  # type: ignore[union-attr]
    for leaf, gradient in held.items():
        gradient = after_hooks(leaf.hooks, gradient) if leaf.hooks else gradient
        if wanted is None:
            leaf.add(gradient)
        else:
            wanted[leaf] = gradient


def _leading_to(wanted: dict[Node | Leaf, Any], nodes: list[Node]) -> set[Any]:
    """Give the nodes from which a walk back comes to what is wanted. nodes: from the latest to the earliest."""
    found: set[Any] = set()
    for node in reversed(nodes):
        if any(parent in wanted or parent in found for parent in node.parents):
            found.add(node)
    return found


NO_OUT = repeat(None)


def _destination(parent: Node | Leaf | None, parents: list[Node | Leaf | None]) -> np.ndarray | None:
    """Where the gradient of `parent` can be written at once: memory that waits for its first and only gradient."""
    if type(parent) is Leaf and parent.grad is None and not parent.hooks and parents.count(parent) == 1:
        return parent.buffer
    return None


def _name(backward: Callable[..., Any]) -> str:
    """Name the operation in which `backward` was made."""
    if type(backward) is Hooked:
        backward = backward.undo
    operation, _, own = backward.__qualname__.rpartition(".<locals>.")
    return operation.rpartition(".")[2] or own


class Slots(tuple[Any, ...]):
    """The gradients of an operation with several results; None where none has arrived. Adds like one gradient."""

    __slots__ = ()

    def __add__(self, other: Any) -> Slots:
        return Slots(a if b is None else b if a is None else added(a, b) for a, b in zip(self, other, strict=True))


def pick(index: int, total: int) -> Callable[..., Any]:
    """Give the backward function of result `index` out of `total`."""

    def backward(dy: np.ndarray, needs: tuple[bool, ...]) -> tuple[Slots]:
        return (Slots(dy if i == index else None for i in range(total)),)

    return backward
