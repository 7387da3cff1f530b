"""The gradients of a small linear layer in one call: apart, its four products cost more to ask for than to compute."""

from ...ground.jit import jitted, kernel
from ..activation import FUNCTIONS
from ..vector.simd import address, itemsize, part, stack_bytes
from .epilogue import CODES
from .kernels import STACK, ZEROS, multiply

RELU, LEAKY_RELU, SIGMOID, TANH = (CODES[name] for name in ("relu", "leaky_relu", "sigmoid", "tanh"))
(SLOPE,) = FUNCTIONS["leaky_relu"].usual_parameters
relu_gradient, leaky_relu_gradient = FUNCTIONS["relu"].backward, FUNCTIONS["leaky_relu"].backward
sigmoid_gradient, tanh_gradient = FUNCTIONS["sigmoid"].backward, FUNCTIONS["tanh"].backward


@kernel("S[:,::1], S[:,::1], S[:,::1], S[:,::1], int, int, T[:,::1], S[:,::1], S[::1], S[:,::1]", writes="dz dw db dx")
def linear_backward__small(dy, y, x, w, code, needs, dz, dw, db, dx):
    """dy(M,N), y(M,N), x(M,K), w(N,K) -> dz(M,N), and of dx(M,K), dw(N,K), db(N) those that bits 1, 2, 4 ask for."""
    gradient = dz
    if code:
        _activation_gradient(code, part(dy, 0, dy.size), part(y, 0, dy.size), part(dz, 0, dy.size))
    else:
        gradient = dy
    m, n, k = dy.shape[0], dy.shape[1], x.shape[1]
    g = address(gradient)
    if needs & 1:
        _product(dx.dtype.type(0), m, k, n, g, n, 1, address(w), k, address(dx))
    if needs & 2:
        _product(dx.dtype.type(0), n, k, m, g, 1, n, address(x), k, address(dw))
    if needs & 4:
        db[:] = 0
        for i in range(m):
            for j in range(n):
                db[j] += gradient[i, j]


@jitted
def _product(number, m, n, k, a, a_row, a_col, b, b_row, c):
    multiply(
        number, m, n, k, a, a_row, a_col, b, b_row, 1, 0, 0, address(ZEROS), 0, 0, c, n, 0,
        stack_bytes(STACK), STACK // itemsize(number),
    )  # fmt: skip


@jitted
def _activation_gradient(code, dy, y, dz):
    if code == RELU:
        for i in range(dz.size):
            dz[i] = relu_gradient(dy[i], y[i])
    elif code == LEAKY_RELU:
        for i in range(dz.size):
            dz[i] = leaky_relu_gradient(dy[i], y[i], y.dtype.type(SLOPE))
    elif code == SIGMOID:
        for i in range(dz.size):
            dz[i] = sigmoid_gradient(dy[i], y[i])
    elif code == TANH:
        for i in range(dz.size):
            dz[i] = tanh_gradient(dy[i], y[i])
