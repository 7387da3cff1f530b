"""Tables for kernels: int64 arrays whose fields have names.

class Strip(NamedTuple):  # what a kernel is told about its work
    rows: int
    columns: int

STRIP = fields(Strip)
table = packed(Strip(rows=4, columns=16))  # in the plan
rows, columns = table[STRIP.rows], table[STRIP.columns]  # in the kernel, where STRIP is a constant
"""

from typing import Any

import numpy as np
from numpy import ndarray


def fields(record: Any, after: Any = None) -> Any:
    """Return where each field of a record is in a table: a record of indices. after: the record packed before it."""
    start = 0 if after is None else after[-1] + 1
    return record(*range(start, start + len(record._fields)))


def packed(*records: tuple[int, ...]) -> ndarray:
    """Return the table of one or several records of integers, one behind the other."""
    return np.array([number for record in records for number in record], np.int64)
