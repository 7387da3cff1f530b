"""Contract cases of functions of several arrays, and of mathematics: from their tables."""

import inspect

import numpy as np

import fastnn_kernels as k
from fastnn_kernels.formulas.arithmetic import FORMULAS
from tests.reference.arithmetic import MATHEMATICS

# shapes that are broadcast, by the number of operands; only the last operand may be repeated in the last dimension
BROADCAST = {
    2: [((9, "n", 7), ("n", 1)), ((3, 1, 7), ("n", 7))],
    3: [(("n", 7), (7,), ("n", 1))],
    4: [(("n", 7), ("n", 7), (7,), ())],
}


def _within(make, name, n):
    _, low, high = MATHEMATICS[name]
    return make.give(make.rng.uniform(max(low, -3), min(high, 3), (n, 37)).astype(make.dtype))


def _of_mathematics(name):
    backward = f"{name}_backward"
    return {
        name: [lambda make, n: getattr(k, name)(_within(make, name, n))],
        backward: [lambda make, n: getattr(k, backward)(make(n, 37), _within(make, name, n))],
    }


def _of_arrays(name, count):
    def call(make, n, shapes):
        arrays = [make.positive(*[n if each == "n" else each for each in shape]) for shape in shapes]
        return getattr(k, name)(*arrays)

    return [lambda make, n, shapes=shapes: call(make, n, shapes) for shapes in ((("n", 7),) * count, *BROADCAST[count])]


def _condition(make, *shape):
    return make.give(make.rng.random(shape) < 0.5)


def _extremum(make, n, axis):
    x = make(n, 37)
    return k.extremum_backward(make(1, 37), x, make.give(np.max(x, axis, keepdims=True, initial=-9)))


CASES = {
    "where": [
        lambda make, n: k.where(_condition(make, n, 7), make(n, 7), make(n, 7)),
        lambda make, n: k.where(_condition(make, n, 7), make(n, 1), make()),
        lambda make, n: k.where(_condition(make, n, 1), make(n, 7), make(7)),
    ],
    "prod_backward": [
        lambda make, n: k.prod_backward(make(n), make(n, 37), 1),
        lambda make, n: k.prod_backward(make(1, 37), make.positive(n, 37), 0),
        lambda make, n: k.prod_backward(make(n, 3), make(n, 3), ()),
    ],
    "extremum_backward": [
        lambda make, n: _extremum(make, n, 0),
        lambda make, n: k.extremum_backward(make(n, 3), x := make(n, 3), make.give(np.array(x))),
    ],
}
for _name, _function in FORMULAS.items():
    if _name != "where":
        CASES[_name] = _of_arrays(_name, len(inspect.signature(_function).parameters))
for _name in MATHEMATICS:
    CASES |= _of_mathematics(_name)
