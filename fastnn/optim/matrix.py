"""Optimizers that see a parameter as a whole: as a matrix with rows and columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod, sqrt
from typing import Any, Unpack

import numpy as np

import fastnn_kernels as kernels

from .flat import Flat
from .optimizer import Ignored, Optimizer


class _OfWholes(Optimizer):
    """An optimizer whose update of a parameter is no function of one element.

    Subclasses define `_shapes`, the shapes of the states for that of a parameter, and `_move`.
    """

    def _shapes(self, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        raise NotImplementedError

    def _direction(
        self, param: np.ndarray, grad: np.ndarray, state: dict[str, np.ndarray], step: int, settings: dict[str, Any]
    ) -> tuple[np.ndarray, float]:
        """Give where to go, and how far."""
        raise NotImplementedError

    def _update(self, flat: Flat, part: slice | None, step: int, settings: dict[str, Any]) -> None:
        for k, (start, stop) in enumerate(flat.ranges):
            if start == stop or not (part is None or part.start <= start < part.stop):
                continue
            shape = flat.parameters[k].shape
            values, grad = flat.values[start:stop], flat.gradients[start:stop].reshape(shape)
            if settings["maximize"]:
                grad = kernels.mul(grad, -1.0)
            state = flat.wholes.setdefault(k, {})
            for name, size in self._shapes(shape).items():
                if name not in state:
                    state[name] = np.zeros(size, flat.dtype)
            way, length = self._direction(values.reshape(shape), grad, state, step, settings)
            if settings["weight_decay"]:
                kernels.mul(values, 1 - settings["lr"] * settings["weight_decay"], out=values)
            way = np.ascontiguousarray(way).reshape(-1)
            kernels.OPTIMIZER_RULES["sgd"].update((values, way), 1, {"lr": length})

    def _state_of(self, flat: Flat, k: int) -> dict[str, Any]:
        steps: dict[str, Any] = {"step": float(flat.parameter_steps()[k])} if self.counts_steps else {}
        return {**steps, **{name: array.copy() for name, array in flat.wholes.get(k, {}).items()}}

    def _check_state(self, kind: str, i: int, entry: Mapping[str, Any], shape: tuple[int, ...]) -> None:
        wanted = self._shapes(shape)
        own = {name: value for name, value in entry.items() if name in wanted and value is not None}
        for name, size in wanted.items():
            super()._check_state(kind, i, {name: own.pop(name)} if name in own else {}, size)
        super()._check_state(kind, i, {k: v for k, v in entry.items() if k not in wanted}, shape)

    def _take_state(self, flat: Flat, k: int, entry: Mapping[str, Any]) -> None:
        super()._take_state(flat, k, {"step": entry["step"]} if "step" in entry else {})
        names = self._shapes(flat.parameters[k].shape)
        given = {name: np.array(np.asarray(entry[name]), flat.dtype) for name in names if entry.get(name) is not None}
        if given:
            flat.wholes[k] = given
            if not self.counts_steps:
                steps = flat.parameter_steps()
                steps[k] = 1
                flat.set_parameter_steps(steps)


class Adafactor(_OfWholes):
    """Adafactor (Shazeer & Stern, 2018), in PyTorch's form: mean squares of rows and columns stand for all of them.

        v = v + (g**2 - v) * t**beta2_decay      (of matrices: the means of rows and columns, and v their product)
        u = g / sqrt(v)
        p = p - min(lr, 1 / sqrt(t)) * max(eps[1], rms(p)) / max(1, rms(u) / d) * u

    after p = p - lr * weight_decay * p. The memory of a matrix is one row and one column. eps[0]: the least root of v,
    None for that of the dtype.
    """

    state_names = ("row_var", "col_var", "variance")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        **ignored: Unpack[Ignored],
    ) -> None:
        settings = {"lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d, "weight_decay": weight_decay}
        super().__init__(params, {**settings, "maximize": maximize}, **ignored)

    def _check(self, settings: Mapping[str, Any]) -> None:
        super()._check({name: value for name, value in settings.items() if name != "eps"})
        eps, decay, d = settings["eps"], settings["beta2_decay"], settings["d"]
        if not (isinstance(eps, tuple | list) and len(eps) == 2 and (eps[0] is None or eps[0] >= 0) and eps[1] >= 0):
            raise ValueError(f"Adafactor: eps must be two numbers of at least 0, the first may be None, got {eps}")
        if not decay <= 0:
            raise ValueError(f"Adafactor: beta2_decay must not be positive, got {decay}")
        if not d >= 1:
            raise ValueError(f"Adafactor: d must be at least 1, got {d}")

    def _shapes(self, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        if len(shape) < 2:
            return {"variance": shape}
        return {"row_var": (*shape[:-1], 1), "col_var": (*shape[:-2], 1, shape[-1])}

    def _direction(
        self, param: np.ndarray, grad: np.ndarray, state: dict[str, np.ndarray], step: int, settings: dict[str, Any]
    ) -> tuple[np.ndarray, float]:
        fresh = float(step) ** settings["beta2_decay"]
        least, floor = settings["eps"]
        least = float(np.finfo(param.dtype).eps) if least is None else float(least)
        square = kernels.mul(grad, grad)
        if grad.ndim < 2:
            _approach(state["variance"], square, fresh)
            variance = state["variance"]
        else:
            rows, columns = state["row_var"], state["col_var"]
            _approach(rows, kernels.mean(square, -1, keepdims=True), fresh)
            _approach(columns, kernels.mean(square, -2, keepdims=True), fresh)
            whole = kernels.maximum(kernels.mean(rows, -2, keepdims=True), least)
            variance = kernels.div(kernels.mul(rows, columns), whole)
        update = kernels.mul(kernels.rsqrt(kernels.maximum(variance, least * least)), grad)
        size = max(floor, _rms(param)) * min(settings["lr"], 1 / sqrt(step))
        return update, size / max(1.0, _rms(update) / settings["d"])


class Muon(_OfWholes):
    """Muon (Jordan et al., 2024): momentum whose singular values are all made nearly 1. For matrices of hidden layers.

        m = momentum * m + (1 - momentum) * g
        u = orthogonalized(momentum * m + (1 - momentum) * g)      (of m without nesterov)
        p = p - lr * weight_decay * p - lr * scale * u

    scale: sqrt(max(1, rows / columns)), with adjust_lr_fn="match_rms_adamw" 0.2 * sqrt(max(rows, columns)).
    Orthogonalized by ns_steps of the iteration x = a x + (b x x' + c (x x')**2) x with ns_coefficients (a, b, c), from
    x / |x|, in the dtype of the parameters (in PyTorch in bfloat16).

    Raises ValueError for parameters that are no matrices: give these to another optimizer.
    """

    state_names = ("momentum_buffer",)
    counts_steps = False

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
        *,
        maximize: bool = False,
        **ignored: Unpack[Ignored],
    ) -> None:
        settings = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov, "eps": eps}
        more = {"ns_coefficients": ns_coefficients, "ns_steps": ns_steps, "adjust_lr_fn": adjust_lr_fn}
        super().__init__(params, {**settings, **more, "maximize": maximize}, **ignored)

    def _check(self, settings: Mapping[str, Any]) -> None:
        super()._check(settings)
        for parameter in settings.get("params", ()):
            if parameter.ndim != 2:
                raise ValueError(f"Muon: parameters must be matrices, got shape {tuple(parameter.shape)}")
        steps, adjust = settings["ns_steps"], settings["adjust_lr_fn"]
        if not (isinstance(steps, int) and 0 <= steps < 100):
            raise ValueError(f"Muon: ns_steps must be an integer from 0 to 99, got {steps!r}")
        if len(settings["ns_coefficients"]) != 3:
            raise ValueError(f"Muon: ns_coefficients must be three numbers, got {settings['ns_coefficients']}")
        if adjust not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"Muon: adjust_lr_fn must be 'original' or 'match_rms_adamw', got {adjust!r}")

    def _shapes(self, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        return {"momentum_buffer": shape}

    def _direction(
        self, param: np.ndarray, grad: np.ndarray, state: dict[str, np.ndarray], step: int, settings: dict[str, Any]
    ) -> tuple[np.ndarray, float]:
        momentum, buffer = settings["momentum"], state["momentum_buffer"]
        _approach(buffer, grad, 1 - momentum)
        way = kernels.lerp(grad, buffer, momentum) if settings["nesterov"] else buffer
        rows, columns = param.shape
        scale = sqrt(max(1.0, rows / columns))
        if settings["adjust_lr_fn"] == "match_rms_adamw":
            scale = 0.2 * sqrt(max(rows, columns))
        return _orthogonalized(way, settings), settings["lr"] * scale


def _orthogonalized(x: np.ndarray, settings: Mapping[str, Any]) -> np.ndarray:
    """Bring all singular values of a matrix near 1, by Newton and Schulz' iteration."""
    a, b, c = settings["ns_coefficients"]
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = kernels.div(x, max(_norm(x), settings["eps"]))
    for _ in range(settings["ns_steps"]):
        gram = kernels.matmul(x, x.T)
        change = kernels.add(kernels.mul(gram, b), kernels.mul(kernels.matmul(gram, gram), c))
        x = kernels.add(kernels.mul(x, a), kernels.matmul(change, x))
    return x.T if tall else x


def _approach(state: np.ndarray, value: np.ndarray, fresh: float) -> None:
    """Do state += fresh (value - state)."""
    kernels.OPTIMIZER_RULES["average"].update(
        (state.reshape(-1), value.reshape(-1)), 1, {"lr": 1.0, "decay": 1 - fresh}
    )


def _norm(x: np.ndarray) -> float:
    return float(kernels.clip_grad_norm([np.ascontiguousarray(x)], np.inf, 2.0))


def _rms(x: np.ndarray) -> float:
    return _norm(x) / sqrt(prod(x.shape))
