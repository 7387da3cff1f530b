"""Activation layers: one for every function of `fastnn_kernels.cpu.activation` that has a layer's name there.

`fused_name` is the name under which `linear` and `conv2d` apply an activation themselves; None if they cannot.
"""

from __future__ import annotations

from inspect import Parameter, Signature
from typing import Any

from fastnn import functional as F
from fastnn_kernels import ACTIVATIONS, FUSED

from .module import Module


class Activation(Module):
    """An elementwise function as a layer. Its parameters are attributes, and may be set at any time.

    inplace: write the result over the input where no gradient needs it, as `functional` does.
    """

    function = "identity"  # its name in `functional`
    parameters_of_function: dict[str, float | None] = {}  # noqa: RUF012  (never changed)

    __signature__: Signature
    inplace: bool

    def __init__(self, *values: float, **named: float) -> None:
        super().__init__()
        try:
            bound = self.__signature__.bind(*values, **named)
        except TypeError as error:
            raise TypeError(f"{type(self).__name__}: {error}; it takes {self.__signature__}") from None
        bound.apply_defaults()
        for name, value in bound.arguments.items():
            setattr(self, name, value)

    @property
    def fused_name(self) -> str | None:  # type: ignore[override]
        """Return the kernels' name, if its parameters are those that they know."""
        if self.function not in FUSED:
            return None
        for name, usual in self.parameters_of_function.items():
            if getattr(self, name) != usual:
                return None
        return self.function

    def forward(self, input: Any) -> Any:
        """Compute the layer."""
        parameters = [getattr(self, name) for name in self.parameters_of_function]
        if self.inplace:
            return getattr(F, self.function)(input, *parameters, inplace=True)
        return getattr(F, self.function)(input, *parameters)

    def extra_repr(self) -> str:
        """Give the arguments to show in the representation."""
        shown = [f"{name}={getattr(self, name)}" for name in self.parameters_of_function]
        return ", ".join(shown + ["inplace=True"] * self.inplace)


class GELU(Module):
    """x times the probability that a normal variable is below x; approximate="tanh" for the one of GPT-2."""

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        if approximate not in ("none", "tanh"):
            raise ValueError(f"GELU: approximate must be 'none' or 'tanh', got {approximate!r}")
        self.approximate = approximate

    @property
    def fused_name(self) -> str | None:  # type: ignore[override]
        """Return the kernels' name, if they know this form."""
        return "gelu" if self.approximate == "none" else None

    def forward(self, input: Any) -> Any:
        """Compute the layer."""
        return F.gelu(input, self.approximate)

    def extra_repr(self) -> str:
        """Give the arguments to show in the representation."""
        return f"approximate={self.approximate!r}"


class Identity(Module):
    """The input itself. Takes any arguments, so that it can stand in for any layer."""

    fused_name = None

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__()

    def forward(self, input: Any) -> Any:
        """Compute the layer."""
        return input


def _layer(name: str, function: str) -> type[Activation]:
    """Make the layer of an entry."""
    spec = ACTIVATIONS[function]
    arguments = [
        Parameter(key, Parameter.POSITIONAL_OR_KEYWORD, default=Parameter.empty if usual is None else usual)
        for key, usual in spec.parameters.items()
    ]
    inplace = Parameter("inplace", Parameter.POSITIONAL_OR_KEYWORD, default=False)
    return type(
        name,
        (Activation,),
        {
            "__doc__": f"{spec.doc[:1].upper()}{spec.doc[1:]}.",
            "__module__": __name__,
            "__signature__": Signature([*arguments, inplace]),
            "function": function,
            "parameters_of_function": spec.parameters,
        },
    )


_layers = {
    spec.layer: _layer(spec.layer, name) for name, spec in ACTIVATIONS.items() if spec.layer not in (None, "GELU")
}
globals().update(_layers)
__all__ = ["GELU", "Identity", *_layers]  # noqa: PLE0604
