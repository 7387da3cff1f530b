"""Gradients of some tensors with regard to others, and functions that see gradients on their way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import _tensor
from fastnn._handle import RemovableHandle
from fastnn._tape import Hooked, Leaf, Node, added, backpropagate

if TYPE_CHECKING:
    from fastnn._tensor import Tensor

SECOND = "second derivatives are not there: gradients are computed by kernels, which are not recorded"


def _sequence(x: Any) -> Sequence[Any]:
    return list(x) if isinstance(x, tuple | list) else [x]


def _roots(function: str, tensors: Sequence[Any], gradients: Any) -> list[tuple[Any, np.ndarray]]:
    """Give (node, gradient) of each tensor from which a walk starts."""
    given = [None] * len(tensors) if gradients is None else _sequence(gradients)
    if len(given) != len(tensors):
        raise RuntimeError(f"{function}: got {len(tensors)} tensors but {len(given)} gradients of them")
    roots = []
    for tensor, gradient in zip(tensors, given, strict=True):
        if not isinstance(tensor, _tensor.Tensor):
            raise TypeError(f"{function}: expected tensors, got {type(tensor).__name__}")
        if tensor._node is None:
            raise RuntimeError(
                f"{function}: this tensor does not require a gradient, nothing was recorded: was it computed inside "
                "no_grad, or from tensors with requires_grad=False only?"
            )
        roots.append((tensor._node, _tensor.initial_gradient(tensor, gradient)))
    return roots


def _walk(roots: list[tuple[Any, np.ndarray]], retain_graph: bool, wanted: Any = None) -> None:
    """Walk back from several nodes at once; leaves among them collect what they were given."""
    starts: dict[Node, Any] = {}
    for node, gradient in roots:
        if type(node) is Node:
            starts[node] = added(starts[node], gradient) if node in starts else gradient
    backpropagate(starts, retain_graph, wanted)
    for node, gradient in roots:
        if type(node) is Leaf and wanted is None:
            node.add(gradient)
        elif type(node) is Leaf and node in wanted:
            wanted[node] = gradient if wanted[node] is None else added(wanted[node], gradient)


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Any = None,
    inputs: Any = None,
) -> None:
    """Add the derivatives of the sum of `tensors` to the `grad` of every leaf they depend on; see `Tensor.backward`.

    grad_tensors: what weighs the elements of each tensor. inputs: the only leaves that collect.
    """
    if create_graph:
        raise NotImplementedError(f"backward: create_graph=True: {SECOND}")
    roots = _roots("backward", _sequence(tensors), grad_variables if grad_tensors is None else grad_tensors)
    if inputs is None:
        _walk(roots, bool(retain_graph))
        return
    targets = [tensor._node for tensor in _sequence(inputs)]
    if not targets or any(type(node) is not Leaf for node in targets):
        raise RuntimeError("backward: inputs must be leaf tensors that require gradients")
    wanted: dict[Any, Any] = dict.fromkeys(targets)
    _walk(roots, bool(retain_graph), wanted)
    for leaf, gradient in wanted.items():
        if gradient is not None:
            leaf.add(gradient)


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """Give the derivatives of the sum of `outputs` with regard to each of `inputs`; no `grad` is changed.

    grad_outputs: what weighs the elements of each output. The graph is freed on the way unless `retain_graph`. An
    input that no output depends on gives None with `allow_unused`, zeros with `materialize_grads`.

    Raises RuntimeError for such inputs otherwise, and for tensors that require no gradient; NotImplementedError for
    `create_graph`: there are no second derivatives.
    """
    if create_graph or is_grads_batched:
        what = "create_graph=True" if create_graph else "is_grads_batched=True"
        raise NotImplementedError(f"grad: {what}: {SECOND if create_graph else 'call grad once per gradient'}")
    sources = _sequence(inputs)
    for tensor in sources:
        if not isinstance(tensor, _tensor.Tensor) or tensor._node is None:
            raise RuntimeError("grad: one of inputs is no tensor that requires a gradient")
    wanted: dict[Any, Any] = {tensor._node: None for tensor in sources}
    _walk(_roots("grad", _sequence(outputs), grad_outputs), bool(retain_graph), wanted)
    made: list[Any] = []
    for i, tensor in enumerate(sources):
        gradient = wanted[tensor._node]
        if gradient is not None:
            made.append(_tensor.wrap(np.array(gradient, tensor._data.dtype)))
        elif materialize_grads:
            made.append(_tensor.wrap(np.zeros_like(tensor._data)))
        elif allow_unused:
            made.append(None)
        else:
            raise RuntimeError(
                f"grad: inputs[{i}], of shape {tensor.shape}, was not used for outputs; allow_unused=True gives None"
            )
    return tuple(made)


# --- functions that see gradients


def _hooked(node: Node) -> Hooked:
    """Give the backward function of a node, made one that has hooks."""
    if node.backward is None:
        raise RuntimeError("register_hook: this graph was already walked and freed")
    if type(node.backward) is not Hooked:
        node.backward = Hooked(node.backward)
    return node.backward


def register_hook(self: Tensor, hook: Callable[[Tensor], Any]) -> RemovableHandle:
    """Call ``hook(gradient)`` whenever the gradient of this tensor was computed; what it gives replaces that.

    Of a leaf, that is the gradient of one backward pass, before it is added to `grad`. Gives a handle whose
    `remove()` takes the hook away. Raises RuntimeError for a tensor that requires no gradient.
    """
    node = self._node
    if node is None:
        raise RuntimeError("register_hook: this tensor does not require a gradient")

    def seen(dy: np.ndarray) -> np.ndarray | None:
        given = hook(_tensor.wrap(dy))
        return None if given is None else np.asarray(_tensor.unwrap(given), dy.dtype)

    if isinstance(node, Node):
        hooks = _hooked(node).hooks
    else:
        hooks = node.hooks = node.hooks or {}
    handle = RemovableHandle(hooks)
    hooks[handle] = seen
    return handle


def retain_grad(self: Tensor) -> None:
    """Let `grad` of this result of an operation be kept in `backward`, as that of leaves is.

    Raises RuntimeError for a tensor that requires no gradient.
    """
    node = self._node
    if node is None:
        raise RuntimeError("retain_grad: this tensor does not require a gradient")
    if not isinstance(node, Node) or hasattr(node, "retained"):
        return
    node.retained = None

    def keep(dy: np.ndarray) -> None:
        before = node.retained
        node.retained = _tensor.wrap(np.array(dy) if before is None else before._data + dy)

    _hooked(node).retain = keep


def retains_grad(self: Tensor) -> bool:
    """Whether `retain_grad` was called on this result of an operation."""
    return type(self._node) is Node and hasattr(self._node, "retained")
