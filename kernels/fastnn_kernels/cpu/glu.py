"""Activations that look at more than one number: slopes learned per channel, and gates."""

from ..ground.jit import kernel
from .math.elementary import sigmoid
from .vector.simd import load, store

BLOCK = 64  # rows whose gradients of the slopes are summed together


@kernel("T[:,:,::1], T[::1], T[:,:,::1]", writes="out", parallel=True)
def prelu__planes(x, w, out, lo, hi):
    """x(A,C,B), w(C) -> out(A,C,B); the range counts planes a C + c."""
    zero = x.dtype.type(0)
    for plane in range(lo, hi):
        a, c = plane // w.size, plane % w.size
        values, result, slope = x[a, c], out[a, c], w[c]
        for b in range(values.size):
            value = load(values, b)
            store(result, b, value if value > zero else value * slope)


@kernel("T[:,::1], T[::1], T[:,::1]", writes="out", parallel=True)
def prelu__rows(x, w, out, lo, hi):
    """x(R,C), w(C) -> out(R,C)."""
    zero = x.dtype.type(0)
    for r in range(lo, hi):
        values, result = x[r], out[r]
        for c in range(w.size):
            value = load(values, c)
            store(result, c, value if value > zero else value * load(w, c))


@kernel("T[:,:,::1], T[:,:,::1], T[::1], T[:,:,::1], T[:,::1]", writes="dx dw", parallel=True)
def prelu_backward__planes(dy, x, w, dx, dw, lo, hi):
    """dy(A,C,B), x(A,C,B), w(C) -> dx(A,C,B), dw(A,C), still to be summed over A."""
    zero = x.dtype.type(0)
    for plane in range(lo, hi):
        a, c = plane // w.size, plane % w.size
        above, values, result, slope, total = dy[a, c], x[a, c], dx[a, c], w[c], zero
        for b in range(values.size):
            value, gradient = load(values, b), load(above, b)
            total += zero if value > zero else gradient * value
            store(result, b, gradient if value > zero else gradient * slope)
        dw[a, c] = total


@kernel("T[:,::1], T[:,::1], T[::1], T[:,::1], T[:,::1]", writes="dx dw", parallel=True)
def prelu_backward__rows(dy, x, w, dx, dw, lo, hi):
    """dy(R,C), x(R,C), w(C) -> dx(R,C), dw(P,C), sums of BLOCK rows each; the range counts them."""
    zero = x.dtype.type(0)
    for p in range(lo, hi):
        total = dw[p]
        total[:] = zero
        for r in range(p * BLOCK, min(p * BLOCK + BLOCK, x.shape[0])):
            above, values, result = dy[r], x[r], dx[r]
            for c in range(w.size):
                value, gradient = load(values, c), load(above, c)
                total[c] += zero if value > zero else gradient * value
                store(result, c, gradient if value > zero else gradient * load(w, c))


@kernel("T[:,:,::1], T[:,::1]", writes="out", parallel=True)
def glu__halves(x, out, lo, hi):
    """x(R,2,L) -> out(R,L) = x[:, 0] sigmoid(x[:, 1])."""
    for r in range(lo, hi):
        values, gate, result = x[r, 0], x[r, 1], out[r]
        for i in range(result.size):
            store(result, i, load(values, i) * sigmoid(load(gate, i)))


@kernel("T[:,::1], T[:,:,::1], T[:,:,::1]", writes="dx", parallel=True)
def glu_backward__halves(dy, x, dx, lo, hi):
    """dy(R,L), x(R,2,L) -> dx(R,2,L)."""
    one = x.dtype.type(1)
    for r in range(lo, hi):
        above, values, gate, dvalues, dgate = dy[r], x[r, 0], x[r, 1], dx[r, 0], dx[r, 1]
        for i in range(above.size):
            s = sigmoid(load(gate, i))
            through = load(above, i) * s
            store(dvalues, i, through)
            store(dgate, i, through * (load(values, i) * (one - s)))
