"""The transforms of Winograd's gradient of a weight, one vector of channels or filters at a time.

A tile of m x m pixels of dy and the (m + r - 1)^2 pixels of the image that its windows see contribute to all taps of
dw. That is a convolution, too, with dy as the filter: dw = A^T [sum over tiles of (G dy G^T) * (B^T x B)] A, with the
matrices of F(r x r, m x m) (Lavin and Gray 2015). Sums are transformed back once, over all tiles of all images.
"""

from numba import types
from numba.extending import intrinsic

from .winograd_tile import Form, Transform, by_form

GRADIENTS = (  # F(taps of dw, tile of dy)
    Form(3, 3, (4, 4)),
    Form(2, 2, (4, 4)),
    Form(1, 2, (1, 4)),
    Form(2, 1, (4, 1)),
    Form(5, 5, (2, 2)),
)


@intrinsic
def transform_windows(typing_context, number, form, source, row, column, target, step):
    """Write B^T x B of what a tile sees: as many vectors as pixels, `step` apart. form: an index in GRADIENTS."""
    return types.void(number, *[types.intp] * 6), by_form("windows", GRADIENTS, Transform.input_function)


@intrinsic
def transform_gradient(typing_context, number, form, source, row, column, target, step):
    """Write G dy G^T of one tile: as many vectors as pixels that it sees, `step` apart."""
    return types.void(number, *[types.intp] * 6), by_form("gradient", GRADIENTS, Transform.filter_function)


@intrinsic
def transform_taps(typing_context, number, form, source, step, target):
    """Write A^T s A of sums `step` apart: a vector per tap, one after the other."""
    return types.void(number, *[types.intp] * 4), by_form("taps", GRADIENTS, Transform.taps_function)
