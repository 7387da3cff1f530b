"""The functions that stand at the top level of `fastnn`, as PyTorch's do: those of `names` that there are."""

from __future__ import annotations

from typing import Any

import fastnn.functional as functional
from fastnn.tape import Tensor

from . import names
from .methods import TOP_LEVEL

_known: dict[str, Any] = {**{name: getattr(functional, name) for name in functional.__all__}, **TOP_LEVEL}
_known.update({alias: _known[name] for alias, name in names.ALIASES.items() if name in _known})
_wanted = names.BOTH | names.TOP_LEVEL | names.ALIASES.keys()
_found = {name: function for name, function in _known.items() if name in _wanted or name in TOP_LEVEL}
# as functions, too: relu_(x) is x.relu_()
_found |= {f"{name}_": getattr(Tensor, f"{name}_") for name in _found if hasattr(Tensor, f"{name}_")}
globals().update(_found)
__all__ = sorted(_found)  # noqa: PLE0605
