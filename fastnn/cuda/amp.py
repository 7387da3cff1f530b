"""The older place of `fastnn.amp`; its `autocast` takes no kind of device."""

from typing import Any

from fastnn.amp import GradScaler
from fastnn.amp import autocast as _autocast

__all__ = ["GradScaler", "autocast"]


class autocast(_autocast):
    """Change nothing: see `fastnn.amp.autocast`."""

    def __init__(self, enabled: bool = True, dtype: Any = None, cache_enabled: bool = True) -> None:
        super().__init__("cuda", dtype, enabled)
