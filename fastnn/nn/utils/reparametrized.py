"""Weight and spectral normalization with PyTorch's older names: weight_g, weight_v; weight_orig, weight_u, weight_v."""

from __future__ import annotations

from typing import Any, TypeVar

from fastnn.tape import no_grad, wrap

from ..module import Buffer, Module, Parameter
from .normalized import Spectral, direction_and_length, scaled
from .parametrizations import axis_of

Layer = TypeVar("Layer", bound=Module)


class _Normalized:
    """A forward pre-hook that computes a weight from parameters beside it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def compute(self, module: Any) -> Any:
        raise NotImplementedError

    def parts(self) -> tuple[str, ...]:
        raise NotImplementedError

    def __call__(self, module: Any, inputs: Any) -> None:
        vars(module)[self.name] = self.compute(module)


class _Weight(_Normalized):
    def __init__(self, name: str, dim: int | None) -> None:
        super().__init__(name)
        self.dim = dim

    def compute(self, module: Any) -> Any:
        g, v = (getattr(module, part) for part in self.parts())
        return scaled(g, v, self.dim)

    def parts(self) -> tuple[str, ...]:
        return f"{self.name}_g", f"{self.name}_v"


class _Spectral(_Normalized):
    def __init__(self, name: str, spectral: Spectral) -> None:
        super().__init__(name)
        self.spectral = spectral

    def compute(self, module: Any) -> Any:
        spectral = self.spectral
        original, spectral._u, spectral._v = (getattr(module, part) for part in self.parts())
        spectral.training = module.training
        value = spectral(original)
        vars(module)[f"{self.name}_u"], vars(module)[f"{self.name}_v"] = spectral._u, spectral._v
        return value

    def parts(self) -> tuple[str, ...]:
        return f"{self.name}_orig", f"{self.name}_u", f"{self.name}_v"


def _weight_of(function: str, module: Module, name: str) -> Parameter:
    weight = vars(module).get(name)
    if not isinstance(weight, Parameter):
        raise ValueError(f"{function}: {type(module).__name__} has no parameter {name!r}")
    return weight


def _begin(module: Module, hook: _Normalized, values: tuple[Any, ...]) -> None:
    del vars(module)[hook.name]
    for name, value in zip(hook.parts(), values, strict=True):
        setattr(module, name, value)
    with no_grad():
        hook(module, ())
    module.register_forward_pre_hook(hook)


def _end(module: Module, kind: type[_Normalized], name: str, function: str) -> None:
    hooks = {} if module._hooks is None else module._hooks.before
    for handle, (hook, _, _) in list(hooks.items()):
        if isinstance(hook, kind) and hook.name == name:
            training, module.training = module.training, False
            with no_grad():
                value = hook.compute(module)
            module.training = training
            handle.remove()
            for part in hook.parts():
                delattr(module, part)
            del vars(module)[name]
            setattr(module, name, Parameter(value))
            return
    raise ValueError(f"{function}: {type(module).__name__} has no normalized {name!r}")


def weight_norm(module: Layer, name: str = "weight", dim: int | None = 0) -> Layer:
    """Let a weight be ``g * v / |v|``, a length and a direction that are learned apart (Salimans & Kingma, 2016).

    Lengths are those of the parts along `dim`, or of the whole (None); the parameters are `weight_g` and `weight_v`.
    The weight is computed when the module is called. Gives the module.
    """
    weight = _weight_of("weight_norm", module, name)
    with no_grad():
        g, v = direction_and_length(weight, dim)
    _begin(module, _Weight(name, dim), (Parameter(g), Parameter(v)))
    return module


def remove_weight_norm(module: Layer, name: str = "weight") -> Layer:
    """Make the weight one parameter again, with its present values. Gives the module."""
    _end(module, _Weight, name, "remove_weight_norm")
    return module


def spectral_norm(
    module: Layer, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Layer:
    """Let a weight be divided by its largest singular value, found by power iterations (Miyato et al., 2018).

    The parameter is `weight_orig`; buffers `weight_u` and `weight_v` are near its first singular vectors. In training
    every call of the module does `n_power_iterations`. `dim` as in `parametrizations.spectral_norm`. Gives the module.
    """
    weight = _weight_of("spectral_norm", module, name)
    spectral = Spectral(weight, n_power_iterations, eps, axis_of(module, dim), v_first=True)
    vectors = (Buffer(wrap(x._data)) for x in (spectral._u, spectral._v))
    _begin(module, _Spectral(name, spectral), (weight, *vectors))
    return module


def remove_spectral_norm(module: Layer, name: str = "weight") -> Layer:
    """Make the weight one parameter again, with its present values. Gives the module."""
    _end(module, _Spectral, name, "remove_spectral_norm")
    return module
