"""Activations, each with its gradient; see `formula`.

NaN must come out as NaN. Comparisons with it are false, so a formula clamps by "the bound if x is beyond it, else x".
"""

from ..cpu.math import elementary, special
from ..cpu.vector.simd import constant, fma
from .formula import Formula, formula

# ------------------------------------------------------------------------------- piecewise linear


@formula(ulp=(0, 0), cheap=True)
def identity(x):
    """x, also called the linear activation"""
    return x


@identity.gradient
def _(dy, y):
    return dy


@formula(layer="ReLU", ulp=(0, 0), cheap=True)
def relu(x):
    """max(x, 0)"""
    return type(x)(0) if x < type(x)(0) else x


@relu.gradient
def _(dy, y):
    return type(y)(0) if y <= type(y)(0) else dy


@formula(layer="ReLU6", ulp=(0, 0), cheap=True)
def relu6(x):
    """min(max(x, 0), 6)"""
    T = type(x)
    y = T(0) if x < T(0) else x
    return T(6) if y > T(6) else y


@relu6.gradient
def _(dy, y):
    T = type(y)
    return T(0) if y <= T(0) or y >= T(6) else dy


@formula(layer="LeakyReLU", ulp=(0.5, 0.5), cheap=True)
def leaky_relu(x, negative_slope=0.01):
    """x above 0, negative_slope x below

    Its gradient may be given the output in the input's place if negative_slope is at least 0.
    """
    return x if x > type(x)(0) else x * negative_slope


@leaky_relu.gradient
def _(dy, x, negative_slope):
    return dy if x > type(x)(0) else dy * negative_slope


@formula(layer="Hardtanh", ulp=(0, 0), cheap=True)
def hardtanh(x, min_val=-1.0, max_val=1.0):
    """x, limited to min_val .. max_val"""
    y = min_val if x < min_val else x
    return max_val if y > max_val else y


@hardtanh.gradient
def _(dy, x, min_val, max_val):
    return type(x)(0) if x <= min_val or x >= max_val else dy


@formula(layer="Hardsigmoid", ulp=(1, 1), cheap=True)
def hardsigmoid(x):
    """min(max(x + 3, 0), 6) / 6"""
    T = type(x)
    y = x + T(3)
    y = T(0) if y < T(0) else y
    y = T(6) if y > T(6) else y
    return y / T(6)


@hardsigmoid.gradient
def _(dy, x):
    T = type(x)
    return T(0) if x <= T(-3) or x >= T(3) else dy / T(6)


@formula(layer="Hardswish", ulp=(1.9, 1.9), cheap=True)
def hardswish(x):
    """x min(max(x + 3, 0), 6) / 6"""
    T = type(x)
    y = x + T(3)
    y = T(0) if y < T(0) else y
    return x if y > T(6) else x * (y / T(6))


@hardswish.gradient
def _(dy, x):
    T = type(x)
    slope = x / T(3) + T(0.5)
    slope = T(0) if x < T(-3) else slope
    return dy if x > T(3) else dy * slope


@formula(layer="Hardshrink", ulp=(0, 0), cheap=True)
def hardshrink(x, lambd=0.5):
    """x, and 0 from -lambd to lambd"""
    return type(x)(0) if abs(x) <= lambd else x


@hardshrink.gradient
def _(dy, x, lambd):
    return type(x)(0) if abs(x) <= lambd else dy


@formula(layer="Softshrink", ulp=(0.5, 0.5), cheap=True)
def softshrink(x, lambd=0.5):
    """x moved towards 0 by lambd, and 0 from -lambd to lambd"""
    T = type(x)
    y = x + lambd if x < T(0) else x - lambd
    return T(0) if abs(x) <= lambd else y


@softshrink.gradient
def _(dy, x, lambd):
    return type(x)(0) if abs(x) <= lambd else dy


@formula(layer="Threshold", ulp=(0, 0), cheap=True)
def threshold(x, threshold, value):
    """x above the threshold, else value"""
    return value if x <= threshold else x


@threshold.gradient
def _(dy, x, threshold, value):
    return type(x)(0) if x <= threshold else dy


@formula(layer="BinaryStep", ulp=(0, 0), cheap=True)
def binary_step(x, theta=0.0):
    """1 from theta on, 0 below

    Its gradient is 0 everywhere: no network learns through it.
    """
    T = type(x)
    y = T(0) if x < theta else x
    return T(1) if x >= theta else y


@binary_step.gradient
def _(dy, x, theta):
    return type(x)(0)


@formula(layer="BipolarStep", ulp=(0, 0), cheap=True)
def bipolar_step(x, theta=0.0):
    """1 from theta on, -1 below

    Its gradient is 0 everywhere: no network learns through it.
    """
    T = type(x)
    y = T(-1) if x < theta else x
    return T(1) if x >= theta else y


@bipolar_step.gradient
def _(dy, x, theta):
    return type(x)(0)


# ------------------------------------------------------------------------------- sigmoids


@formula(layer="Sigmoid", ulp=(1.75, 1.7))
def sigmoid(x):
    """1 / (1 + e^-x)"""
    return elementary.sigmoid(x)


@sigmoid.gradient
def _(dy, y):
    return dy * (y * (type(y)(1) - y))


@formula(layer="LogSigmoid", ulp=(1.95, 1.8))
def logsigmoid(x):
    """log(1 / (1 + e^-x))"""
    return -elementary.softplus(-x)


@logsigmoid.gradient
def _(dy, x):
    return dy * elementary.logistic(-x)


@formula(layer="Tanh", ulp=(1.75, 1.9))
def tanh(x):
    """the hyperbolic tangent"""
    return elementary.tanh(x)


@tanh.gradient
def _(dy, y):
    # as a product, because 1 - y^2 would lose digits near 1
    return dy * ((type(y)(1) - y) * (type(y)(1) + y))


@formula(layer="Tanhshrink", ulp=(1.85, 1.9))
def tanhshrink(x):
    """x - tanh(x)"""
    return special.tanhshrink(x)


@tanhshrink.gradient
def _(dy, x):
    t = elementary.tanh(x)
    return dy * (t * t)


@formula(layer="Softsign", ulp=(1.5, 1.5), cheap=True)
def softsign(x):
    """x / (1 + |x|)"""
    return x / (type(x)(1) + abs(x))  # NaN at infinity, as in PyTorch


@softsign.gradient
def _(dy, x):
    T = type(x)
    a = T(1) + abs(x)
    return dy / (a * a)


# ------------------------------------------------------------------------------- smooth rectifiers


@formula(layer="ELU", ulp=(0.95, 1.2))
def elu(x, alpha=1.0):
    """x above 0, alpha (e^x - 1) below (Clevert et al., 2015)"""
    return x if x >= type(x)(0) else alpha * elementary.expm1_below_0(x)


@elu.gradient
def _(dy, x, alpha):
    return dy if x > type(x)(0) else dy * (alpha * elementary.exp(x))


# scale, and scale times alpha as a sum of two
SELU_SCALE = constant(1.0507010221481323, 1.0507009873554805)
SELU_BELOW = constant(1.7580993175506592, 1.7580993408473768)
SELU_BELOW_REST = constant(2.3296717444054593e-08, 1.41535193800845e-17)


@formula(layer="SELU", ulp=(1.75, 1.6))
def selu(x):
    """1.0507 x above 0, 1.7581 (e^x - 1) below (Klambauer et al., 2017)"""
    e = elementary.expm1_below_0(x)
    return SELU_SCALE(x) * x if x > type(x)(0) else fma(SELU_BELOW(x), e, SELU_BELOW_REST(x) * e)


@selu.gradient
def _(dy, x):
    return dy * SELU_SCALE(x) if x > type(x)(0) else dy * (SELU_BELOW(x) * elementary.exp(x))


@formula(layer="CELU", ulp=(0.95, 1.3))
def celu(x, alpha=1.0):
    """x above 0, alpha (e^(x / alpha) - 1) below (Barron, 2017)"""
    return x if x >= type(x)(0) else alpha * elementary.expm1_below_0(x / alpha)


@celu.gradient
def _(dy, x, alpha):
    return dy if x > type(x)(0) else dy * elementary.exp(x / alpha)


@formula(layer="Softplus", ulp=(1.95, 1.8))
def softplus(x, beta=1.0, threshold=20.0):
    """log(1 + e^(beta x)) / beta, and x where beta x is above the threshold"""
    u = x * beta
    return x if u > threshold else elementary.softplus(u) * (type(x)(1) / beta)


@softplus.gradient
def _(dy, x, beta, threshold):
    u = x * beta
    return dy if u > threshold else dy * elementary.logistic(u)


@formula(layer="SiLU", ulp=(1.8, 1.6))
def silu(x):
    """x / (1 + e^-x), also called swish (Elfwing et al., 2018)"""
    return special.silu(x)


@silu.gradient
def _(dy, x):
    T = type(x)
    s = elementary.logistic(x)
    return dy * fma(x * s, T(1) - s, s)


@formula(layer="Mish", ulp=(1.7, 1.3))
def mish(x):
    """x tanh(log(1 + e^x)) (Misra, 2019)"""
    return special.mish(x)


@mish.gradient
def _(dy, x):
    return dy * special.mish_slope(x)


@formula(layer="GELU", ulp=(1.85, 1.7))
def gelu(x):
    """x times the probability that a normal variable is below x (Hendrycks & Gimpel, 2016)"""
    return special.gelu(x)


@gelu.gradient
def _(dy, x):
    return dy * special.gelu_slope(x)


@formula(ulp=(2, 1.7))
def gelu_tanh(x):
    """x / (1 + e^-u) with u = 2 sqrt(2 / pi) (x + 0.044715 x^3), the form of GPT-2"""
    return special.gelu_tanh(x)


@gelu_tanh.gradient
def _(dy, x):
    return dy * special.gelu_tanh_slope(x)


# ------------------------------------------------------------------------------- functions of mathematics


@formula(ulp=(1.05, 1))
def exp(x):
    """e^x"""
    return elementary.exp(x)


@exp.gradient
def _(dy, y):
    return dy * y


@formula(ulp=(0.92, 0.83))
def log(x):
    """the natural logarithm: -inf at 0, NaN below"""
    return elementary.log(x)


@log.gradient
def _(dy, x):
    return dy / x


@formula(ulp=(1.05, 1))
def erf(x):
    """the error function"""
    return special.erf(x)


@erf.gradient
def _(dy, x):
    return dy * special.erf_slope(x)


for _formula in [value for value in globals().values() if isinstance(value, Formula)]:
    if not hasattr(_formula, "slope"):
        raise TypeError(f"{_formula.name}: has no gradient; add @{_formula.name}.gradient")

FORMULAS = {value.name: value for value in list(globals().values()) if isinstance(value, Formula)}
FUSED = (
    None,
    "relu",
    "leaky_relu",
    "sigmoid",
    "tanh",
    "gelu",
)  # what products and convolutions can apply to their results
