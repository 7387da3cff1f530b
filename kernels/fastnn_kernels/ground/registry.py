"""What kernels there are: one entry for each, by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .dtypes import PAIRS

_registry: dict[str, KernelSpec] = {}


@dataclass(frozen=True)
class KernelSpec:
    """What the registry knows of a kernel: `op`__`variant`, its back end, signature and the arguments it writes.

    dtypes: the pairs (stored, computed) that it can be compiled for.
    """

    op: str
    variant: str
    backend: str
    signature: str
    writes: tuple[str, ...]
    parallel: bool
    kernel: Any
    dtypes: tuple[tuple[str, str], ...] = tuple((str(stored), str(computed)) for stored, computed in PAIRS)

    @property
    def name(self) -> str:
        """Return the kernel's full name."""
        return f"{self.op}__{self.variant}"


def register(spec: KernelSpec) -> None:
    """Add a kernel."""
    _registry[spec.name] = spec


def specs() -> list[KernelSpec]:
    """Return every kernel that has been defined, in order of definition."""
    return list(_registry.values())
