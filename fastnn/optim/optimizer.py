"""What all optimizers share: groups of parameters, flat memory, state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from fastnn._tape import Leaf
from fastnn.tensor import Tensor

from .flat import Flat, leaf_of


class Optimizer:
    """Base of optimizers: subclasses define `_update` and name their state in `_state_names`.

    params: Parameters (or leaf Tensors that require gradients), or groups of them with settings of their own, as
    dictionaries: ``[{"params": ..., "lr": 0.1}, ...]``. All are moved into flat memory, where one kernel call per
    group and dtype updates them; so a parameter should have one optimizer at a time (another one takes it over with
    its values, at the price of a copy).

    Parameters without a gradient are left alone, frozen ones too. `param_groups` is a list of dictionaries: change a
    setting there between steps, or `lr` for all groups at once.
    """

    _state_names: tuple[str, ...] = ()

    def __init__(self, params: Iterable[Any], settings: dict[str, Any]) -> None:
        name = type(self).__name__
        if isinstance(params, Tensor | Mapping):
            raise TypeError(f"{name}: params must be an iterable of parameters, not one {type(params).__name__}")
        given = list(params)
        groups = given if given and isinstance(given[0], Mapping) else [{"params": given}]
        self.param_groups: list[dict[str, Any]] = []
        self._flats: list[list[Flat]] = []
        seen: set[int] = set()
        for group in groups:
            parameters = list(group["params"])
            unknown = set(group) - set(settings) - {"params"}
            if unknown:
                raise ValueError(f"{name}: unknown settings {', '.join(sorted(unknown))}")
            for parameter in parameters:
                if not isinstance(parameter, Tensor):
                    raise TypeError(f"{name}: expected parameters, got {type(parameter).__name__}")
                if id(parameter) in seen:
                    raise ValueError(f"{name}: a parameter of shape {parameter.shape} is given twice")
                seen.add(id(parameter))
            self.param_groups.append({**settings, **group, "params": parameters})
            self._check(self.param_groups[-1])
        if not seen:
            raise ValueError(f"{name}: there are no parameters")
        for group in self.param_groups:
            parameters = group["params"]
            if any(type(leaf_of(p)) is not Leaf for p in parameters):
                raise ValueError(f"{name}: only Parameters, and leaf tensors that require gradients, can be optimized")
            dtypes = dict.fromkeys(p.dtype for p in parameters)
            self._flats.append([Flat([p for p in parameters if p.dtype == dtype]) for dtype in dtypes])

    def _check(self, settings: dict[str, Any]) -> None:
        """Raise ValueError for settings that make no sense."""
        for name in ("lr", "weight_decay", "l1"):
            if not settings[name] >= 0:
                raise ValueError(f"{type(self).__name__}: {name} must not be negative, got {settings[name]}")

    def _update(self, flat: Flat, part: slice | None, step: int, settings: dict[str, Any]) -> None:
        """Apply update number `step` to the whole of `flat`, or to a part."""
        raise NotImplementedError

    @property
    def lr(self) -> float:
        """The learning rate of the first group; setting it sets that of all groups."""
        return self.param_groups[0]["lr"]  # type: ignore[no-any-return]

    @lr.setter
    def lr(self, value: float) -> None:
        for group in self.param_groups:
            group["lr"] = value

    def step(self) -> None:
        """Move all parameters that have gradients."""
        for settings, flats in zip(self.param_groups, self._flats, strict=True):
            for flat in flats:
                for part, step in flat.due():
                    self._update(flat, part, step, settings)

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for flats in self._flats:
            for flat in flats:
                flat.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        """Give settings and state as numbers, strings and arrays (copies): all that `load_state_dict` needs.

        State arrays have the shapes of their parameters and are named by state and position, "exp_avg.0".
        """
        settings = [{k: v for k, v in group.items() if k != "params"} for group in self.param_groups]
        steps: list[int] = []
        state: dict[str, np.ndarray] = {}
        for flat in self._all_flats():
            for name, buffer in flat.state.items():
                for i, (parameter, (start, stop)) in enumerate(zip(flat.parameters, flat.ranges, strict=True)):
                    state[f"{name}.{len(steps) + i}"] = buffer[start:stop].reshape(parameter.shape).copy()
            steps += flat.parameter_steps()
        return {"type": type(self).__name__, "groups": settings, "steps": steps, "state": state}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` gave for the same parameters in the same order.

        Raises ValueError, with nothing changed, if it belongs to another optimizer or to other parameters.
        """
        own = self.state_dict()
        kind = type(self).__name__
        if state_dict["type"] != kind:
            raise ValueError(f"load_state_dict: a state of {state_dict['type']} does not fit {kind}")
        steps, groups, state = list(state_dict["steps"]), state_dict["groups"], state_dict["state"]
        if len(steps) != len(own["steps"]) or len(groups) != len(own["groups"]):
            raise ValueError(
                f"load_state_dict: {len(steps)} parameters in {len(groups)} groups do not fit {len(own['steps'])} in "
                f"{len(own['groups'])}"
            )
        shapes = [p.shape for flat in self._all_flats() for p in flat.parameters]
        for key, array in state.items():
            name, _, index = key.rpartition(".")
            if name not in self._state_names or not index.isdigit() or int(index) >= len(shapes):
                raise ValueError(f"load_state_dict: {kind} has no state {key!r}")
            if np.shape(array) != shapes[int(index)]:
                raise ValueError(
                    f"load_state_dict: {key} has shape {np.shape(array)}, its parameter has {shapes[int(index)]}"
                )
        for group, settings in zip(self.param_groups, groups, strict=True):
            self._check({**group, **settings})
        for group, settings in zip(self.param_groups, groups, strict=True):
            group.update({k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()})
        first = 0
        for flat in self._all_flats():
            count = len(flat.parameters)
            flat.set_parameter_steps([int(step) for step in steps[first : first + count]])
            flat.state.clear()
            for name in self._state_names:
                for i, (start, stop) in enumerate(flat.ranges):
                    if f"{name}.{first + i}" in state:
                        flat.buffer(name)[start:stop] = np.ravel(state[f"{name}.{first + i}"])
            first += count

    def _all_flats(self) -> list[Flat]:
        return [flat for flats in self._flats for flat in flats]

    def __repr__(self) -> str:
        settings = ", ".join(f"{k}={v}" for k, v in self.param_groups[0].items() if k != "params")
        return f"{type(self).__name__}({settings})"
