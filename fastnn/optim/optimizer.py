"""What all optimizers share: groups of parameters, flat memory, state."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from functools import wraps
from numbers import Real
from typing import Any, TypedDict, Unpack

import numpy as np

from fastnn._tape import Leaf, enable_grad
from fastnn.tape import Tensor, wrap
from fastnn_kernels import OPTIMIZER_RULES

from .flat import Flat, leaf_of

# What settings may be, by name: lower end, upper end, whether the upper end belongs to it.
RANGES = {
    **dict.fromkeys(("lr", "weight_decay", "l1", "eps", "momentum", "momentum_decay"), (0.0, np.inf, False)),
    **dict.fromkeys(("lr_decay", "initial_accumulator_value"), (0.0, np.inf, False)),
    **dict.fromkeys(("lambd", "t0"), (0.0, np.inf, False)),
    "betas": (0.0, 1.0, False),
    "step_sizes": (0.0, np.inf, False),
    **dict.fromkeys(("alpha", "rho"), (0.0, 1.0, True)),
}
PAIRS = ("betas", "etas", "step_sizes")  # settings of two numbers
SCHEDULED = {
    "initial_lr",
    "max_lr",
    "min_lr",
    "max_momentum",
    "base_momentum",
    "swa_lr",
}  # what schedules keep in groups
PYTORCHS_OWN = {"foreach", "fused", "capturable", "differentiable"}  # in its groups: how it computes, not what
NAMES = "param_names"


class Ignored(TypedDict, total=False):
    """How PyTorch should compute a step; accepted and ignored: here one kernel does."""

    foreach: bool | None
    fused: bool | None
    capturable: bool
    differentiable: bool


def _number(value: Any) -> float:
    """Give a number as a float; infinity for an integer that no float holds."""
    try:
        return float(value)
    except OverflowError:
        return np.inf if value > 0 else -np.inf


def _plain(value: Any) -> Any:
    """Give a setting that is a tensor or an array of one number as that number."""
    one = isinstance(value, Tensor | np.ndarray) and np.size(value) == 1
    return value.item() if one else value


def number_of(value: Any) -> float:
    """Give a number, or an array of one number, as a float; nan for anything else."""
    try:
        array = np.asarray(value)
        return float(array.item()) if array.dtype.kind in "fiu" and array.size == 1 else np.nan
    except (ValueError, TypeError, OverflowError):
        return np.nan


def _is_group(group: Any) -> bool:
    numbers = group.get("params") if isinstance(group, Mapping) else None
    return isinstance(numbers, list | tuple) and all(isinstance(i, int | np.integer) for i in numbers)


def _fits(value: Any, usual: Any) -> bool:
    """Say whether a setting of a file is of the kind of the usual one."""
    if usual is None or isinstance(usual, str):
        return value is None or isinstance(value, str | int | float)
    if isinstance(usual, bool):
        return isinstance(value, bool | np.bool_)
    if isinstance(usual, tuple | list):
        may_be_none = None in usual
        return isinstance(value, tuple | list) and all(
            np.isfinite(number_of(v)) or (v is None and may_be_none) for v in value
        )
    return bool(np.isfinite(number_of(value)))


class Optimizer:
    """Base of optimizers: subclasses name the rule of `fastnn_kernels.optimizer_step` that moves their parameters.

    params: Parameters (or leaf Tensors that require gradients), or groups of them with settings of their own, as
    dictionaries: ``[{"params": ..., "lr": 0.1}, ...]``. All are moved into flat memory, where one kernel call per
    group and dtype updates them; so a parameter should have one optimizer at a time (another one takes it over with
    its values, at the price of a copy).

    params may also be pairs of name and parameter, as `named_parameters` gives them. Parameters without a gradient are
    left alone, frozen ones too. `param_groups` is a list of dictionaries: change a
    setting there between steps, or `lr` for all groups at once.

    Every optimizer but Adafactor and Muon takes `weight_decay` (L2) and `l1`: they add ``weight_decay * p + l1 *
    sign(p)`` to the gradient, for each group with its own numbers. ``maximize=True`` climbs: it turns the gradient
    around, not the penalties.

    Gradients add up until `zero_grad`, so several backward passes before one step make one large batch of small ones:
    divide each loss by their number.
    """

    rule = ""
    state_names: tuple[str, ...] = ()  # of all rules that the class can use
    counts_steps = True  # whether PyTorch's state has a "step"

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any], **ignored: Unpack[Ignored]) -> None:
        name = type(self).__name__
        if unknown := ignored.keys() - PYTORCHS_OWN:
            raise TypeError(f"{name}: unexpected argument {min(unknown)!r}")
        if isinstance(params, Tensor | Mapping):
            raise TypeError(f"{name}: params must be an iterable of parameters, not one {type(params).__name__}")
        given = [{"params": params}] if hasattr(params, "parameters") else list(params)  # a module: refused below
        self.defaults = {key: _plain(value) for key, value in defaults.items()}
        self._own_state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        self.updates = 0  # calls of `step`: schedules look whether there were any
        self.param_groups: list[dict[str, Any]] = []
        self._flats: list[list[Flat]] = []
        for group in given if given and isinstance(given[0], Mapping) else [{"params": given}]:
            self.add_param_group(group)
        if not any(group["params"] for group in self.param_groups):
            raise ValueError(
                f"{name}: there are no parameters; those of layers in a plain list or dict are not found: use "
                "nn.ModuleList or nn.ModuleDict"
            )

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Optimize more parameters: ``{"params": ..., "lr": 0.1}``; settings that are left out are the optimizer's.

        Raises TypeError or ValueError, with nothing changed, for what is no parameter, for parameters that are here
        already, and for unknown or senseless settings.
        """
        name = type(self).__name__
        if not isinstance(param_group, Mapping) or "params" not in param_group:
            raise TypeError(f'{name}: a group of parameters must be a dictionary with "params", got {param_group!r}')
        params = param_group["params"]
        if hasattr(params, "parameters"):
            raise TypeError(f"{name}: expected parameters, got {type(params).__name__}; pass its .parameters()")
        parameters = [params] if isinstance(params, Tensor) else list(params)
        names: dict[str, Any] = {}
        if parameters and all(isinstance(p, tuple) and len(p) == 2 and isinstance(p[0], str) for p in parameters):
            names = {NAMES: [name for name, _ in parameters]}
            parameters = [parameter for _, parameter in parameters]
        param_group = {key: _plain(value) for key, value in param_group.items() if key not in PYTORCHS_OWN}
        unknown = set(param_group) - set(self.defaults) - SCHEDULED - {"params", NAMES}
        if unknown:
            raise ValueError(f"{name}: unknown settings {', '.join(sorted(unknown))}")
        seen = {id(p) for group in self.param_groups for p in group["params"]}
        for parameter in parameters:
            if not isinstance(parameter, Tensor):
                raise TypeError(f"{name}: expected parameters, got {type(parameter).__name__}")
            if type(parameter).__name__ == "UninitializedParameter":
                raise ValueError(f"{name}: a parameter has no shape yet: run the model once before")
            if id(parameter) in seen:
                raise ValueError(f"{name}: a parameter of shape {parameter.shape} is given twice")
            seen.add(id(parameter))
        group = {**self.defaults, **param_group, **names, "params": parameters}
        self._check(group)
        if any(type(leaf_of(p)) is not Leaf for p in parameters):
            raise ValueError(f"{name}: only Parameters, and leaf tensors that require gradients, can be optimized")
        dtypes = dict.fromkeys(p.dtype for p in parameters)
        self._flats.append([Flat([p for p in parameters if p.dtype == dtype]) for dtype in dtypes])
        self.param_groups.append(group)

    def _check(self, settings: Mapping[str, Any]) -> None:
        """Raise ValueError or TypeError for settings that make no sense."""
        name = type(self).__name__
        for key, value in settings.items():
            if key not in RANGES:
                continue
            low, high, closed = RANGES[key]
            pair = key in PAIRS
            values = value if pair and isinstance(value, tuple | list) else (value,)
            if not all(isinstance(v, Real) for v in values):
                raise TypeError(f"{name}: {key} must be {'two numbers' if pair else 'a number'}, got {value!r}")
            if pair and len(values) != 2:
                wanted = " in 0 <= beta < 1" if key == "betas" else ""
                raise ValueError(f"{name}: {key} must be two numbers{wanted}, got {value}")
            if not all(low <= _number(v) < high or (closed and v == high) for v in values):
                if high == np.inf:
                    what = "must not be negative" if min(values) < 0 else "must be a finite number"
                    raise ValueError(f"{name}: {key} {what}, got {value}")
                what = "two numbers in 0 <= beta < 1" if key == "betas" else f"from {low:g} to {high:g}"
                raise ValueError(f"{name}: {key} must be {what}, got {value}")

    def _rule(self, settings: Mapping[str, Any]) -> str:
        """Name the rule that these settings ask for."""
        return self.rule

    def _update(self, flat: Flat, part: slice | None, step: int, settings: dict[str, Any]) -> None:
        """Apply update number `step` to the whole of `flat`, or to a part."""
        rule = OPTIMIZER_RULES[self._rule(settings)]
        buffers = flat.buffers(rule.states, settings.get("initial_accumulator_value", 0.0))
        rule.update(buffers if part is None else [buffer[part] for buffer in buffers], step, settings)

    @property
    def state(self) -> MutableMapping[Any, dict[str, Any]]:
        """By parameter: what the optimizer keeps of it, as tensors that share its memory. Empty before the first step.

        Optimizers of one's own may keep there what they like.
        """
        if not self.state_names:
            return self._own_state
        found: dict[Any, dict[str, Any]] = {}
        for _, flat, k in self.places():
            if flat.parameter_steps()[k]:
                found[flat.parameters[k]] = self._tensors_of(flat, k)
        return found

    @state.setter
    def state(self, value: Any) -> None:
        if len(value):
            raise ValueError(f"{type(self).__name__}: state can be emptied only; see load_state_dict")
        self._own_state = defaultdict(dict)
        for flat in self.flats():
            flat.forget_state()
            flat.set_parameter_steps([0] * len(flat.parameters))

    def _tensors_of(self, flat: Flat, k: int) -> dict[str, Any]:
        start, stop = flat.ranges[k]
        shape = flat.parameters[k].shape
        own = {name: x[start:stop].reshape(shape) for name, x in flat.state.items()} | flat.wholes.get(k, {})
        steps = {"step": wrap(np.float32(flat.parameter_steps()[k]))} if self.counts_steps else {}
        return {**steps, **{name: wrap(array) for name, array in own.items()}}

    def __init_subclass__(cls, **options: Any) -> None:
        """Count the steps of optimizers that define a `step` of their own: schedules look whether there were any."""
        super().__init_subclass__(**options)
        own = cls.__dict__.get("step")
        if own is not None and not cls.__module__.startswith("fastnn.optim."):

            @wraps(own)
            def step(self: Optimizer, *arguments: Any, **named: Any) -> Any:
                before = self.updates
                result = own(self, *arguments, **named)
                self.updates = before + 1
                return result

            cls.step = step  # type: ignore[method-assign]

    @property
    def lr(self) -> float:
        """The learning rate of the first group; setting it sets that of all groups."""
        return self.param_groups[0]["lr"]  # type: ignore[no-any-return]

    @lr.setter
    def lr(self, value: float) -> None:
        for group in self.param_groups:
            group["lr"] = _plain(value)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move all parameters that have gradients.

        closure: a function that computes loss and gradients; it is called first, and what it gives is returned.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for settings, flats in zip(self.param_groups, self._flats, strict=True):
            for flat in flats:
                for part, step in flat.due():
                    self._update(flat, part, step, settings)
        self.updates += 1
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients; with ``set_to_none=False`` those that are there become 0, and `step` will use them."""
        for flat in self.flats():
            if set_to_none:
                flat.zero_grad()
            else:
                for leaf in flat.leaves:
                    if leaf.grad is not None:
                        leaf.grad[...] = 0

    # --- state

    def state_dict(self) -> dict[str, Any]:
        """Give settings and state as PyTorch does, with arrays (copies) in place of its tensors.

        {"state": {0: {"step": 3.0, "exp_avg": array, ...}, ...}, "param_groups": [{"lr": ..., "params": [0, ...]}]};
        parameters are numbered in the order of the groups, and state arrays have their shapes.
        """
        groups, count = [], 0
        for group in self.param_groups:
            numbers = list(range(count, count + len(group["params"])))
            groups.append({**group, "params": numbers})
            count += len(numbers)
        state = {i: self._state_of(flat, k) for i, flat, k in self.places() if flat.parameter_steps()[k]}
        return {"state": {i: state[i] for i in sorted(state) if state[i]}, "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` gave for the same parameters in the same order, here or in PyTorch.

        Raises ValueError, with nothing changed, if it belongs to another optimizer or to other parameters.
        """
        kind = type(self).__name__
        if not isinstance(state_dict, Mapping) or not {"state", "param_groups"} <= set(state_dict):
            got = sorted(map(str, state_dict)) if isinstance(state_dict, Mapping) else type(state_dict).__name__
            raise ValueError(
                f"load_state_dict: expected the state of an optimizer, with 'state' and 'param_groups', got {got}"
            )
        groups, state = state_dict["param_groups"], state_dict["state"]
        if not isinstance(groups, list | tuple) or not all(_is_group(group) for group in groups):
            raise ValueError("load_state_dict: 'param_groups' must be dictionaries with a list of numbers as 'params'")
        if not isinstance(state, Mapping) or not all(isinstance(entry, Mapping) for entry in state.values()):
            raise ValueError("load_state_dict: 'state' must be a dictionary with a dictionary for each parameter")
        given, own = ([len(group["params"]) for group in x] for x in (groups, self.param_groups))
        if given != own:
            raise ValueError(
                f"load_state_dict: {sum(given)} parameters in {len(given)} groups do not fit {sum(own)} in {len(own)}"
            )
        settings = [{k: v for k, v in group.items() if k not in PYTORCHS_OWN | {"params", NAMES}} for group in groups]
        for group in settings:
            unknown = set(group) - set(self.defaults) - SCHEDULED
            if unknown:
                raise ValueError(f"load_state_dict: {kind} has no setting {sorted(map(str, unknown))[0]!r}")
            for key, value in group.items():
                if not _fits(value, self.defaults.get(key, 0.0)):
                    raise ValueError(f"load_state_dict: {kind}: {key} cannot be {value!r:.60}")
        for group, changes in zip(self.param_groups, settings, strict=True):
            self._check({**group, **changes})
        # PyTorch numbers parameters as the groups list them
        ids = [i for group in groups for i in group["params"]]
        entries = [state.get(i, {}) for i in ids]
        places = list(self.places())
        for i, flat, k in places:
            self._check_state(kind, i, entries[i], flat.parameters[k].shape)
        for group, changes in zip(self.param_groups, settings, strict=True):
            group.update({k: tuple(v) if isinstance(v, list) else v for k, v in changes.items()})
        for flat in self.flats():
            flat.forget_state()
        for i, flat, k in places:
            self._take_state(flat, k, entries[i])

    def _state_of(self, flat: Flat, k: int) -> dict[str, Any]:
        """Give the state of a flat's k-th parameter."""
        start, stop = flat.ranges[k]
        shape = flat.parameters[k].shape
        steps: dict[str, Any] = {"step": float(flat.parameter_steps()[k])} if self.counts_steps else {}
        names = [name for name in self.state_names if name in flat.state]
        return {**steps, **{name: flat.state[name][start:stop].reshape(shape).copy() for name in names}}

    def _check_state(self, kind: str, i: int, entry: Mapping[str, Any], shape: tuple[int, ...]) -> None:
        for name, value in entry.items():
            if name == "step":
                steps = number_of(value)
                if not (0 <= steps < 1 << 53 and steps == int(steps)):
                    raise ValueError(f"load_state_dict: step of parameter {i} must be a count, got {value!r:.60}")
                continue
            if value is None:
                continue
            if name not in self.state_names:
                raise ValueError(f"load_state_dict: {kind} has no state {name!r}")
            try:
                array = np.asarray(value)
            except (ValueError, OverflowError):
                array = np.empty(0, object)
            if array.dtype.kind not in "fiu":
                raise ValueError(f"load_state_dict: {name} of parameter {i} must be an array of numbers")
            if array.shape != shape:
                raise ValueError(
                    f"load_state_dict: {name} of parameter {i} has shape {array.shape}, its parameter has {shape}"
                )

    def _take_state(self, flat: Flat, k: int, entry: Mapping[str, Any]) -> None:
        steps = flat.parameter_steps()
        present = any(entry.get(name) is not None for name in self.state_names)
        steps[k] = int(entry.get("step", 1 if present else 0))
        flat.set_parameter_steps(steps)
        start, stop = flat.ranges[k]
        for name in self.state_names:
            if entry.get(name) is not None:
                flat.buffer(name, self.defaults.get("initial_accumulator_value", 0.0))[start:stop] = np.ravel(
                    entry[name]
                )

    def flats(self) -> list[Flat]:
        """Give the flat memories of all groups."""
        return [flat for flats in self._flats for flat in flats]

    def places(self) -> Iterable[tuple[int, Flat, int]]:
        """Give (number of a parameter, its flat memory, its place there)."""
        first = 0
        for group, flats in zip(self.param_groups, self._flats, strict=True):
            number = {id(p): first + i for i, p in enumerate(group["params"])}
            yield from ((number[id(p)], flat, k) for flat in flats for k, p in enumerate(flat.parameters))
            first += len(number)

    def __repr__(self) -> str:
        settings = ", ".join(f"{k}={v}" for k, v in self.param_groups[0].items() if k != "params")
        return f"{type(self).__name__}({settings})"
