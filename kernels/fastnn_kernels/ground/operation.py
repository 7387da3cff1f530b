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
    reals: str = "",
    numbers: str = "",
    words: str = "",
    prepared: str = "",
    name: str | None = None,
    in_place: bool = False,
    otherwise: Callable[..., Any] | None = None,
    out: str = "out",
    out_place: int | None = None,
) -> Callable[[Callable[..., Any]], Operation]:
    """Make an operation of the function that checks its arguments and returns its problem.

    arrays, optional: the names of float32 and float64 arrays, which get their common dtype; optional ones may be None,
    and so may numbers and integers that are named there, too. integers: of integer arrays, which keep their dtype.
    reals: of arrays of real numbers, which keep their dtype if it is float32 or float64, and become
    float64 else.
    numbers: of numbers on which the plan does not depend (the check gets None for them); words: of such integers of
    0 .. 2^64 - 1, say seeds. prepared: those of the arrays that may be a `Prepared`. All other arguments are options:
    values, and tuples of values. name: of the public function, that of the check without its underscore if not given.
    in_place: whether `out` may be one of the arrays.
    otherwise: see `Operation`. out, out_place: another name of `out`, and which of several results it takes.

    A problem is a NamedTuple. For an operation with `out` it has `result`, the shape and dtype that `out` must have;
    with a field `out` it gets the layout of `out`, and the plan writes to any; else it writes to contiguous ones only.
    """

    def make(check: Callable[..., Any]) -> Operation:
        kinds = {
            "floats": f"{arrays} {' '.join(x for x in optional.split() if x not in f'{numbers} {integers}'.split())}",
            "integers": integers,
            "reals": reals,
            "numbers": f"{numbers} {words}",
            "words": words,
            "prepared": prepared,
            "optional": optional,
            "required": f"{arrays} {reals} {' '.join(x for x in integers.split() if x not in optional.split())}",
        }
        names = {kind: text.split() for kind, text in kinds.items()}
        made = Operation(name or check.__name__.lstrip("_"), check, names, in_place, otherwise=otherwise)
        made.out, made.out_place = out, out_place
        return made

    return make


class Operation:
    """An operation: `operation.run(out, *arguments)`, with all arguments in the order of its check.

    in_place: whether `out` may be one of the arrays. otherwise: a function of (out, *arguments) that takes what this
    operation does not (other dtypes, say), and returns NotImplemented for all that it does.
    """

    find: Callable[..., Any]
    run: Callable[..., Any]
    out = "out"  # its name, and which of several results it holds
    out_place: int | None = None

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
        self.reals = kinds.get("reals", [])
        self.arrays, self.required = [*self.floats, *self.integers, *self.reals], kinds["required"]
        self.prepared, self.optional, self.words = kinds["prepared"], kinds["optional"], kinds.get("words", ())
        self.arguments = list(arguments or inspect.signature(check).parameters)
        unknown = {*self.arrays, *self.numbers} - set(self.arguments)
        if unknown:
            raise TypeError(f"operation {name}: no argument is named {', '.join(sorted(unknown))}")
        self.options = [x for x in self.arguments if x not in self.arrays and x not in self.numbers]
        self.places = [1 + self.arguments.index(x) for x in self.arrays]
        self.plans: dict[bytes, Any] = {}
        self.kept: dict[bytes, tuple[Any, ...]] = {}  # arguments to whose addresses keys refer
        self.foreign: dict[Any, Any] = {}  # plans of other back ends
        letters = {**dict.fromkeys(self.arrays, "a"), **dict.fromkeys(self.numbers, "n")}
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
        plain = self._plain(given)
        if out is not None:
            checks.check_writable(self.name, self.out, out)
            if any(plain[x] is not given[x] and _overlap(out, given[x]) for x in self.arrays):
                raise ValueError(f"{self.name}: {self.out} overlaps an input")  # whose copy would not
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
            if x in self.words:
                plain[x] = checks.word(self.name, x, given[x])
            elif type(given[x]) is not float and not (given[x] is None and x in self.optional):
                plain[x] = checks.number(self.name, x, given[x])
        for x in self.options:
            plain[x] = checks.plain_option(given[x])
        checks.required(self.name, **{x: given[x] for x in self.required})
        arrays = {x: given[x] for x in self.floats if type(given[x]) is not Prepared}
        plain.update(zip(arrays, checks.promote(self.name, **arrays), strict=True))
        for x in self.floats:
            if x not in arrays:
                self._check_prepared(x, plain)
        for x in self.integers:
            if given[x] is not None:
                plain[x] = checks.integer_array(self.name, x, given[x])
        for x in self.reals:
            plain[x] = checks.real_array(self.name, x, given[x])
        return plain

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
        results = self.find(None, *given.values())
        place = 0 if self.out_place is None and type(results) is tuple else self.out_place
        y = results if place is None else results[place]
        if y is None:
            return results
        checks.check_out(self.name, out, y.shape, y.dtype, *[given[x] for x in self.arrays], name=self.out)
        out[...] = y
        return out if place is None else tuple([out if result is y else result for result in results])

    def problem(self, given: dict[str, Any]) -> Any:
        """Return the problem of a call, after all checks."""
        described = {x: layout_of(given[x]) for x in self.arrays}
        return self.check(**{**given, **dict.fromkeys(self.numbers), **described})

    def _plan(self, given: dict[str, Any], out: Any) -> Any:
        problem = self.problem(given)
        planner = planner_of(current(), self.name, self.module)
        if out is None:
            return planner(problem)
        checks.check_out(self.name, out, *problem.result, name=self.out)  # once: its layout is part of the key
        direct = out.flags.c_contiguous
        if hasattr(problem, "out"):
            problem, direct = problem._replace(out=layout_of(out)), True
        return self._written(planner(problem), direct)

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
            if direct:
                return run(out, *arguments)
            out[...] = run(None, *arguments)
            return out

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


def _overlap(out: Any, x: Any) -> bool:
    return isinstance(x, ndarray) and checks.overlap(out, x)
