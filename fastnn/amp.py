"""PyTorch's mixed precision, which here is float32: models compute as they are, losses are not scaled."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any


class autocast:
    """Change nothing, whatever `dtype` is asked for: operations compute in the dtype of their arguments.

    A ``with`` block or a decorator.
    """

    def __init__(self, device_type: Any = "cpu", dtype: Any = None, enabled: bool = True, **ignored: Any) -> None:
        pass

    def __enter__(self) -> autocast:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Decorate a function."""

        @wraps(function)
        def same(*args: Any, **options: Any) -> Any:
            return function(*args, **options)

        return same


class GradScaler:
    """Scale nothing: `scale` gives the loss as it is, `step` lets the optimizer step."""

    def __init__(self, *device: Any, **ignored: Any) -> None:
        pass

    def scale(self, outputs: Any) -> Any:
        """Give the loss as it is."""
        return outputs

    def unscale_(self, optimizer: Any) -> None:
        """Do nothing: gradients are not scaled."""

    def step(self, optimizer: Any, *args: Any, **options: Any) -> Any:
        """Let the optimizer step."""
        return optimizer.step(*args, **options)

    def update(self, new_scale: Any = None) -> None:
        """Do nothing: there is no scale."""

    def get_scale(self) -> float:
        """Give 1."""
        return 1.0

    def is_enabled(self) -> bool:
        """Tell that nothing is scaled."""
        return False

    def state_dict(self) -> dict[str, Any]:
        """Give an empty dictionary."""
        return {}

    def load_state_dict(self, state_dict: Any) -> None:
        """Do nothing."""
