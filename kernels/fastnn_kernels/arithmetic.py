"""Sums and products: NumPy's, with smaller costs per call, outputs from the pool and threads for arrays of one shape.

Whatever else NumPy takes (other dtypes, shapes that broadcast, numbers), NumPy does.
"""

import numpy as np

from .cpu import arithmetic as cpu
from .cpu.elementwise import CHEAP
from .ground.checks import as_array, canonical, check_writable
from .ground.elementwise import elementwise_entry


def _entry(name, kernel, ufunc, text):
    def numpy(input, other, out):
        for key, x in (("input", input), ("other", other)):
            as_array(name, key, x)  # but numbers stay numbers, whose dtype counts less
        if out is not None:
            check_writable(name, "out", out)
        try:
            return canonical(ufunc(input, other)) if out is None else ufunc(input, other, out=out)
        except (TypeError, ValueError, OverflowError) as error:
            shapes = f"input {np.shape(input)}, other {np.shape(other)}" + f", out {np.shape(out)}" * (out is not None)
            kind = TypeError if isinstance(error, TypeError) else ValueError  # NumPy has subclasses of its own
            raise kind(f"{name}: {shapes}: {error}") from None

    return elementwise_entry(name, kernel, ("input", "other"), {}, CHEAP, text, numpy)


add = _entry(
    "add", cpu.add__vector, np.add,
    "Return input + other, as numpy.add does. `out` may be one of the inputs, not overlap them (ValueError).",
)  # fmt: skip
mul = _entry(
    "mul", cpu.mul__vector, np.multiply,
    "Return input times other, as numpy.multiply does; see `add`.",
)  # fmt: skip
