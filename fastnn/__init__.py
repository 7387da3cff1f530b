"""Neural networks on Numba kernels that are compiled for your CPU: tensors, layers, training.

`fastnn.kernels` has the kernels on plain arrays, `fastnn.functional` the differentiable operations, `fastnn.nn` the
layers, `fastnn.optim` the optimizers, `fastnn.train` the training loop, `fastnn.data` data sets and loaders.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import fastnn_kernels as kernels
from fastnn import functional, nn, optim
from fastnn._config import show_config
from fastnn._version import __version__
from fastnn.random import manual_seed
from fastnn.tape import (
    Array,
    Tensor,
    differentiable,
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from fastnn_kernels import (
    flush_denormal,
    get_flush_denormal,
    get_num_threads,
    set_flush_denormal,
    set_num_threads,
    threads,
)

if TYPE_CHECKING:
    from fastnn import data, utils
    from fastnn.train.saving import load, save
    from fastnn.train.warmup import warmup

__all__ = [
    "Array",
    "Tensor",
    "__version__",
    "data",
    "differentiable",
    "enable_grad",
    "flush_denormal",
    "functional",
    "get_flush_denormal",
    "get_num_threads",
    "inference_mode",
    "is_grad_enabled",
    "kernels",
    "load",
    "manual_seed",
    "nn",
    "no_grad",
    "optim",
    "save",
    "set_flush_denormal",
    "set_grad_enabled",
    "set_num_threads",
    "show_config",
    "threads",
    "utils",
    "warmup",
]


def __getattr__(name: str) -> Any:
    """Import `data`, `train`, `utils`, `save`, `load`, `warmup` and what they need when they are first asked for."""
    if name in ("data", "train", "utils"):
        return import_module(f"fastnn.{name}")
    if name == "warmup":
        return import_module("fastnn.train.warmup").warmup
    if name in ("load", "save"):
        return getattr(import_module("fastnn.train.saving"), name)
    raise AttributeError(f"module 'fastnn' has no attribute {name!r}")
