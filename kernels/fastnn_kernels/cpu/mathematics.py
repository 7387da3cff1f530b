"""Functions of mathematics on a CPU: a kernel for each formula and its gradient."""

from ..formulas.mathematics import FAR, FORMULAS
from ..ground.jit import exact
from .activation import register
from .elementwise import Elementwise
from .vector.simd import load, part, store

PIECE = 1024  # elements, among which one that is far sends all through a scalar loop


class ElementwiseWithFar(Elementwise):
    """An `Elementwise` of a formula that holds up to a magnitude, beyond which there is another one.

    A piece without far elements is computed by vectors, another one element by element: the result of an element
    depends on nothing but the element.
    """

    def __init__(self, formula, module, beyond, function, slope):
        self.beyond, self.far, self.far_slope = beyond, exact(function), exact(slope)
        super().__init__(formula, module)

    def _kernel(self, loop, operation, arrays, shapes):
        near, far, slope, far_slope, beyond = self.forward, self.far, self.backward, self.far_slope, self.beyond

        def far_loop(x, out, lo, hi):
            for first in range(lo, hi, PIECE):
                n, found = min(PIECE, hi - first), 0
                u, y = part(x, first, n), part(out, first, n)
                for i in range(n):
                    found |= 1 if abs(load(u, i)) > beyond else 0
                if found:
                    for i in range(n):
                        store(y, i, far(load(u, i)) if abs(load(u, i)) > beyond else near(load(u, i)))
                else:
                    for i in range(n):
                        store(y, i, near(load(u, i)))

        def far_gradient_loop(dy, x, out, lo, hi):
            for first in range(lo, hi, PIECE):
                n, found = min(PIECE, hi - first), 0
                g, u, y = part(dy, first, n), part(x, first, n), part(out, first, n)
                for i in range(n):
                    found |= 1 if abs(load(u, i)) > beyond else 0
                if found:
                    for i in range(n):
                        d, v = load(g, i), load(u, i)
                        store(y, i, far_slope(d, v) if abs(v) > beyond else slope(d, v))
                else:
                    for i in range(n):
                        store(y, i, slope(load(g, i), load(u, i)))

        return super()._kernel(far_loop if arrays == 2 else far_gradient_loop, operation, arrays, shapes)


FUNCTIONS = {
    name: ElementwiseWithFar(formula, __name__, *FAR[name]) if name in FAR else Elementwise(formula, __name__)
    for name, formula in FORMULAS.items()
}
for _spec in FUNCTIONS.values():
    register(_spec.name, _spec.forward_kernel, _spec.grain, 1)
    register(f"{_spec.name}_backward", _spec.backward_kernel, _spec.grain, 2)
