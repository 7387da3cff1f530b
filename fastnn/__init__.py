"""Neural networks on Numba kernels that are compiled for your CPU: tensors, layers, training.

`fastnn.kernels` has the kernels on plain arrays, `fastnn.functional` the differentiable operations, `fastnn.nn` the
layers, `fastnn.optim` the optimizers, `fastnn.train` the training loop, `fastnn.data` data sets and loaders. Names are
PyTorch's where it has them, so that many scripts run with ``import fastnn as torch``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import fastnn_kernels as kernels
from fastnn import _dtypes, functional, nn, optim
from fastnn._config import show_config
from fastnn._constructors import *  # noqa: F403
from fastnn._device import device
from fastnn._draws import *  # noqa: F403
from fastnn._dtypes import *  # noqa: F403
from fastnn._version import __version__
from fastnn.functional.top_level import *  # noqa: F403
from fastnn.random import (
    Generator,
    default_generator,
    fork_rng,
    get_rng_state,
    initial_seed,
    manual_seed,
    seed,
    set_rng_state,
)
from fastnn.settings import *  # noqa: F403
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
    from fastnn import (
        accelerator,
        amp,
        autograd,
        backends,
        cuda,
        data,
        distributed,
        distributions,
        fx,
        jit,
        linalg,
        mps,
        utils,
        xpu,
    )
    from fastnn.train.saving import load, save
    from fastnn.train.warmup import warmup

__all__ = [
    "Array",
    "Generator",
    "Tensor",
    "__version__",
    "accelerator",
    "amp",
    "autograd",
    "backends",
    "cuda",
    "data",
    "default_generator",
    "device",
    "differentiable",
    "distributed",
    "distributions",
    "enable_grad",
    "flush_denormal",
    "fork_rng",
    "functional",
    "fx",
    "get_flush_denormal",
    "get_num_threads",
    "get_rng_state",
    "inference_mode",
    "initial_seed",
    "is_grad_enabled",
    "jit",
    "kernels",
    "linalg",
    "load",
    "manual_seed",
    "mps",
    "nn",
    "no_grad",
    "optim",
    "save",
    "seed",
    "set_flush_denormal",
    "set_grad_enabled",
    "set_num_threads",
    "set_rng_state",
    "show_config",
    "threads",
    "utils",
    "warmup",
    "xpu",
]

LAZY = {
    "accelerator",
    "amp",
    "autograd",
    "backends",
    "cuda",
    "data",
    "distributed",
    "distributions",
    "fx",
    "jit",
    "linalg",
    "mps",
    "train",
    "utils",
    "xpu",
}


def __getattr__(name: str) -> Any:
    """Import `data`, `train`, `save`, `load`, `warmup` ... and the packages they need when they are first asked for."""
    if name in LAZY:
        return import_module(f"fastnn.{name}")
    if name == "warmup":
        return import_module("fastnn.train.warmup").warmup
    if name in ("load", "save"):
        return getattr(import_module("fastnn.train.saving"), name)
    if name == "autocast":
        return import_module("fastnn.amp").autocast
    if name in _dtypes.ABSENT:
        return _dtypes.ABSENT[name]
    raise AttributeError(f"module 'fastnn' has no attribute {name!r}")
