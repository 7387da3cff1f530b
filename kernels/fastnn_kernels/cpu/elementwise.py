"""The kernels of elementwise functions, made from their formulas: one loop for all of them."""

from collections.abc import Callable

import numpy as np

from ..formulas.formula import Formula
from ..ground.checks import contiguous
from ..ground.jit import Kernel, exact, kernel
from ..ground.memory import empty
from ..ground.plans import ghost
from ..ground.threads import tasks
from .grains import CHEAP
from .grains import ELEMENTS as GRAIN
from .vector.simd import load, store

SMALL = 1 << 16  # bytes of outputs that come from malloc, whose memory is warm, and are not worth a second thread


class Elementwise:
    """The functions and kernels of a formula. Its other attributes are those of the `Formula`.

    module: the name of the module that makes it, whose text and imports are the key of its kernels in the disk cache.
    """

    def __init__(self, formula: Formula, module: str):
        self.__dict__.update(vars(formula))
        self.formula, self.module, self.grain = formula, module, CHEAP if formula.cheap else GRAIN
        self.forward, self.backward = forward, gradient = exact(formula.function), exact(formula.slope)

        # Kernels take their slice first and count from 0: an index that starts at an unknown `lo` might count from the
        # end of an array, and for that LLVM compiles gathers, ten times slower.
        def loop(x, out, *rest):
            parameters, part = rest[:-2], slice(rest[-2], rest[-1])
            x, out = x[part], out[part]
            for i in range(x.size):
                store(out, i, forward(load(x, i), *parameters))

        def gradient_loop(dy, v, out, *rest):
            parameters, part = rest[:-2], slice(rest[-2], rest[-1])
            dy, v, out = dy[part], v[part], out[part]
            for i in range(v.size):
                store(out, i, gradient(load(dy, i), load(v, i), *parameters))

        self.forward_kernel = self._kernel(loop, self.name, 2, "x(n) -> out(n)")
        value = "y" if self.gradient_of == "output" else "x"
        self.backward_kernel = self._kernel(gradient_loop, f"{self.name}_backward", 3, f"dy(n), {value}(n) -> out(n)")

    def _kernel(self, loop: Callable, operation: str, arrays: int, shapes: str) -> Kernel:
        """Make a kernel of a loop, whose parameters come after its arrays."""
        loop.__doc__, loop.__module__ = shapes, self.module
        signature = ", ".join(["S[::1]"] * arrays + ["T"] * len(self.parameters))
        return kernel(signature, writes="out", parallel=True, name=f"{operation}__vector")(loop)


def dense(kernel, grain, arrays, out=None):
    """Plan an elementwise kernel: run(out, *arrays, *parameters), along memory if the arrays are dense in some order.

    arrays: of one shape and dtype; out: an array or None. Ghosts will do. A new result has the last array's order.
    """
    x, count = arrays[-1], len(arrays)
    shape, dtype, size = x.shape, x.dtype, x.size
    compute, number = kernel[dtype], tasks(size, grain)
    if all(each.flags.c_contiguous for each in arrays):
        direct = out is None or out.flags.c_contiguous

        def run(out, *given):
            y = out if direct and out is not None else empty(shape, dtype)
            compute(*[each.reshape(-1) for each in (*given[:count], y)], *given[count:], size, number)
            return y if direct else _copied(y, out)

        return run
    axes = np.argsort([-abs(stride) for stride in x.strides], kind="stable")
    inverse, ordered = np.argsort(axes), tuple(shape[axis] for axis in axes)
    direct = out is None or out.transpose(axes).flags.c_contiguous

    def run_in_order(out, *given):
        views = [contiguous(each.transpose(axes)).reshape(-1) for each in given[:count]]
        y = out.transpose(axes) if direct and out is not None else empty(ordered, dtype)
        compute(*views, y.reshape(-1), *given[count:], size, number)
        if out is None:
            return y.transpose(inverse)
        return out if direct else _copied(y.transpose(inverse), out)

    return run_in_order


def order_of_result(arrays):
    """Return a ghost that lies in memory as a new result of `dense` does."""
    shape, dtype = arrays[-1].shape, arrays[-1].dtype
    if all(each.flags.c_contiguous for each in arrays):
        return ghost(shape, dtype)
    axes = np.argsort([-abs(stride) for stride in arrays[-1].strides], kind="stable")
    return ghost(tuple(shape[axis] for axis in axes), dtype).transpose(np.argsort(axes))


def _copied(y, out):
    out[...] = y
    return out
