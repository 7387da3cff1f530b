"""Filters that are packed once for many convolutions."""

from ..ground.checks import as_float_array
from ..ground.memory import zeros
from ..ground.prepared import Prepared
from .problem import sizes_of, window_of


def prepare(function, convolution, n, transposed, weight, input_shape, **options) -> Prepared:
    """Return a copy of a weight that keeps what convolutions pack: after a first one, if there is an input's shape."""
    w = as_float_array(function, "weight", weight, n + 2)
    prepared = Prepared(w)
    if input_shape is not None:
        shape = sizes_of(function, "input_shape", input_shape, n + 1, n + 2)
        window_of(function, n, transposed, (1, *shape)[-n - 2 :], w.shape, **{"output_padding": 0, **options})
        convolution(zeros(shape, w.dtype), prepared, None, **options)
    return prepared
