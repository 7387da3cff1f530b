"""The one way in which an operation runs: check -> problem -> the back end's plan -> run.

    def softmax(input, dim=-1, *, out=None):
        '''What people read.'''
        return _softmax.run(out, input, dim)

    @operation("input")
    def _softmax(input, dim) -> Problem: ...  # all errors; input is a Layout

The first call of its kind checks its arguments, describes what is to be computed by a problem, and lets the back end
plan it. Later calls with arguments that look the same find the plan, see `lookup`, and run it without further checks.

    run(out, input, dim) -> result

A plan depends on nothing but the problem and the settings (threads, precision). It gets arrays of one dtype, native and
aligned, in any layout; other arguments are converted before, see `arguments`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray

from . import checks, plans
from .arguments import Kinds, Layout, layout_of, plain
from .backend import Backend, backend_of, current, planner_of
from .lookup import describer, finder

__all__ = ["Layout", "Operation", "layout_of", "operation", "operations"]

CANONICAL = (checks.F4, checks.F8, checks.I8)
_operations: dict[str, Operation] = {}


def operation(
    arrays: str = "",
    *,
    optional: str = "",
    converted: str = "",
    numeric: str = "",
    prepared: str = "",
    integers: str = "",
    reals: str = "",
    states: str = "",
    numbers: str = "",
    words: str = "",
    name: str | None = None,
    in_place: bool = False,
    otherwise: Callable[..., Any] | None = None,
    out: str = "out",
    out_place: int = 0,
) -> Callable[[Callable[..., Any]], Operation]:
    """Make an operation of the function that checks its arguments and returns its problem.

    Names of arguments, separated by spaces. All that are not named are options: values and tuples of values.

    arrays: float32 or float64, which get their common dtype. optional: more of them that may be None, as may integers
    and numbers that are named here, too. converted: more that may be None and get the common dtype without a say in it.
    numeric: those that may also hold integers or booleans, which then have no say either. prepared: those that may be a
    `Prepared`. integers: integer arrays, which keep their dtype. reals: arrays of float32, kept so, or of other real
    numbers, which become float64. states: float arrays of any dtype and layout, or None,
    which the operation changes in place. numbers: floats on which the plan does not depend (the check gets None for
    them). words: such integers of 0 .. 2^64 - 1, say seeds.

    name: of the public function, that of the check without its underscore if not given. in_place, otherwise, out,
    out_place: see `Operation`.

    A problem is a NamedTuple. For an operation with `out` it has `result`, the shape and dtype that `out` must have;
    with a field `out` it gets the layout of `out`, and the plan writes to any; else it writes to contiguous ones only.
    """

    def make(check: Callable[..., Any]) -> Operation:
        scalars = {*numbers.split(), *words.split(), *integers.split()}
        floats = [x for x in f"{arrays} {optional} {converted}".split() if x not in scalars]
        others = (integers, states, numbers, words, optional + " " + converted, prepared, converted, numeric, reals)
        kinds = Kinds(tuple(floats), *(tuple(names.split()) for names in others))
        public = name or check.__name__.lstrip("_")
        return Operation(public, check, kinds, in_place=in_place, otherwise=otherwise, out=out, out_place=out_place)

    return make


class Operation:
    """An operation: `operation.run(out, *arguments)`, with all arguments in the order of its check.

    in_place: whether `out` may be one of the arrays. otherwise: a function of (out, *arguments) that takes what this
    operation does not (other dtypes, say), and returns NotImplemented for all that it does. out, out_place: the name of
    `out` in messages, and which item of several results it takes.
    """

    find: Callable[..., Any]
    run: Callable[..., Any]

    def __init__(
        self,
        name: str,
        check: Callable[..., Any],
        kinds: Kinds,
        *,
        arguments: tuple[str, ...] = (),
        module: str | None = None,
        in_place: bool = False,
        otherwise: Callable[..., Any] | None = None,
        out: str = "out",
        out_place: int = 0,
    ) -> None:
        self.name, self.check, self.module, self.kinds = name, check, module or check.__module__, kinds
        self.in_place, self.otherwise, self.out, self.out_place = in_place, otherwise, out, out_place
        self.arguments = list(arguments or inspect.signature(check).parameters)
        unknown = {*kinds.arrays, *kinds.numbers, *kinds.words} - {*self.arguments}
        if unknown:
            raise TypeError(f"operation {name}: no argument is named {', '.join(sorted(unknown))}")
        self.places = [1 + self.arguments.index(x) for x in (*kinds.floats, *kinds.integers, *kinds.reals)]
        self.state_places = [self.arguments.index(x) for x in kinds.states]
        self.plans: dict[bytes, Any] = {}
        self.kept: dict[bytes, tuple[Any, ...]] = {}  # arguments to whose addresses keys refer
        self.foreign: dict[Any, Any] = {}  # plans of other back ends
        self.run = self._first  # an import compiles nothing
        _operations[name] = self
        plans.add(self)

    @property
    def arrays(self) -> tuple[str, ...]:
        """Return the names of the arguments that are arrays."""
        return self.kinds.arrays

    def _first(self, *arguments: Any) -> Any:
        """Run the first call; later ones are calls of the C function that finds their plan."""
        self.run = self.prepare()
        return self.run(*arguments)

    def prepare(self) -> Callable[..., Any]:
        """Return the C function that finds the plan of a call and runs it."""
        letters = self.kinds.letters(self.arguments)
        self.describe = describer(self.name, letters)
        self.find = finder(self.name, self.plans, self.general, letters)
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
        for x in self.kinds.states:
            if given[x] is not None and checks.state(self.name, x, given[x]) is not given[x]:
                return self._by_copies(out, given)
        made = plain(self.name, self.kinds, given)
        if out is not None:
            checks.check_writable(self.name, self.out, out)
            if any(made[x] is not given[x] and _overlap(out, given[x]) for x in self.arrays):
                raise ValueError(f"{self.name}: {self.out} overlaps an input")  # whose copy would not
            if not (type(out) is ndarray and out.flags.aligned and out.dtype in CANONICAL):
                self._check_out(out, self.problem(made), *[given[x] for x in self.arrays])
                return self._into(out, self.find(None, *made.values()))
        if any(made[x] is not given[x] for x in given):
            return self.find(out, *made.values())
        key = self.describe(out, *arguments)
        run = self._plan(made, out)
        if key is not None:
            if len(self.plans) >= plans.LIMIT:
                self.cache_clear()
            self.kept[key] = tuple(x for x in arguments if type(x) in (str, tuple))
            self.plans[key] = plans.counted(run)
        return run(out, *arguments)

    def problem(self, given: dict[str, Any]) -> Any:
        """Return the problem of a call, after all checks."""
        described = {x: layout_of(given[x]) for x in self.arrays}
        return self.check(**{**given, **dict.fromkeys((*self.kinds.numbers, *self.kinds.words)), **described})

    def _plan(self, given: dict[str, Any], out: Any) -> Any:
        problem = self.problem(given)
        planner = planner_of(current(), self.name, self.module)
        if out is None:
            return self._with_states(planner(problem), given)
        self._check_out(out, problem)  # once: its layout is part of the key
        direct = out.flags.c_contiguous
        if hasattr(problem, "out"):
            problem, direct = problem._replace(out=layout_of(out)), True
        return self._with_states(self._written(planner(problem), direct), given)

    def _check_out(self, out: Any, problem: Any, *inputs: Any) -> None:
        checks.check_out(self.name, out, *problem.result, *inputs, name=self.out)

    def _written(self, run: Callable[..., Any], direct: bool) -> Callable[..., Any]:
        """Return a plan for calls with `out`, which looks each time whether it overlaps an input.

        direct: whether `run` can write to `out`; if not, its result is copied.
        """

        def checked(out: Any, *arguments: Any) -> Any:
            for place in self.places:
                x = arguments[place - 1]
                if type(x) is ndarray and np.may_share_memory(out, x) and not (self.in_place and x is out):
                    if checks.overlap(out, x):
                        raise ValueError(f"{self.name}: {self.out} overlaps an input")
            return run(out, *arguments) if direct else self._into(out, run(None, *arguments))

        return checked

    def _into(self, out: Any, results: Any) -> Any:
        """Copy a result into `out`, and return the results with `out` in its place."""
        if type(results) is not tuple:
            out[...] = results
            return out
        if results[self.out_place] is not None:
            out[...] = results[self.out_place]
            results = (*results[: self.out_place], out, *results[self.out_place + 1 :])
        return results

    def _with_states(self, run: Callable[..., Any], given: dict[str, Any]) -> Callable[..., Any]:
        """Return a plan that looks each time whether the states that are given overlap."""
        if all(given[x] is None for x in self.kinds.states):
            return run

        def apart(*arguments: Any) -> Any:
            self._check_states(*arguments)
            return run(*arguments)

        return apart

    def _check_states(self, out: Any, *arguments: Any) -> None:
        """Raise ValueError if a state overlaps `out` or another state. Inputs are read before states are written."""
        before = [] if out is None else [(self.out, out)]
        for name, place in zip(self.kinds.states, self.state_places, strict=True):
            x = arguments[place]
            if x is not None:
                for other, y in before:
                    if np.may_share_memory(x, y) and checks.overlap(x, y):
                        raise ValueError(f"{self.name}: {name} overlaps {other}")
                before.append((name, x))

    def _by_copies(self, out: Any, given: dict[str, Any]) -> Any:
        """Run a call with states of another dtype or byte order, or not aligned."""
        self._check_states(out, *given.values())
        copies = {x: checks.state(self.name, x, given[x]) for x in self.kinds.states if given[x] is not None}
        result = self.general(out, *{**given, **copies}.values())
        for x, copy in copies.items():
            if copy is not given[x]:
                given[x][...] = copy
        return result

    def _foreign(self, backend: Backend, out: Any, given: dict[str, Any]) -> Any:
        """Run a call with arrays of another back end than NumPy's."""
        described = {x: layout_of(given[x]) for x in self.arrays}
        numbers = {*self.kinds.numbers, *self.kinds.words}
        options = [given[x] for x in self.arguments if x not in described and x not in numbers]
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


def _overlap(out: Any, x: Any) -> bool:
    return isinstance(x, ndarray) and checks.overlap(out, x)
