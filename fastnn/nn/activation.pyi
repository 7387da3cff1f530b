# What tests/test_generated.py makes of the table in fastnn_kernels/formulas/activation.py, for editors.
from typing import Any

from .module import Module

__all__ = ['GELU', 'Identity', 'ReLU', 'ReLU6', 'LeakyReLU', 'Hardtanh', 'Hardsigmoid', 'Hardswish', 'Hardshrink', 'Softshrink', 'Threshold', 'BinaryStep', 'BipolarStep', 'Sigmoid', 'LogSigmoid', 'Tanh', 'Tanhshrink', 'Softsign', 'ELU', 'SELU', 'CELU', 'Softplus', 'SiLU', 'Mish']

class Activation(Module):
    inplace: bool
    def forward(self, input: Any) -> Any: ...

class Identity(Module):
    def __init__(self, *arguments: Any, **named: Any) -> None: ...
    def forward(self, input: Any) -> Any: ...

class GELU(Module):
    approximate: str
    def __init__(self, approximate: str = "none") -> None: ...
    def forward(self, input: Any) -> Any: ...

class ReLU(Activation):
    def __init__(self, inplace: bool = False) -> None: ...

class ReLU6(Activation):
    def __init__(self, inplace: bool = False) -> None: ...

class LeakyReLU(Activation):
    negative_slope: float
    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None: ...

class Hardtanh(Activation):
    min_val: float
    max_val: float
    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None: ...

class Hardsigmoid(Activation):
    def __init__(self, inplace: bool = False) -> None: ...

class Hardswish(Activation):
    def __init__(self, inplace: bool = False) -> None: ...

class Hardshrink(Activation):
    lambd: float
    def __init__(self, lambd: float = 0.5, inplace: bool = False) -> None: ...

class Softshrink(Activation):
    lambd: float
    def __init__(self, lambd: float = 0.5, inplace: bool = False) -> None: ...

class Threshold(Activation):
    threshold: float
    value: float
    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None: ...

class BinaryStep(Activation):
    theta: float
    def __init__(self, theta: float = 0.0, inplace: bool = False) -> None: ...

class BipolarStep(Activation):
    theta: float
    def __init__(self, theta: float = 0.0, inplace: bool = False) -> None: ...

class Sigmoid(Activation):
    def __init__(self, inplace: bool = False) -> None: ...

class LogSigmoid(Activation):
    def __init__(self, inplace: bool = False) -> None: ...

class Tanh(Activation):
    def __init__(self, inplace: bool = False) -> None: ...

class Tanhshrink(Activation):
    def __init__(self, inplace: bool = False) -> None: ...

class Softsign(Activation):
    def __init__(self, inplace: bool = False) -> None: ...

class ELU(Activation):
    alpha: float
    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None: ...

class SELU(Activation):
    def __init__(self, inplace: bool = False) -> None: ...

class CELU(Activation):
    alpha: float
    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None: ...

class Softplus(Activation):
    beta: float
    threshold: float
    def __init__(self, beta: float = 1.0, threshold: float = 20.0, inplace: bool = False) -> None: ...

class SiLU(Activation):
    def __init__(self, inplace: bool = False) -> None: ...

class Mish(Activation):
    def __init__(self, inplace: bool = False) -> None: ...
