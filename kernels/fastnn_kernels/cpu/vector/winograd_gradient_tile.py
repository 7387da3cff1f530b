"""The transforms of Winograd's gradient of a weight, one vector of channels or filters at a time.

A tile of m x m pixels of dy and the (m + r - 1)^2 pixels of the image that its windows see have a part in all taps of
dw. That is a convolution, too, with dy as the filter: dw = A^T [sum over tiles of (G dy G^T) * (B^T x B)] A, with the
matrices of F(r x r, m x m) (Lavin and Gray 2015). Sums are transformed back once, over all tiles of all images.
"""

from numba import types
from numba.extending import intrinsic

from .gemm_tile import I64
from .winograd_tile import Form, _Transform

GRADIENTS = (  # F(taps of dw, tile of dy)
    Form(3, 3, (4, 4)),
    Form(2, 2, (4, 4)),
    Form(1, 2, (1, 4)),
    Form(2, 1, (4, 1)),
    Form(5, 5, (2, 2)),
)


class _Gradient(_Transform):
    """Emits transforms of one form into a module."""

    def gradient_function(self):
        function, new = self.begin("gradient", [I64] * 5)
        if not new:
            return function
        source, row, column, target, step = function.args
        self._transform(self.filter, source, row, column, self.form.taps, self._places(target, step, self.form.sides))
        return function

    def taps_function(self):
        function, new = self.begin("taps", [I64] * 3)
        if not new:
            return function
        source, step, target = function.args
        sides, taps = self.form.sides, (self.form.rows, self.form.columns)
        across = self.builder.mul(step, I64(sides[1]))
        self._transform(self.output, source, across, step, sides, self._places(target, I64(self.lanes), taps))
        return function

    def _places(self, target, step, shape):
        return self.steps(self.pointer(target), step, shape[0] * shape[1])

    def _transform(self, transforms, source, row, column, shape, places):
        rows = self.steps(self.pointer(source), row, shape[0])
        grid = [[self._load(self.builder, at, 0) for at in self.steps(r, column, shape[1])] for r in rows]
        for value, at in zip(sum(self.twice(transforms, grid), []), places, strict=True):
            self._store(self.builder, value, at, 0)
        self.builder.ret_void()


def _by_form(function, count):
    """Return what gives an intrinsic's signature and codegen: a call of what `function` emits for the form named."""

    def codegen(context, builder, signature, values):
        end = builder.append_basic_block()
        switch = builder.switch(values[1], end)
        for i, form in enumerate(GRADIENTS):
            block = builder.append_basic_block()
            switch.add_case(I64(i), block)
            with builder.goto_block(block):
                builder.call(function(_Gradient(builder.module, signature.args[0], form)), values[2:])
                builder.branch(end)
        builder.position_at_end(end)
        return context.get_dummy_value()

    return lambda number: (types.void(number, *[types.intp] * count), codegen)


@intrinsic
def transform_windows(typing_context, number, form, source, row, column, target, step):
    """Write B^T x B of what a tile sees: as many vectors as pixels, `step` apart. form: a place in GRADIENTS."""
    return _by_form(_Gradient.input_function, 6)(number)


@intrinsic
def transform_gradient(typing_context, number, form, source, row, column, target, step):
    """Write G dy G^T of one tile: as many vectors as pixels that it sees, `step` apart."""
    return _by_form(_Gradient.gradient_function, 6)(number)


@intrinsic
def transform_taps(typing_context, number, form, source, step, target):
    """Write A^T s A of sums `step` apart: a vector per tap, one behind the other."""
    return _by_form(_Gradient.taps_function, 4)(number)
