"""PyTorch's tracer of models, as far as model definitions mention it: nothing is traced here."""

from __future__ import annotations

from typing import Any


def wrap(fn_or_name: Any) -> Any:
    """Give a function, or the name of one, as it is: in PyTorch this keeps it whole in a trace."""
    return fn_or_name
