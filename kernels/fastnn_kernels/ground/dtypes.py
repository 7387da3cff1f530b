"""The dtypes of kernels: what is stored in memory and what is computed with, two letters in a kernel's signature.

    S    numbers of the arrays that callers see
    T    numbers that are computed with: parameters, sums, workspaces

Today both are float32 or both are float64. A dtype of storage to come (bfloat16, int8) gets its pairs here, and its
kernels their own code; an unknown one raises TypeError rather than being taken for float64.
"""

import numpy as np
from numba import types

F4, F8, I8 = np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.int64)
PAIRS = {(F4, F4): (types.float32, types.float32), (F8, F8): (types.float64, types.float64)}  # (stored, computed)
SCALARS = {
    "int": types.intp,
    **{"i4": types.int32, "i8": types.int64, "u1": types.uint8, "u4": types.uint32, "u8": types.uint64},
    **{"f4": types.float32, "f8": types.float64},
}


def pair_of(function: str, dtype) -> tuple[np.dtype, np.dtype]:
    """Return (stored, computed) for a dtype or a pair of them, in native byte order. TypeError for unknown ones."""
    stored, computed = dtype if isinstance(dtype, tuple) else (dtype, dtype)
    pair = np.dtype(stored).newbyteorder("="), np.dtype(computed).newbyteorder("=")
    if pair not in PAIRS:
        names = str(pair[0]) if pair[0] == pair[1] else f"{pair[0]} stored and {pair[1]} computed"
        raise TypeError(f"{function}: no kernel for dtype {names}")
    return pair


def letters(pair: tuple[np.dtype, np.dtype]) -> dict:
    """Return the Numba types of the words of a signature."""
    stored, computed = PAIRS[pair]
    return {**SCALARS, "S": stored, "T": computed}
