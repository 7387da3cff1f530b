"""Flat memory: parameters and gradients side by side in one buffer each, so that one kernel call reaches them all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pickle import PickleBuffer
from sys import getrefcount
from typing import Any

import numpy as np

from fastnn._tape import ALONE, Leaf, clock
from fastnn.tape import Tensor

ALIGNMENT = 64  # bytes: parameters start on cache lines, as the kernels' vectors like it
PAGE = 4096  # a load is held up by an earlier store to the same place in another page


def _zeros(count: int, dtype: np.dtype[Any], number: int) -> np.ndarray:
    """Make buffer `number` of those that one kernel reads and writes: each starts in another part of its page."""
    raw = np.zeros(count * dtype.itemsize + PAGE, np.uint8)
    start = (number * PAGE // 4 + number // 4 * PAGE // 8 - raw.ctypes.data) % PAGE
    return raw[start : start + count * dtype.itemsize].view(dtype)


def _is_array(x: object) -> bool:
    return x is not None


LISTED = max(map(getrefcount, filter(_is_array, [np.empty(())])))  # of an array that only a list holds, asked so


def leaf_of(parameter: Tensor) -> Leaf:
    """Give the tape's view of a parameter; a frozen one (``requires_grad=False``) keeps its own."""
    return getattr(parameter, "_leaf", parameter._node)  # type: ignore[return-value, arg-type]


class Flat:
    """Parameters of one dtype, moved into one buffer; their gradients live in another, an optimizer's state in more.

    Gaps between parameters hold zeros: a zero parameter with a zero gradient stays zero under every update rule.

    A gradient that somebody keeps (``g = p.grad``) is theirs once it is forgotten here: gradients then move to other
    memory. Copies and pickles hold the parameters, not the memory: they make their own.
    """

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self.parameters = parameters
        self.dtype = parameters[0].dtype
        self.leaves = [leaf_of(parameter) for parameter in parameters]
        self.ranges: list[tuple[int, int]] = []
        step = ALIGNMENT // self.dtype.itemsize
        end = 0
        for parameter in parameters:
            self.ranges.append((end, end + parameter.numel()))
            end += -(-parameter.numel() // step) * step
        self.values = _zeros(end, self.dtype, 0)
        self.state: dict[str, np.ndarray] = {}
        self.wholes: dict[int, dict[str, np.ndarray]] = {}  # states of other shapes, by the place of their parameter
        self._side_by_side: dict[tuple[str, ...], tuple[np.ndarray, ...]] = {}
        self.steps = [0] * len(parameters)  # updates that each parameter has seen
        self.common_steps: int | None = 0  # ... if that is the same number for all
        self.products: dict[int, float] = {}  # by number of steps: of NAdam's momenta
        self.gradients: np.ndarray
        self._holder: PickleBuffer
        self._memory: tuple[np.ndarray, PickleBuffer, list[np.ndarray | None]] | None = None  # ... of gradients before
        self._allocate_gradients()
        self.adopt()

    def __getstate__(self) -> dict[str, Any]:
        names = "parameters", "state", "wholes", "steps", "common_steps", "products"
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Flat.__init__(self, state.pop("parameters"))
        for name, array in state.pop("state").items():
            self.buffer(name)[...] = array
        self.__dict__.update(state)

    def renew_gradients(self) -> None:
        """Move the gradients to other memory, and leave the old to those who keep arrays of it.

        The old memory waits: the next move goes back there if nobody keeps anything of it by then. A loop that
        keeps only the last gradient alternates between two buffers and allocates nothing.
        """
        waiting = self._memory
        buffers = [leaf.buffer if leaf.owner is self else None for leaf in self.leaves]
        self._memory = (self.gradients, self._holder, buffers)
        if waiting is not None and max(map(getrefcount, filter(_is_array, waiting[2])), default=0) <= LISTED:
            self.gradients, self._holder, buffers = waiting
        else:
            self._allocate_gradients()
            buffers = [None] * len(self.leaves)
        self._side_by_side.clear()
        del waiting
        for leaf, buffer, (start, _) in zip(self.leaves, buffers, self.ranges, strict=True):
            if leaf.owner is self:
                self._lend(leaf, start, buffer)

    def _allocate_gradients(self) -> None:
        self.gradients = _zeros(len(self.values), self.dtype, 1)
        # A base that is no array: NumPy then makes a leaf's buffer the base of all its views, and one look at the
        # references to the buffer tells whether anybody keeps any of them.
        self._holder = PickleBuffer(self.gradients)  # type: ignore[arg-type]

    def _lend(self, leaf: Leaf, start: int, buffer: np.ndarray | None = None) -> None:
        """Let the gradient of a leaf live here."""
        gradient = leaf.grad
        leaf.grad = None
        if buffer is None:
            place = start * self.dtype.itemsize
            buffer = np.ndarray(leaf.shape, self.dtype, self._holder, place)  # type: ignore[arg-type]
        leaf.buffer = buffer
        if gradient is not None:
            leaf.set(gradient)

    def adopt(self) -> None:
        """Move all parameters and gradients here, from wherever they live now."""
        for parameter, leaf, (start, stop) in zip(self.parameters, self.leaves, self.ranges, strict=True):
            if leaf_of(parameter) is not leaf:
                raise RuntimeError(
                    f"a parameter of shape {parameter.shape} was converted to {parameter.dtype} after this optimizer "
                    "was made: make a new optimizer"
                )
            if leaf.owner is self:
                continue
            values = self.values[start:stop].reshape(parameter.shape)
            values[...] = parameter._data
            parameter._move(values)
            leaf.owner = self
            self._lend(leaf, start)

    def buffer(self, name: str, fill: float = 0.0) -> np.ndarray:
        """Give an optimizer's state of that name, one number per parameter, `fill` at first."""
        if name not in self.state:
            self.state[name] = _zeros(len(self.values), self.dtype, 2 + len(self.state))
            if fill:
                self.state[name].fill(fill)
        return self.state[name]

    def buffers(self, names: tuple[str, ...], fill: float = 0.0) -> tuple[np.ndarray, ...]:
        """Give values, gradients and the states of these names."""
        found = self._side_by_side.get(names)
        if found is None:
            found = (self.values, self.gradients, *[self.buffer(name, fill) for name in names])
            self._side_by_side[names] = found
        return found

    def forget_state(self) -> None:
        """Begin anew, without an optimizer's state."""
        self.state.clear()
        self.wholes.clear()
        self._side_by_side.clear()

    def touch(self) -> None:
        """Count as a write to all parameters: who keeps something made of them makes it anew."""
        now = next(clock)
        for leaf in self.leaves:
            leaf.version = now

    def due(self) -> Iterator[tuple[slice | None, int]]:
        """Give (range, number of this update) of what has gradients; the range None stands for everything.

        Counts as a write to the parameters. Those without a gradient are left out, as if they were not there.
        """
        now = next(clock)
        for leaf in self.leaves:
            if leaf.grad is None or leaf.owner is not self:
                return self._due_in_parts()
            leaf.version = now
        if self.common_steps is None:
            return self._due_in_parts()
        self.common_steps += 1
        return iter(((None, self.common_steps),))

    def _due_in_parts(self) -> Iterator[tuple[slice, int]]:
        self.adopt()
        steps = self.parameter_steps()
        now = next(clock)
        parts: list[tuple[int, int, int]] = []
        neighbour = -1
        for i, leaf in enumerate(self.leaves):
            if leaf.grad is None:
                continue
            leaf.version = now
            steps[i] += 1
            start, stop = self.ranges[i]
            if neighbour == i - 1 and parts and parts[-1][2] == steps[i]:
                start = parts.pop()[0]
            parts.append((start, stop, steps[i]))
            neighbour = i
        self.set_parameter_steps(steps)
        return iter([(slice(start, stop), step) for start, stop, step in parts])

    def parameter_steps(self) -> list[int]:
        """Give the number of updates that each parameter has seen."""
        return list(self.steps) if self.common_steps is None else [self.common_steps] * len(self.parameters)

    def set_parameter_steps(self, steps: list[int]) -> None:
        """Set the number of updates that each parameter has seen."""
        self.steps = steps
        self.common_steps = steps[0] if len(set(steps)) == 1 else None

    def zero_grad(self) -> None:
        """Forget all gradients; the next ones overwrite the memory, unless somebody keeps an array of it."""
        kept = False
        for leaf in self.leaves:
            leaf.grad = None
            if getrefcount(leaf.buffer) > ALONE:
                kept = True
        if kept:
            for leaf in self.leaves:
                leaf.forget()
