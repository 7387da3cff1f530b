"""What all schedules are: functions of the number of steps."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any, ClassVar

from ..optimizer import Optimizer, number_of

COUNTS = {"step_size", "total_iters", "T_max", "T_0", "T_mult", "total_steps", "total_size"}


class LRScheduler:
    """Base of schedules: subclasses define `rate`.

    last_epoch: the number of steps taken so far minus one; -1 starts anew. Other numbers continue, for which the
    groups need the `initial_lr` that their optimizer's `load_state_dict` brings back.
    """

    state_names: tuple[str, ...] = ("last_epoch",)
    choices: ClassVar[dict[str, tuple[str, ...]]] = {}  # what arguments that are texts may be
    every = "epoch"  # when `fit` takes a step: after every epoch or every "step" of the optimizer

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{self._name}: expected an Optimizer, got {type(optimizer).__name__}")
        if last_epoch >= 0 and any("initial_lr" not in group for group in optimizer.param_groups):
            raise ValueError(
                f"{self._name}: last_epoch={last_epoch} continues a schedule, but the groups of the optimizer have no "
                "initial_lr: load the state of the optimizer first"
            )
        self.optimizer = optimizer
        self.last_epoch = last_epoch + 1
        self._updates = optimizer.updates
        self._apply(self.last_epoch)

    def __repr__(self) -> str:
        rates = ", ".join(f"{rate:.6g}" for rate in self.get_last_lr())
        return f"{self._name}(last_epoch={self.last_epoch}, lr=[{rates}])"

    @property
    def _name(self) -> str:
        return type(self).__name__

    @property
    def base_lrs(self) -> list[float]:
        """The rates that the schedule starts from, one per group."""
        return [group.setdefault("initial_lr", group["lr"]) for group in self.optimizer.param_groups]

    def rate(self, t: int, base: float, group: int) -> float:
        """Give the learning rate after t steps of the group with this number."""
        raise NotImplementedError

    def get_lr(self) -> list[float]:
        """Give the rates after `last_epoch` steps; schedules written for PyTorch define this instead of `rate`."""
        return [self.rate(self.last_epoch, base, i) for i, base in enumerate(self.base_lrs)]

    def get_last_lr(self) -> list[float]:
        """Give the current rates, one per group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def step(self, epoch: float | None = None) -> None:
        """Set the next rates. Call it after `optimizer.step()`: before the first of them, the first rate is lost.

        epoch: go to this time instead, as PyTorch allows; parts of an epoch count in `CosineAnnealingWarmRestarts`.
        """
        if epoch is not None:
            self._apply(epoch)  # type: ignore[arg-type]
            self.last_epoch = math.floor(epoch)
            return
        if self.last_epoch == 0 and self.optimizer.updates == self._updates:
            warnings.warn(
                f"{self._name}: step() before the first optimizer.step() skips the first learning rate of the schedule",
                UserWarning,
                stacklevel=2,
            )
        self._apply(self.last_epoch + 1)

    def _apply(self, t: int) -> None:
        if type(self).get_lr is LRScheduler.get_lr:
            rates = [self.rate(t, base, i) for i, base in enumerate(self.base_lrs)]
        else:
            before, self.last_epoch, starts = self.last_epoch, t, self.base_lrs
            try:
                rates = list(self.get_lr())
            finally:
                self.last_epoch = before
            if len(rates) != len(starts):
                raise ValueError(f"{self._name}: get_lr must give {len(starts)} rates, one per group, got {len(rates)}")
        for rate in rates:
            if not (isinstance(rate, Real) and 0 <= rate < math.inf):
                raise ValueError(f"{self._name}: the learning rate after {t} steps would be {rate}")
        self.last_epoch = t
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate

    def state_dict(self) -> dict[str, Any]:
        """Give all that `load_state_dict` needs: steps taken and arguments, but no functions."""
        state: dict[str, Any] = {"type": self._name, "base_lrs": self.base_lrs}
        for name, value in vars(self).items():
            if name in self.state_names or (not name.startswith("_") and is_plain(value)):
                state[name] = value
        if self._parts():
            state["schedulers"] = [part.state_dict() for part in self._parts()]
        return state

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` gave for a schedule of the same kind, with its arguments.

        The rates are set at once. Functions stay those of this schedule, and so do arguments that the state does not
        have. Raises ValueError, with nothing changed, for the state of something else.
        """
        self._check_state(state_dict)
        groups = self.optimizer.param_groups
        parts = list(self._all())
        before = [dict(vars(part)) for part in parts], [dict(group) for group in groups]
        try:
            for group, base in zip(groups, state_dict["base_lrs"], strict=True):
                group["initial_lr"] = base
            self._set_state(state_dict)
            self._apply(self.last_epoch)
        except Exception as error:  # a function of the user's, or a rate that is none
            for part, values in zip(parts, before[0], strict=True):
                vars(part).clear()
                vars(part).update(values)
            for group, values in zip(groups, before[1], strict=True):
                group.clear()
                group.update(values)
            raise ValueError(f"load_state_dict: {self._name} cannot go on from there: {error}") from error

    def _parts(self) -> Sequence[LRScheduler]:
        """Give the schedules that this one is made of."""
        return getattr(self, "schedulers", ())

    def _all(self) -> Iterable[LRScheduler]:
        yield self
        for part in self._parts():
            yield from part._all()

    def _set_state(self, state: Mapping[str, Any]) -> None:
        for name, value in state.items():
            if name not in ("type", "base_lrs", "schedulers"):
                setattr(self, name, list(value) if isinstance(value, list | tuple) else value)
        for part, own in zip(self._parts(), state.get("schedulers", ()), strict=False):
            part._set_state(own)

    def _check_state(self, state_dict: Mapping[str, Any]) -> None:
        if not isinstance(state_dict, Mapping):
            raise ValueError(f"load_state_dict: expected a dictionary, got {type(state_dict).__name__}")
        kind = state_dict.get("type")
        if not isinstance(kind, str) or kind != self._name or {"base_lrs", *self.state_names} - set(state_dict):
            raise ValueError(f"load_state_dict: a state of {str(kind)[:60]} does not fit {self._name}")
        rates = state_dict["base_lrs"]
        if not isinstance(rates, list | tuple) or not all(0 <= number_of(rate) < math.inf for rate in rates):
            raise ValueError("load_state_dict: base_lrs must be finite numbers from 0")
        given, own = len(rates), len(self.optimizer.param_groups)
        if given != own:
            raise ValueError(f"load_state_dict: the state has {given} groups of parameters, the optimizer has {own}")
        for name in self.state_names:
            value = state_dict[name]
            number = number_of(value)
            if math.isnan(number) or (name != "best" and not (0 <= number < 1 << 53 and number == int(number))):
                raise ValueError(f"load_state_dict: {self._name}: {name} cannot be {value!r:.60}")
        for name in set(state_dict) - {"type", "base_lrs", "schedulers", *self.state_names}:
            if not self._fits(name, state_dict[name]):
                raise ValueError(f"load_state_dict: {self._name}: {name} cannot be {state_dict[name]!r:.60}")
        if "schedulers" in state_dict:
            states, parts = state_dict["schedulers"], self._parts()
            if not isinstance(states, list | tuple) or len(states) != len(parts):
                raise ValueError(f"load_state_dict: {self._name} has {len(parts)} schedulers, the state has others")
            for part, state in zip(parts, states, strict=True):
                part._check_state(state)

    def _fits(self, name: Any, value: Any) -> bool:
        """Whether a state's value can be that of an argument."""
        own: Any = vars(self).get(name)
        if not isinstance(name, str) or name.startswith("_") or hasattr(type(self), name):
            return False  # a method, a property
        if not is_plain(value) or not is_plain(own):
            return False
        if name in self.choices:
            return value in self.choices[name]
        if name in COUNTS:
            return isinstance(value, int) and not isinstance(value, bool) and value >= 1
        if name == "milestones":
            fixed = len(own) if self._parts() else None
            good = isinstance(value, list | tuple) and all(isinstance(at, int) and at >= 1 for at in value)
            return good and list(value) == sorted(value) and fixed in (None, len(value))
        if name in ("max_lrs", "min_lrs"):
            return isinstance(value, list | tuple) and len(value) == len(own)
        return own is None or value is None or _kind(own) is _kind(value)

    def _check(self, **arguments: tuple[Any, bool, str]) -> None:
        """Raise ValueError for arguments that are given as (value, whether it is good, what it must be)."""
        for name, (value, good, wanted) in arguments.items():
            if not good:
                raise ValueError(f"{self._name}: {name} must be {wanted}, got {value!r}")

    def _count(self, **arguments: Any) -> None:
        """Raise ValueError unless all arguments are integers of at least 1."""
        for name, value in arguments.items():
            good = isinstance(value, int) and not isinstance(value, bool) and value >= 1
            self._check(**{name: (value, good, "an integer of at least 1")})


def is_plain(value: Any) -> bool:
    """Whether a value can be kept in a file: a finite number, a text, None or a list of numbers."""
    if isinstance(value, list | tuple):
        return all(_kind(number) is Real and is_plain(number) for number in value)
    if isinstance(value, int):  # of any size
        return True
    return value is None or isinstance(value, str) or (isinstance(value, Real) and math.isfinite(value))


def _kind(value: Any) -> type:
    return next((kind for kind in (str, Real, Sequence) if isinstance(value, kind)), type(value))


def cosine(start: float, end: float, done: float) -> float:
    """Go from start to end along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2


def checked_milestones(function: str, milestones: Iterable[int]) -> list[int]:
    """Give milestones as a list. Raises ValueError unless they are integers of at least 1."""
    made = list(milestones)
    for milestone in made:
        if not isinstance(milestone, int) or isinstance(milestone, bool) or milestone < 1:
            raise ValueError(f"{function}: milestones must be integers of at least 1, got {milestone!r}")
    return made


def per_group(name: str, value: float | Sequence[float], groups: int) -> list[float]:
    """Give one number per group, from one for all or a list."""
    made = list(value) if isinstance(value, list | tuple) else [value] * groups
    if len(made) != groups:
        raise ValueError(f"{name}: expected one number or {groups}, one per group, got {len(made)}")
    if not all(isinstance(number, int | float) and number >= 0 for number in made):
        raise ValueError(f"{name} must not be negative, got {value}")
    return made  # type: ignore[return-value]
