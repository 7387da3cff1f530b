"""The kernels of losses of single elements, from their formulas.

`__blocks` gives losses, or sums of them over blocks, and at once, if wanted, the gradient of the first operand. Each
other operand has a kernel of its own for its gradient.
"""

import math

from ...formulas.loss import LOSSES, MINUS, compiled
from ...ground.jit import exact, jitted, kernel
from ..vector.simd import stack_bytes, vector_at

BLOCK = 1024  # elements whose losses make one partial sum
BYTES = 8 * BLOCK  # at most, for their losses
FORMULAS = compiled(exact, {})
PARTIAL = ("binary_cross_entropy", "hinge_embedding_loss", "gaussian_nll_loss")  # NaN for operands not allowed
OPERANDS = {"t": "target", "y": "input2", "var": "var"}  # by their names in formulas


@jitted
def total(row):
    """Return the sum of a row."""
    sum = row.dtype.type(0)
    for i in range(row.size):
        sum += row[i]
    return sum


@jitted
def multiply(row, factors, first):
    """Multiply a row by its part of factors for all elements, which may be none."""
    if factors.size:
        part = factors[first : first + row.size]
        for i in range(row.size):
            row[i] *= part[i]


@jitted
def finish(row, factor, weight, first):
    """Multiply a block of losses by a factor and by weights."""
    for i in range(row.size):
        row[i] *= factor
    multiply(row, weight, first)


def _blocks_kernel(name, entry):
    """Make x(N), t(N), ... weight, dloss(N or 0) -> losses(N or 0), partial(N / BLOCK or 0), dx(N or 0).

    The range is over blocks. Compute the losses, sum them, compute dx = scale slope dloss weight.
    """
    value, slope = FORMULAS[entry.value.__name__], FORMULAS[entry.slopes[0].__name__]
    operands = len(entry.slopes)

    def two(x, t, weight, dloss, losses, partial, dx, factor, scale, *rest):
        numbers, scaled, more = rest[:-2], factor != type(factor)(1) or weight.size > 0, weight.size + dloss.size
        for block in range(rest[-2], rest[-1]):
            first = block * BLOCK
            a, b = x[first : first + BLOCK], t[first : first + BLOCK]
            if losses.size or partial.size:
                row = losses[first : first + BLOCK] if losses.size else vector_at(x[0], stack_bytes(BYTES), a.size)
                for i in range(a.size):
                    row[i] = value(a[i], b[i], *numbers)
                if scaled:
                    finish(row, factor, weight, first)
                if partial.size:
                    partial[block] = total(row)
            if dx.size:
                row = dx[first : first + BLOCK]
                for i in range(a.size):
                    row[i] = scale * slope(a[i], b[i], *numbers)
                if more:
                    multiply(row, dloss, first)
                    multiply(row, weight, first)

    def three(x, t, w, weight, dloss, losses, partial, dx, factor, scale, *rest):
        numbers, scaled, more = rest[:-2], factor != type(factor)(1) or weight.size > 0, weight.size + dloss.size
        for block in range(rest[-2], rest[-1]):
            first = block * BLOCK
            a, b, c = x[first : first + BLOCK], t[first : first + BLOCK], w[first : first + BLOCK]
            if losses.size or partial.size:
                row = losses[first : first + BLOCK] if losses.size else vector_at(x[0], stack_bytes(BYTES), a.size)
                for i in range(a.size):
                    row[i] = value(a[i], b[i], c[i], *numbers)
                if scaled:
                    finish(row, factor, weight, first)
                if partial.size:
                    partial[block] = total(row)
            if dx.size:
                row = dx[first : first + BLOCK]
                for i in range(a.size):
                    row[i] = scale * slope(a[i], b[i], c[i], *numbers)
                if more:
                    multiply(row, dloss, first)
                    multiply(row, weight, first)

    loop, signature = two if operands == 2 else three, ["S[::1]"] * (operands + 3) + ["T[::1]", "S[::1]", "T", "T"]
    return _kernel(loop, _named(name, "", "blocks"), signature, entry, "losses partial dx", _blocks_kernel.__doc__)


def _slope_kernel(name, operand, entry):
    """Make x(N), t(N), ... weight, dloss(N or 0) -> out(N) = scale slope dloss weight. The range is over blocks."""
    slope, operands = FORMULAS[entry.slopes[operand].__name__], len(entry.slopes)

    def two(x, t, weight, dloss, out, scale, *rest):
        numbers = rest[:-2]
        for first in range(rest[-2] * BLOCK, min(rest[-1] * BLOCK, x.size), BLOCK):
            a, b, row = x[first : first + BLOCK], t[first : first + BLOCK], out[first : first + BLOCK]
            for i in range(a.size):
                row[i] = scale * slope(a[i], b[i], *numbers)
            multiply(row, dloss, first)
            multiply(row, weight, first)

    def three(x, t, w, weight, dloss, out, scale, *rest):
        numbers = rest[:-2]
        for first in range(rest[-2] * BLOCK, min(rest[-1] * BLOCK, x.size), BLOCK):
            a, b, row = x[first : first + BLOCK], t[first : first + BLOCK], out[first : first + BLOCK]
            c = w[first : first + BLOCK]
            for i in range(a.size):
                row[i] = scale * slope(a[i], b[i], c[i], *numbers)
            multiply(row, dloss, first)
            multiply(row, weight, first)

    code = entry.value.__code__
    loop, signature = two if operands == 2 else three, ["S[::1]"] * (operands + 3) + ["T"]
    name = _named(name, "_backward", OPERANDS[code.co_varnames[operand]])
    return _kernel(loop, name, signature, entry, "out", _slope_kernel.__doc__)


def _named(name, suffix, last):
    """Return the name of a kernel: operation__variant."""
    operation, _, variant = name.partition("__")
    return f"{operation}{suffix}__{variant}_{last}" if variant else f"{operation}{suffix}__{last}"


def _kernel(loop, name, signature, entry, writes, doc):
    loop.__doc__ = doc
    return kernel(", ".join(signature + ["T"] * entry.parameters), writes=writes, parallel=True, name=name)(loop)


blocks = {name: _blocks_kernel(name, entry) for name, entry in LOSSES.items()}
slopes = {  # of all operands but the first: a kernel, MINUS (that of the first with the other sign) or None
    name: [
        slope if slope in (None, MINUS) else _slope_kernel(name, i, entry)
        for i, slope in enumerate(entry.slopes[1:], 1)
    ]
    for name, entry in LOSSES.items()
}


@kernel("T[::1], f8, f8[::1], S[::1]", writes="out")
def mse_loss__total(x, scale, divisor, out):
    """x(N), divisor(1 or 0) -> out(1) = scale sum(x) / divisor, summed in float64; NaN where the divisor is 0."""
    total = 0.0
    for i in range(x.size):
        total += x[i]
    if divisor.size:
        scale = scale / divisor[0] if divisor[0] else math.nan
    out[0] = scale * total


@kernel("S[:,::1], T, S[::1]", writes="out")
def multilabel_soft_margin_loss__rows(x, factor, out):
    """x(N C) -> out(N) = factor sum over C."""
    for r in range(out.size):
        out[r] = factor * total(x[r])
