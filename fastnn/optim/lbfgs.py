"""L-BFGS."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

import fastnn_kernels as kernels
from fastnn._tape import enable_grad

from .flat import Flat
from .line_search import Point, strong_wolfe
from .optimizer import Optimizer, number_of

VECTORS, LISTS = ("d", "prev_flat_grad"), ("old_dirs", "old_stps")


class LBFGS(Optimizer):
    """L-BFGS (Nocedal, 1980; Nocedal & Wright, 2006, algorithm 7.4): steps from the curvature of the last gradients.

    For losses of whole data sets, not of batches: `step` needs a function that clears the gradients, computes loss and
    gradients, and gives the loss; it is called up to `max_eval` times (5/4 max_iter), for up to `max_iter` iterations.

        def closure():
            optimizer.zero_grad()
            loss = ...
            loss.backward()
            return loss

    It ends early where no gradient is above `tolerance_grad`, or where neither the loss nor any parameter changes by
    more than `tolerance_change`. line_search_fn="strong_wolfe" finds the length of each step, None takes `lr`.
    history_size gradients are kept. Parameters without a gradient count as having one of zeros.

    One group, one dtype: ValueError otherwise. TypeError for a step without a closure.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        settings = {"lr": lr, "max_iter": max_iter, "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval}
        more = {"tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change, "history_size": history_size}
        self.memory: dict[str, Any] = {"n_iter": 0, "func_evals": 0}
        super().__init__(params, {**settings, **more, "line_search_fn": line_search_fn})

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Take the only group. Raises ValueError for another, and for parameters of several dtypes."""
        if self.param_groups:
            raise ValueError("LBFGS: there can be one group of parameters only")
        super().add_param_group(param_group)
        if len(self._flats[0]) > 1:
            raise ValueError("LBFGS: all parameters must have one dtype")

    def _check(self, settings: Mapping[str, Any]) -> None:
        super()._check(settings)
        for name in ("max_iter", "max_eval", "history_size"):
            if not isinstance(settings[name], int) or settings[name] < 1:
                raise ValueError(f"LBFGS: {name} must be an integer of at least 1, got {settings[name]!r}")
        for name in ("tolerance_grad", "tolerance_change"):
            if not settings[name] >= 0:
                raise ValueError(f"LBFGS: {name} must not be negative, got {settings[name]}")
        if settings["line_search_fn"] not in (None, "strong_wolfe"):
            raise ValueError(
                f"LBFGS: line_search_fn must be 'strong_wolfe' or None, got {settings['line_search_fn']!r}"
            )

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take up to `max_iter` steps; give the loss before the first of them."""
        if closure is None:
            raise TypeError("LBFGS: step needs a closure, which clears gradients, computes them and gives the loss")
        settings, flat, memory = self.param_groups[0], self._flats[0][0], self.memory
        lr, limit = settings["lr"], settings["max_eval"]
        self.updates += 1
        first = _evaluate(closure)
        loss, gradient, evaluations = float(first), _gradient(flat), 1
        memory["func_evals"] += 1
        if _largest(gradient) <= settings["tolerance_grad"]:
            return first
        for iteration in range(settings["max_iter"]):
            memory["n_iter"] += 1
            direction = memory["d"] = self._direction(gradient, settings["history_size"])
            memory["prev_flat_grad"], memory["prev_loss"] = gradient, loss
            t = lr if memory["n_iter"] > 1 else min(1.0, 1.0 / kernels.clip_grad_norm([gradient], np.inf, 1)) * lr
            memory["t"] = t  # also if this ends here: the next direction asks for it
            slope = _dot(gradient, direction)
            if slope > -settings["tolerance_change"]:
                break
            last = iteration == settings["max_iter"] - 1
            used = 0
            if settings["line_search_fn"]:
                found, used = self._search(closure, flat, Point(0.0, loss, gradient, slope), t, limit - evaluations)
                t, loss, gradient = found.t, found.loss, found.gradient
                _move(flat, flat.values.copy(), t, direction)
            else:
                _move(flat, flat.values.copy(), t, direction)
                if not last:  # where gradients are noisy there would be no use in another look
                    loss, gradient, used = float(_evaluate(closure)), _gradient(flat), 1
            memory["t"] = t
            evaluations += used
            memory["func_evals"] += used
            if (
                last
                or evaluations >= limit
                or _largest(gradient) <= settings["tolerance_grad"]
                or abs(t) * _largest(direction) <= settings["tolerance_change"]
                or abs(loss - memory["prev_loss"]) < settings["tolerance_change"]
            ):
                break
        return first

    def _direction(self, gradient: np.ndarray, history_size: int) -> np.ndarray:
        """Give -H gradient, H being what the last steps say about the inverse of the matrix of second derivatives."""
        memory = self.memory
        if memory["n_iter"] == 1:
            memory.update(old_dirs=[], old_stps=[], ro=[], H_diag=1.0)
            return _times(gradient, -1.0)
        changes, steps, ro = memory["old_dirs"], memory["old_stps"], memory["ro"]
        y, s = kernels.sub(gradient, memory["prev_flat_grad"]), _times(memory["d"], memory["t"])
        curvature = _dot(y, s)
        if curvature > 1e-10:
            if len(changes) == history_size:
                del changes[0], steps[0], ro[0]
            changes.append(y)
            steps.append(s)
            ro.append(1.0 / curvature)
            memory["H_diag"] = curvature / _dot(y, y)
        q, weights = _times(gradient, -1.0), [0.0] * len(ro)
        for i in reversed(range(len(ro))):
            weights[i] = _dot(steps[i], q) * ro[i]
            _subtract(q, weights[i], changes[i])
        kernels.mul(q, float(memory["H_diag"]), out=q)
        for i in range(len(ro)):
            _subtract(q, _dot(changes[i], q) * ro[i] - weights[i], steps[i])
        return q

    def _search(self, closure: Callable[[], Any], flat: Flat, start: Point, t: float, limit: int) -> tuple[Point, int]:
        origin, direction = flat.values.copy(), self.memory["d"]

        def at(t: float) -> Point:
            _move(flat, origin, t, direction)
            loss = float(_evaluate(closure))
            gradient = _gradient(flat)
            return Point(t, loss, gradient, _dot(gradient, direction))

        try:
            return strong_wolfe(at, start, t, _largest(direction), limit)
        finally:  # whatever the closure did
            _move(flat, origin, 0.0, direction)

    def state_dict(self) -> dict[str, Any]:
        """Give settings and memory in PyTorch's layout: all under parameter 0, vectors over all parameters."""
        flat = self._flats[0][0]
        state = {key: value for key, value in self.memory.items() if key not in VECTORS + LISTS}
        state.update({key: _packed(flat, self.memory[key]) for key in VECTORS if key in self.memory})
        state.update({key: [_packed(flat, x) for x in self.memory[key]] for key in LISTS if key in self.memory})
        if "ro" in state:
            state["ro"] = list(state["ro"])
        return {"state": {0: state}, "param_groups": super().state_dict()["param_groups"]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` gave. Raises ValueError, with nothing changed, if it does not fit."""
        try:
            flat, state = self._flats[0][0], dict(state_dict.get("state", {}).get(0, {}))
        except (AttributeError, TypeError, ValueError) as error:
            raise ValueError(f"load_state_dict: expected the state of an LBFGS: {error}") from error
        state.pop("al", None)  # PyTorch's scratch memory
        unknown = set(state) - {"n_iter", "func_evals", "t", "ro", "H_diag", "prev_loss", *VECTORS, *LISTS}
        if unknown:
            raise ValueError(f"load_state_dict: LBFGS has no state {sorted(unknown)[0]!r}")
        for key, value in state.items():
            if key in (*LISTS, "ro") and not isinstance(value, list | tuple):
                raise ValueError(f"load_state_dict: {key} must be a list, got {type(value).__name__}")
            if key in VECTORS:
                state[key] = _unpacked(flat, value)
            elif key in LISTS:
                state[key] = [_unpacked(flat, x) for x in value]
            elif key == "ro":
                state[key] = [_finite(key, x) for x in value]
            else:
                state[key] = _finite(key, value)
        for key in ("n_iter", "func_evals"):
            if not 0 <= state.get(key, 0) == int(state.get(key, 0)):
                raise ValueError(f"load_state_dict: {key} must be a count, got {state[key]}")
            state[key] = int(state.get(key, 0))
        if len({len(state.get(key, ())) for key in (*LISTS, "ro")}) > 1:
            raise ValueError(f"load_state_dict: {', '.join((*LISTS, 'ro'))} must be lists of one length")
        needed = {"t", "H_diag", "prev_loss", "ro", *VECTORS, *LISTS} if state["n_iter"] else set()
        if needed - set(state):
            raise ValueError(f"load_state_dict: LBFGS needs {sorted(needed - set(state))[0]!r} to go on")
        super().load_state_dict({**state_dict, "state": {}})
        self.memory = {"n_iter": 0, "func_evals": 0, **state}


def _evaluate(closure: Callable[[], Any]) -> Any:
    with enable_grad():
        return closure()


def _gradient(flat: Flat) -> np.ndarray:
    """Give a copy of all gradients, zeros where there is none."""
    flat.adopt()
    gradient = flat.gradients.copy()
    for leaf, (start, stop) in zip(flat.leaves, flat.ranges, strict=True):
        if leaf.grad is None:
            gradient[start:stop] = 0
    return gradient


def _move(flat: Flat, origin: np.ndarray, t: float, direction: np.ndarray) -> None:
    """Go to origin + t direction."""
    flat.adopt()
    flat.values[...] = origin
    _subtract(flat.values, -t, direction)
    flat.touch()


def _dot(x: np.ndarray, y: np.ndarray) -> float:
    return float(kernels.matmul(x, y))


def _subtract(x: np.ndarray, factor: float, y: np.ndarray) -> None:
    """Do x -= factor y, which is a step of gradient descent."""
    kernels.OPTIMIZER_RULES["sgd"].update((x, y), 1, {"lr": factor})


def _times(x: np.ndarray, factor: float) -> np.ndarray:
    product: np.ndarray = kernels.mul(x, float(factor))
    return product


def _largest(x: np.ndarray) -> float:
    return float(kernels.clip_grad_norm([x], np.inf, np.inf))


def _packed(flat: Flat, x: np.ndarray) -> np.ndarray:
    """Give a vector without the gaps of flat memory."""
    return np.concatenate([x[start:stop] for start, stop in flat.ranges])


def _finite(name: str, value: Any) -> float:
    number = number_of(value)
    if not np.isfinite(number):
        raise ValueError(f"load_state_dict: {name} must be a finite number, got {value!r:.60}")
    return number


def _unpacked(flat: Flat, x: Any) -> np.ndarray:
    total = sum(stop - start for start, stop in flat.ranges)
    if getattr(x, "ndim", 0) != 1 or np.asarray(x).dtype.kind not in "fiu":
        raise ValueError(f"load_state_dict: LBFGS needs vectors of {total} numbers, the state holds {type(x).__name__}")
    if np.shape(x) != (total,):
        raise ValueError(f"load_state_dict: LBFGS has {total} parameters, the state a vector of shape {np.shape(x)}")
    made, first = np.zeros_like(flat.values), 0
    for start, stop in flat.ranges:
        made[start:stop] = np.asarray(x)[first : first + stop - start]
        first += stop - start
    return made
