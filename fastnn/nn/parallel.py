"""What in PyTorch spreads a model over several GPUs; here the model itself."""

from __future__ import annotations

from typing import Any

from .module import Module


class DataParallel(Module):
    """A module that passes its inputs on: on one CPU, kernels use all cores already. Names begin with "module."."""

    def __init__(self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0) -> None:
        super().__init__()
        if not isinstance(module, Module):
            raise TypeError(f"DataParallel: module must be a Module, got {type(module).__name__}")
        self.module = module
        self.device_ids: list[int] = []
        self.dim = dim

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """Compute the module."""
        return self.module(*inputs, **options)


class DistributedDataParallel(DataParallel):
    """The same: there is one process."""
