"""Sums and products: NumPy's, with smaller costs per call, outputs from the pool and threads for arrays of one shape.

Whatever else NumPy takes (other dtypes, shapes that broadcast, numbers), NumPy does.
"""

import numpy as np

from ._elementwise import CHEAP
from ._flat import elementwise_entry
from ._shapes import canonical, check_writable, required
from .cpu import arithmetic as cpu


def _entry(name, kernel, ufunc, text):
    def numpy(input, other, out):
        required(name, input=input, other=other)
        for key, x in (("input", input), ("other", other)):
            if isinstance(x, np.ma.MaskedArray):
                raise TypeError(f"{name}: {key} is a masked array; fill it first: {key}.filled(0)")
        if out is None:
            return canonical(ufunc(input, other))
        check_writable(name, "out", out)
        try:
            return ufunc(input, other, out=out)
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError  # NumPy has subclasses of its own
            raise kind(f"{name}: out does not fit: {error}") from None

    return elementwise_entry(name, kernel, ("input", "other"), {}, CHEAP, text, numpy)


add = _entry(
    "add", cpu.add__vector, np.add,
    "Return input + other, as numpy.add does. `out` may be one of the inputs, not overlap them (ValueError).",
)  # fmt: skip
mul = _entry(
    "mul", cpu.mul__vector, np.multiply,
    "Return input times other, as numpy.multiply does; see `add`.",
)  # fmt: skip
