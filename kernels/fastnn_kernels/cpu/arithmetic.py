"""Functions of one to four arrays on a CPU: of one shape along memory, of others row by row."""

import inspect
from functools import partial
from math import prod

import numpy as np

from ..formulas.arithmetic import FORMULAS, PARTS
from ..ground.backend import plans, quick
from ..ground.checks import contiguous
from ..ground.jit import exact, jitted, kernel
from ..ground.memory import empty
from ..ground.operation import layout_of
from ..ground.plans import ghost
from ..ground.threads import tasks
from .elementwise import CHEAP, SMALL, dense
from .vector.simd import address, itemsize, load, part, stack_bytes, store, vector_at

DIMENSIONS = 3  # of arrays that are broadcast without a copy, after those have been joined that can be
ROOM = 1 << 11  # bytes on the stack for an operand whose numbers are repeated within a row, or short rows
ROW = 8192  # elements of a row at once where no operand needs that
SHORT, TOGETHER = 32, 256  # elements of rows that are taken together, and of such rows at once
FIRST = 5  # of the table's entries that belong to an operand


def _vector_1(formula):
    def vector(a, out, lo, hi):
        a, out = a[lo:hi], out[lo:hi]
        for i in range(out.size):
            store(out, i, formula(load(a, i)))

    return vector


def _vector_2(formula):
    def vector(a, b, out, lo, hi):
        a, b, out = a[lo:hi], b[lo:hi], out[lo:hi]
        for i in range(out.size):
            store(out, i, formula(load(a, i), load(b, i)))

    return vector


def _vector_3(formula):
    def vector(a, b, c, out, lo, hi):
        a, b, c, out = a[lo:hi], b[lo:hi], c[lo:hi], out[lo:hi]
        for i in range(out.size):
            store(out, i, formula(load(a, i), load(b, i), load(c, i)))

    return vector


def _vector_4(formula):
    def vector(a, b, c, d, out, lo, hi):
        a, b, c, d, out = a[lo:hi], b[lo:hi], c[lo:hi], d[lo:hi], out[lo:hi]
        for i in range(out.size):
            store(out, i, formula(load(a, i), load(b, i), load(c, i), load(d, i)))

    return vector


@jitted
def item_at(steps, item):
    """Return the place of an item: its row along P and R, its first element, how many it has, and of how many rows."""
    count, n, longest, pieces, together = steps[0], steps[1], steps[2], steps[3], steps[4]
    r = item // pieces
    if together > 1:
        row = (item - r * pieces) * together
        rows = min(together, count - row)
        return r, row, 0, rows * n, rows
    first = (item - r * pieces) * longest
    outer = r // count
    return outer, r - outer * count, first, min(longest, n - first), 1


@jitted
def source(x, steps, at, outer, row, first, rows, begins, room):
    """Return the address of an operand's elements: in memory, or in a room filled with those that are repeated.

    begins: whether nothing has been filled yet.
    """
    n, longest, together = steps[1], steps[2], steps[4]
    per_outer, per_row, step = steps[at], steps[at + 1], steps[at + 2]
    start = outer * per_outer + row * per_row
    if step and (together == 1 or per_row == n):
        return address(x) + itemsize(x[0]) * (start + first)
    moves = per_outer != 0 or per_row != 0
    if begins or (moves and first == 0):
        if together == 1:
            repeated = vector_at(x[0], room, longest)
            number = x[start]
            for i in range(longest):
                repeated[i] = number
        else:
            rows = rows if per_row else together
            repeated = vector_at(x[0], room, rows * n)
            for r in range(rows):
                for i in range(n):
                    repeated[r * n + i] = x[start + r * per_row + i * step]
    return room


def _rows_2(formula):
    def rows(a, b, out, steps, lo, hi):
        p, q = stack_bytes(ROOM), stack_bytes(ROOM)
        for item in range(lo, hi):
            outer, row, first, n, together = item_at(steps, item)
            u = vector_at(a[0], source(a, steps, FIRST, outer, row, first, together, item == lo, p), n)
            v = vector_at(b[0], source(b, steps, FIRST + 3, outer, row, first, together, item == lo, q), n)
            y = part(out, (outer * steps[0] + row) * steps[1] + first, n)
            for i in range(n):
                store(y, i, formula(load(u, i), load(v, i)))

    return rows


def _rows_2_of_numbers(formula):
    """Keep a number that is repeated in a register: for functions that cost little more than reading their operands."""

    def rows(a, b, out, steps, lo, hi):
        p, q = stack_bytes(ROOM), stack_bytes(ROOM)
        a_step, b_step = steps[FIRST + 2], steps[FIRST + 5]
        for item in range(lo, hi):
            outer, row, first, n, together = item_at(steps, item)
            y = part(out, (outer * steps[0] + row) * steps[1] + first, n)
            if steps[4] > 1 or (a_step and b_step):
                u = vector_at(a[0], source(a, steps, FIRST, outer, row, first, together, item == lo, p), n)
                v = vector_at(b[0], source(b, steps, FIRST + 3, outer, row, first, together, item == lo, q), n)
                for i in range(n):
                    store(y, i, formula(load(u, i), load(v, i)))
            else:
                a_start = outer * steps[FIRST] + row * steps[FIRST + 1]
                b_start = outer * steps[FIRST + 3] + row * steps[FIRST + 4]
                if a_step:
                    u, number = part(a, a_start + first, n), b[b_start]
                    for i in range(n):
                        store(y, i, formula(load(u, i), number))
                else:
                    v, number = part(b, b_start + first, n), a[a_start]
                    for i in range(n):
                        store(y, i, formula(number, load(v, i)))

    return rows


def _rows_3(formula):
    def rows(a, b, c, out, steps, lo, hi):
        p, q, r = stack_bytes(ROOM), stack_bytes(ROOM), stack_bytes(ROOM)
        for item in range(lo, hi):
            outer, row, first, n, together = item_at(steps, item)
            u = vector_at(a[0], source(a, steps, FIRST, outer, row, first, together, item == lo, p), n)
            v = vector_at(b[0], source(b, steps, FIRST + 3, outer, row, first, together, item == lo, q), n)
            w = vector_at(c[0], source(c, steps, FIRST + 6, outer, row, first, together, item == lo, r), n)
            y = part(out, (outer * steps[0] + row) * steps[1] + first, n)
            for i in range(n):
                store(y, i, formula(load(u, i), load(v, i), load(w, i)))

    return rows


def _rows_4(formula):
    def rows(a, b, c, d, out, steps, lo, hi):
        p, q, r, s = stack_bytes(ROOM), stack_bytes(ROOM), stack_bytes(ROOM), stack_bytes(ROOM)
        for item in range(lo, hi):
            outer, row, first, n, together = item_at(steps, item)
            u = vector_at(a[0], source(a, steps, FIRST, outer, row, first, together, item == lo, p), n)
            v = vector_at(b[0], source(b, steps, FIRST + 3, outer, row, first, together, item == lo, q), n)
            w = vector_at(c[0], source(c, steps, FIRST + 6, outer, row, first, together, item == lo, r), n)
            x = vector_at(d[0], source(d, steps, FIRST + 9, outer, row, first, together, item == lo, s), n)
            y = part(out, (outer * steps[0] + row) * steps[1] + first, n)
            for i in range(n):
                store(y, i, formula(load(u, i), load(v, i), load(w, i), load(x, i)))

    return rows


def _rows_of_choice(formula):
    def rows(condition, a, b, out, steps, lo, hi):
        p, q = stack_bytes(ROOM), stack_bytes(ROOM)
        for item in range(lo, hi):
            outer, row, first, n, together = item_at(steps, item)
            c = part(condition, outer * steps[FIRST] + row * steps[FIRST + 1] + first, n)
            u = vector_at(a[0], source(a, steps, FIRST + 3, outer, row, first, together, item == lo, p), n)
            v = vector_at(b[0], source(b, steps, FIRST + 6, outer, row, first, together, item == lo, q), n)
            y = part(out, (outer * steps[0] + row) * steps[1] + first, n)
            for i in range(n):
                store(y, i, formula(load(c, i), load(u, i), load(v, i)))

    return rows


VECTORS = {1: _vector_1, 2: _vector_2, 3: _vector_3, 4: _vector_4}
WITH_NUMBERS = {"add", "sub", "mul", "div", "maximum", "minimum"}
ROWS = {2: _rows_2, 3: _rows_3, 4: _rows_4}


class Function:
    """The kernels of a function of several numbers: `vector` for arrays of one shape, `rows` for broadcast ones."""

    def __init__(self, function):
        name, formula = function.__name__, exact(function)
        names = list(inspect.signature(function).parameters)
        self.count = len(names)
        kinds = ", ".join("u1[::1]" if each == "condition" else "S[::1]" for each in (*names, "out"))
        vector = VECTORS[self.count](formula)
        vector.__doc__ = f"{', '.join(f'{each}(n)' for each in names)} -> out(n)"
        self.vector = kernel(kinds, parallel=True, name=f"{name}__vector")(vector)
        self.plain, self.rows_fill = "condition" not in names, name not in WITH_NUMBERS
        if self.count > 1:
            make = ROWS[self.count] if self.plain else _rows_of_choice
            rows = (_rows_2_of_numbers if name in WITH_NUMBERS else make)(formula)
            rows.__doc__ = (
                f"{', '.join(names)} -> out(P,R,C), where steps holds R, C, the elements of a piece of a row, the "
                "pieces of a row (or the groups of R rows), the rows of a group, then how far each operand goes per P, "
                "R and C. The range is over pieces, or groups."
            )
            self.rows = kernel(f"{kinds}, i8[::1]", parallel=True, name=f"{name}__rows")(rows)

    def plan(self, problem):
        """Plan arrays of one shape, or of shapes that are broadcast: run(out, *arrays)."""
        out = None if problem.out is None else problem.out.ghost()
        ghosts = [x.ghost() for x in problem.arrays]
        if not hasattr(problem, "shape") or all(x.shape == problem.shape for x in ghosts):
            flat = all(x.flags.c_contiguous for x in (*ghosts, *(() if out is None else (out,))))
            return self._flat(*problem.result) if flat else dense(self.vector, CHEAP, ghosts, out)
        shape, dtype = problem.result
        lengths, *steps = _joined(shape, [x.shape for x in problem.arrays])
        if not self.plain and prod(shape) and lengths and not steps[0][-1]:  # a condition is not repeated within rows
            condition, *others = problem.arrays
            whole = self.plan(problem._replace(arrays=(layout_of(ghost(shape, condition.dtype)), *others)))
            return lambda out, condition, *arrays: whole(out, contiguous(np.broadcast_to(condition, shape)), *arrays)
        if len(lengths) > DIMENSIONS or not prod(shape):
            same = dense(self.vector, CHEAP, [np.broadcast_to(x, shape) for x in ghosts], out)
            return lambda out, *arrays: same(out, *[np.broadcast_to(x, shape) for x in arrays])
        return self._broadcast(shape, dtype, lengths, steps, all(x.flags.c_contiguous for x in ghosts), out)

    def _flat(self, shape, dtype):
        """Plan contiguous arrays of one shape."""
        size, line = prod(shape), len(shape) == 1
        compute, number = self.vector[dtype], tasks(size, CHEAP)

        def run(out, *arrays):
            y = empty(shape, dtype) if out is None else out
            if line:
                compute(*arrays, y, size, number)
            else:
                compute(*[x.reshape(-1) for x in (*arrays, y)], size, number)
            return y

        return run

    def _broadcast(self, shape, dtype, lengths, steps, flat, out):
        direct = out is None or out.flags.c_contiguous
        lengths, *steps = (
            (fill,) * (DIMENSIONS - len(each)) + each for fill, each in ((1, lengths), *((0, s) for s in steps))
        )
        outer, count, n = lengths
        filled = any(not step[2] for step in steps) and self.rows_fill
        longest = min(n, ROOM // dtype.itemsize if filled else ROW)
        together = min(count, TOGETHER // n) if n < SHORT and self.plain else 1
        pieces = -(-n // longest) if together == 1 else -(-count // together)
        table = np.array((count, n, longest, pieces, together, *[s for step in steps for s in step]), np.int64)
        items, compute = outer * (count if together == 1 else 1) * pieces, self.rows[dtype]
        number, line = min(items, tasks(prod(shape), CHEAP)), len(shape) == 1

        def run(out, *arrays):
            y = out if direct and out is not None else empty(shape, dtype)
            views = [x.reshape(-1) for x in arrays] if flat else [contiguous(x).reshape(-1) for x in arrays]
            compute(*views, y if line else y.reshape(-1), table, items, number)
            if direct:
                return y
            out[...] = y
            return out

        return run


def _joined(shape, shapes):
    """Return the dimensions of a broadcast, as few as can be, and for each contiguous array how far it goes in each."""
    lengths, steps = [], [[] for _ in shapes]
    sizes = [1] * len(shapes)
    for axis in range(1, len(shape) + 1):
        n, own = shape[-axis], [given[-axis] if axis <= len(given) else 1 for given in shapes]
        if n == 1:
            continue
        here = [size if length > 1 else 0 for size, length in zip(sizes, own, strict=True)]
        if lengths and all(h == s[0] * lengths[0] for h, s in zip(here, steps, strict=True)):
            lengths[0] *= n
        else:
            lengths.insert(0, n)
            for s, h in zip(steps, here, strict=True):
                s.insert(0, h)
        sizes = [size * length for size, length in zip(sizes, own, strict=True)]
    return tuple(lengths), *map(tuple, steps)


FUNCTIONS = {name: Function(function) for name, function in {**FORMULAS, **PARTS}.items()}
for _name in FORMULAS:
    _function = FUNCTIONS[_name]
    if _function.plain:
        _flat = partial(_function.vector.flat, inputs=_function.count, limit=SMALL)
        quick(_name, lambda dtype, otherwise, flat=_flat: flat(dtype, owner=otherwise))
    plans(_name)(partial(Function.plan, _function))
