"""Tables for kernels: fields are found by name, in one record behind another."""

from collections import namedtuple

import numpy as np

from fastnn_kernels.ground.records import fields, packed

Size = namedtuple("Size", "rows columns")
Step = namedtuple("Step", "down right")


def test_fields_are_where_packing_puts_them():
    size, step = Size(rows=3, columns=5), Step(right=7, down=2)
    table = packed(size, step)
    assert table.dtype == np.int64 and table.flags.c_contiguous
    sizes = fields(Size)
    steps = fields(Step, after=sizes)
    assert [table[at] for at in (sizes.rows, sizes.columns, steps.down, steps.right)] == [3, 5, 2, 7]
    assert [int(number) for number in packed(Size(True, False))] == [1, 0]
