"""Arrays in any layout, in memory that is guarded: see `guarded`."""

import numpy as np

LAYOUTS = ("plain", "last", "reversed", "cut", "cut first", "cut last", "turned", "steps", "record", "odd")


def lay(values, layout, rng, guard):
    """Return an array with these values in one of LAYOUTS, whose gaps hold NaN, in the memory of a `Guard`.

    rng: a numpy.random.Generator, which decides what is reversed, and how wide gaps are.
    """
    values = np.asarray(values)
    n, dtype, shape = values.ndim, values.dtype, values.shape
    order = list(range(n))
    if "last" in layout and n > 2:
        order = [0, *range(2, n), 1]
    elif layout == "turned":
        order.reverse()
    lie = [shape[i] for i in order]
    if layout == "record":
        memory = guard.room((values.size,), [("other", np.uint8), ("numbers", dtype)])
        array = memory["numbers"].reshape(shape)
    elif layout == "odd":
        array = guard.room((values.nbytes + 1,), np.uint8)[1:].view(dtype).reshape(shape)
    else:
        before, after = (rng.integers(0, 3, n) if "cut" in layout else np.zeros(n, int) for _ in range(2))
        if layout == "cut first":  # what is behind these axes is still one run
            before[2:], after[:2], after[2:] = 0, 1, 0
        steps = rng.integers(1, 3, n) if layout == "steps" else np.ones(n, int)
        steps[rng.random(n) < (layout == "reversed") * 0.6] *= -1
        lengths = [
            (m - 1) * abs(s) + 1 + b + a if m else 0 for m, s, b, a in zip(lie, steps, before, after, strict=True)
        ]
        memory = guard.room(tuple(map(int, lengths)), dtype)
        memory.fill(np.nan if dtype.kind == "f" else 0)
        inner = memory[tuple(slice(b, b + (m - 1) * abs(s) + 1) for m, s, b in zip(lie, steps, before, strict=True))]
        array = inner[tuple(slice(None, None, s) for s in steps)].transpose(np.argsort(order))
    array[...] = values
    return array
