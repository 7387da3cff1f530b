"""Making a layer whose weights will be overwritten."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..module import Module


def skip_init(module_cls: Callable[..., Module], *args: Any, **kwargs: Any) -> Module:
    """Make a module. PyTorch leaves its weights as they are in memory; here they are drawn, which is as fast."""
    kwargs.pop("device", None)
    return module_cls(*args, **kwargs)
