"""The one way in which an operation runs: check -> problem -> the back end's plan -> run.

    def softmax(input, dim=-1, *, out=None):
        '''What people read.'''
        return _softmax(out, input, dim)

    @operation("input")
    def _softmax(input, dim) -> Problem: ...  # all errors; input is a Layout

The first call of its kind checks its arguments, describes what is to be computed by a problem, and lets the back end
plan it. Later calls with arguments that look the same find the plan, see `lookup`, and run it without further checks.

    run(out, input, dim) -> result

A plan depends on nothing but the problem and the settings (threads, precision). It gets arrays of one dtype, native and
aligned, in any layout; what is not so is converted before.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from . import checks, plans
from .backend import Backend, backend_of, current, planner_of
from .lookup import describer, finder
from .prepared import Prepared

CANONICAL = (checks.F4, checks.F8, checks.I8)
_operations: dict[str, Operation] = {}


class Layout(NamedTuple):
    """How an array lies in memory."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype[Any]
    prepared: bool = False  # whether it is a `Prepared` operand

    @property
    def ndim(self) -> int:
        """Return the number of dimensions."""
        return len(self.shape)

    def ghost(self) -> ndarray:
        """Return an array of this layout with no memory behind it: to be looked at and cut into views, never read."""
        return plans.ghost(self.shape, self.dtype, self.strides)


def layout_of(x: Any) -> Layout | None:
    """Return the layout of an array, None for None."""
    return None if x is None else Layout(tuple(x.shape), tuple(x.strides), x.dtype, type(x) is Prepared)


def operation(
    arrays: str = "",
    *,
    optional: str = "",
    integers: str = "",
    numbers: str = "",
    prepared: str = "",
    converted: str = "",
    numeric: str = "",
    states: str = "",
    name: str | None = None,
    in_place: bool = False,
    otherwise: Callable[..., Any] | None = None,
) -> Callable[[Callable[..., Any]], Operation]:
    """Make an operation of the function that checks its arguments and returns its problem.

    arrays, optional: the names of float32 and float64 arrays, which get their common dtype; optional ones may be None,
    and so may numbers and integers that are named there, too.
    integers: of integer arrays, which keep their dtype. numbers: of numbers on which the plan does not depend (the
    check gets None for them). prepared: those of the arrays that may be a `Prepared`. converted: of further float
    arrays or None, which get the common dtype without a say in it. numeric: those of the arrays that may also hold
    integers or booleans, which then have no say either. states: of float arrays of any dtype and layout, or None, which
    the operation changes in place. All other arguments are options: values, and tuples of values. name: of the public
    function, that of the check without its underscore if not given. in_place: whether `out` may be one of the arrays.

    A problem is a NamedTuple. For an operation with `out` it has `result`, the shape and dtype that `out` must have;
    with a field `out` it gets the layout of `out`, and the plan writes to any; else it writes to contiguous ones only.
    A plan may return a tuple whose first item is the result that goes to `out`.
    """

    def make(check: Callable[..., Any]) -> Operation:
        kinds = {
            "floats": f"{arrays} {optional} {converted}",
            "integers": integers,
            "numbers": numbers,
            "prepared": prepared,
            "optional": optional,
            "required": f"{arrays} {integers}",
            "converted": converted,
            "numeric": numeric,
            "states": states,
        }
        names = {kind: text.split() for kind, text in kinds.items()}
        names["floats"] = [x for x in names["floats"] if x not in names["numbers"] + names["integers"]]
        names["required"] = [x for x in names["required"] if x not in names["optional"]]
        return Operation(name or check.__name__.lstrip("_"), check, names, in_place, otherwise=otherwise)

    return make


class Operation:
    """An operation: `operation.run(out, *arguments)`, with all arguments in the order of its check.

    in_place: whether `out` may be one of the arrays. otherwise: a function of (out, *arguments) that takes what this
    operation does not (other dtypes, say), and returns NotImplemented for all that it does.
    """

    find: Callable[..., Any]
    run: Callable[..., Any]

    def __init__(
        self,
        name: str,
        check: Callable[..., Any],
        kinds: dict[str, list[str]],
        in_place: bool = False,
        arguments: tuple[str, ...] = (),
        module: str | None = None,
        otherwise: Callable[..., Any] | None = None,
    ) -> None:
        self.name, self.check, self.module, self.in_place = name, check, module or check.__module__, in_place
        self.otherwise = otherwise
        self.floats, self.integers, self.numbers = (kinds[kind] for kind in ("floats", "integers", "numbers"))
        self.states, self.converted, self.numeric = (kinds.get(kind, []) for kind in ("states", "converted", "numeric"))
        self.arrays, self.required = [*self.floats, *self.integers, *self.states], kinds["required"]
        self.prepared, self.optional = kinds["prepared"], kinds["optional"]
        self.arguments = list(arguments or inspect.signature(check).parameters)
        unknown = {*self.arrays, *self.numbers} - set(self.arguments)
        if unknown:
            raise TypeError(f"operation {name}: no argument is named {', '.join(sorted(unknown))}")
        self.options = [x for x in self.arguments if x not in self.arrays and x not in self.numbers]
        self.places = [1 + self.arguments.index(x) for x in self.arrays if x not in self.states]
        self.plans: dict[bytes, Any] = {}
        self.kept: dict[bytes, tuple[Any, ...]] = {}  # arguments to whose addresses keys refer
        self.foreign: dict[Any, Any] = {}  # plans of other back ends
        self.state_places = [self.arguments.index(x) for x in self.states]
        letters = {
            **dict.fromkeys(self.arrays, "a"),
            **dict.fromkeys(self.numbers, "n"),
            **dict.fromkeys(self.states, "p"),
        }
        self.kinds = ("p" + "".join(letters.get(x, "o") for x in self.arguments)).encode()
        self.run = self._first  # an import compiles nothing
        _operations[name] = self
        plans.add(self)

    def _first(self, *arguments: Any) -> Any:
        """Run the first call; later ones are calls of the C function that finds their plan."""
        self.run = self.prepare()
        return self.run(*arguments)

    def prepare(self) -> Callable[..., Any]:
        """Return the C function that finds the plan of a call and runs it."""
        self.describe = describer(self.name, self.kinds)
        self.find = finder(self.name, self.plans, self.general, self.kinds)
        return self.find

    def general(self, out: Any, *arguments: Any) -> Any:
        """Run a call that no plan is known for: check it, plan it, and keep the plan if the arguments have a key."""
        given = dict(zip(self.arguments, arguments, strict=True))
        backend = backend_of(self.name, {x: given[x] for x in self.arrays})
        if backend is not None:
            return self._foreign(backend, out, given)
        if self.otherwise is not None:
            done = self.otherwise(out, *arguments)
            if done is not NotImplemented:
                return done
        for x in self.states:
            if given[x] is not None and checks.state(self.name, x, given[x]) is not given[x]:
                return self._by_copies(out, given)
        plain = self._plain(given)
        if out is not None:
            checks.check_writable(self.name, "out", out)
            if any(plain[x] is not given[x] and _overlap(out, given[x]) for x in self.arrays):
                raise ValueError(f"{self.name}: out overlaps an input")  # whose copy would not
            if not (type(out) is ndarray and out.flags.aligned and out.dtype in CANONICAL):
                return self._copied(out, plain)
        if any(plain[x] is not given[x] for x in given):
            return self.find(out, *plain.values())
        key = self.describe(out, *arguments)
        run = self._plan(plain, out)
        if key is not None:
            if len(self.plans) >= plans.LIMIT:
                self.cache_clear()
            self.kept[key] = tuple(x for x in arguments if type(x) in (str, tuple))
            self.plans[key] = plans.counted(run)
        return run(out, *arguments)

    def _plain(self, given: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments as plans want them: arrays aligned, native, of one dtype; numbers and options plain."""
        plain = dict(given)
        for x in self.numbers:  # first: converting one may run Python code, which could change arrays
            if type(given[x]) is not float and not (given[x] is None and x in self.optional):
                plain[x] = checks.number(self.name, x, given[x])
        for x in self.options:
            plain[x] = checks.plain_option(given[x])
        checks.required(self.name, **{x: given[x] for x in self.required})
        followers = self._followers(given)
        arrays = {x: given[x] for x in self.floats if type(given[x]) is not Prepared and x not in followers}
        plain.update(zip(arrays, checks.promote(self.name, **arrays), strict=True))
        for x, array in followers.items():
            plain[x] = array.astype(next(plain[a].dtype for a in arrays if plain[a] is not None), copy=False)
        for x in self.floats:
            if type(given[x]) is Prepared:
                self._check_prepared(x, plain)
        for x in self.integers:
            if given[x] is not None:
                plain[x] = checks.integer_array(self.name, x, given[x])
        return plain

    def _followers(self, given: dict[str, Any]) -> dict[str, ndarray]:
        """Return the arrays that have no say in the common dtype."""
        found = {}
        for x in self.numeric:
            array = None if given[x] is None else checks.as_array(self.name, x, given[x])
            if array is not None and (array.dtype.kind in "biu" or not (array.size or hasattr(given[x], "dtype"))):
                found[x] = array
        for x in self.converted:
            if given[x] is not None and x not in found:
                found[x] = checks.as_float_array(self.name, x, given[x])
        return found

    def _check_prepared(self, name: str, plain: dict[str, Any]) -> None:
        """Raise TypeError unless a prepared operand may stand here, and has the dtype of the other arrays."""
        if name not in self.prepared:
            raise TypeError(
                f"{self.name}: {name} must be an array, got a prepared operand of shape {plain[name].shape}"
            )
        for other in self.floats:
            x = plain[other]
            if x is not None and x.dtype != plain[name].dtype:
                raise TypeError(f"{self.name}: the prepared {name} is {plain[name].dtype} but {other} is {x.dtype}")

    def _copied(self, out: Any, given: dict[str, Any]) -> Any:
        """Run a call whose `out` no kernel can write to, by way of a new array."""
        checks.check_out(self.name, out, *self.problem(given).result, *[given[x] for x in self.arrays])
        return _into(out, self.find(None, *given.values()))

    def _by_copies(self, out: Any, given: dict[str, Any]) -> Any:
        """Run a call with states of another dtype or byte order, or not aligned."""
        self._check_states(out, *given.values())
        copies = {x: checks.state(self.name, x, given[x]) for x in self.states if given[x] is not None}
        result = self.general(out, *{**given, **copies}.values())
        for x, copy in copies.items():
            if copy is not given[x]:
                given[x][...] = copy
        return result

    def _check_states(self, out: Any, *arguments: Any) -> None:
        """Raise ValueError if a state overlaps `out` or another state. Inputs are read before states are written."""
        before = [] if out is None else [("out", out)]
        for name, place in zip(self.states, self.state_places, strict=True):
            x = arguments[place]
            if x is not None:
                for other, y in before:
                    if np.may_share_memory(x, y) and checks.overlap(x, y):
                        raise ValueError(f"{self.name}: {name} overlaps {other}")
                before.append((name, x))

    def problem(self, given: dict[str, Any]) -> Any:
        """Return the problem of a call, after all checks."""
        described = {x: layout_of(given[x]) for x in self.arrays}
        return self.check(**{**given, **dict.fromkeys(self.numbers), **described})

    def _plan(self, given: dict[str, Any], out: Any) -> Any:
        problem = self.problem(given)
        planner = planner_of(current(), self.name, self.module)
        if out is None:
            return self._with_states(planner(problem), given)
        checks.check_out(self.name, out, *problem.result)  # once: its layout is part of the key
        direct = out.flags.c_contiguous
        if hasattr(problem, "out"):
            problem, direct = problem._replace(out=layout_of(out)), True
        return self._with_states(self._written(planner(problem), direct), given)

    def _with_states(self, run: Callable[..., Any], given: dict[str, Any]) -> Callable[..., Any]:
        """Return a plan that looks each time whether the states that are given overlap."""
        if all(given[x] is None for x in self.states):
            return run

        def apart(out: Any, *arguments: Any) -> Any:
            self._check_states(out, *arguments)
            return run(out, *arguments)

        return apart

    def _written(self, run: Callable[..., Any], direct: bool) -> Callable[..., Any]:
        """Return a plan for calls with `out`, which looks each time whether it overlaps an input.

        direct: whether `run` can write to `out`; if not, its result is copied.
        """

        def checked(out: Any, *arguments: Any) -> Any:
            for place in self.places:
                x = arguments[place - 1]
                if type(x) is ndarray and np.may_share_memory(out, x) and not (self.in_place and x is out):
                    if checks.overlap(out, x):
                        raise ValueError(f"{self.name}: out overlaps an input")
            return run(out, *arguments) if direct else _into(out, run(None, *arguments))

        return checked

    def _foreign(self, backend: Backend, out: Any, given: dict[str, Any]) -> Any:
        described = {x: layout_of(given[x]) for x in self.arrays}
        options = [given[x] for x in self.options]
        key = backend.name, layout_of(out), *described.values(), *options, *map(type, options)
        run = self.foreign.get(key)
        if run is None:
            self.foreign[key] = run = backend.plan(self.name, self.problem(given))
        return run(out, *given.values())

    def cache_clear(self) -> None:
        """Forget all plans."""
        self.plans.clear()
        self.kept.clear()
        self.foreign.clear()


def operations() -> dict[str, Operation]:
    """Return all operations by name."""
    return dict(_operations)


def _into(out: Any, y: Any) -> Any:
    """Copy a result into `out`, the first item if it is a tuple, and return it with `out` in that place."""
    if type(y) is tuple:
        return (_into(out, y[0]), *y[1:])
    out[...] = y
    return out


def _overlap(out: Any, x: Any) -> bool:
    return isinstance(x, ndarray) and checks.overlap(out, x)
