"""Settings and small tools that PyTorch has at its top level, and what stands for those that mean nothing here."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import _tensor
from fastnn._device import check_device
from fastnn._dtypes import Dtype, dtype_for, dtype_of, set_default_dtype
from fastnn.tape import unwrap

finfo, iinfo, dtype = np.finfo, np.iinfo, np.dtype
strided, channels_last, channels_last_3d = "strided", "channels_last", "channels_last_3d"
contiguous_format, preserve_format = "contiguous_format", "preserve_format"

__all__ = [
    "are_deterministic_algorithms_enabled",
    "can_cast",
    "channels_last",
    "channels_last_3d",
    "compile",
    "contiguous_format",
    "dtype",
    "finfo",
    "get_default_device",
    "get_float32_matmul_precision",
    "iinfo",
    "preserve_format",
    "promote_types",
    "result_type",
    "set_default_device",
    "set_default_tensor_type",
    "set_float32_matmul_precision",
    "set_printoptions",
    "strided",
    "use_deterministic_algorithms",
]


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Say how tensors are shown: digits, when and how far long ones are cut, the length of lines.

    profile: "default", "short" (two digits, two items) or "full" (never cut). sci_mode=False: no exponents.
    """
    profiles: dict[str | None, dict[str, Any]] = {
        None: {},
        "default": {"precision": 4, "threshold": 1000, "edgeitems": 3},
        "short": {"precision": 2, "threshold": 1000, "edgeitems": 2},
        "full": {"precision": 4, "threshold": 1 << 62},
    }
    if profile not in profiles:
        raise ValueError(f"set_printoptions: profile must be 'default', 'short' or 'full', got {profile!r}")
    given = {
        "precision": precision,
        "threshold": threshold,
        "edgeitems": edgeitems,
        "max_line_width": linewidth,
        "suppress_small": None if sci_mode is None else not sci_mode,
    }
    options = {**profiles[profile], **{name: value for name, value in given.items() if value is not None}}
    if options.get("threshold", 0) == float("inf"):
        options["threshold"] = 1 << 62
    _tensor.PRINTING.update(options)


def result_type(tensor1: Any, tensor2: Any) -> Dtype:
    """Give the dtype that two tensors or numbers have together, by PyTorch's rules."""
    from fastnn.functional.promotion import promoted

    made = promoted("result_type", tensor1=unwrap(tensor1), tensor2=unwrap(tensor2))
    if not any(isinstance(x, np.ndarray) for x in made):
        return dtype_for("result_type", None, *made)
    return np.result_type(*made)


def promote_types(type1: Any, type2: Any) -> Dtype:
    """Give the smallest dtype that holds numbers of both: of integers and floats, the floats'."""
    first, second = dtype_of("promote_types", type1), dtype_of("promote_types", type2)
    if (first.kind == "f") != (second.kind == "f"):
        return first if first.kind == "f" else second
    return np.promote_types(first, second)


def can_cast(from_: Any, to: Any) -> bool:
    """Tell whether numbers of one dtype may become those of another: floats never integers, numbers never bool."""
    source, target = dtype_of("can_cast", from_), dtype_of("can_cast", to)
    return _rank(source) <= _rank(target)


def _rank(kind: Dtype) -> int:
    return {"b": 0, "u": 1, "i": 1, "f": 2}[kind.kind]


def compile(model: Any = None, **options: Any) -> Any:
    """Give the model as it is: its kernels are compiled already. Also as a decorator with options."""
    return model if model is not None else lambda function: function


def get_default_device() -> Any:
    """Give the device that tensors are made on: the CPU."""
    from fastnn._device import CPU

    return CPU


def set_default_device(device: Any) -> None:
    """Accept the CPU. Raises RuntimeError for others."""
    check_device("set_default_device", device)


def set_default_tensor_type(t: Any) -> None:
    """Make a type's dtype that of Python's floats: "torch.FloatTensor" or "torch.DoubleTensor", or a dtype."""
    name = t.rpartition(".")[2] if isinstance(t, str) else getattr(t, "__name__", t)
    set_default_dtype({"FloatTensor": np.float32, "DoubleTensor": np.float64}.get(name, t))


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Do nothing: all results have the same bits whatever the number of threads."""


def are_deterministic_algorithms_enabled() -> bool:
    """Tell that they are: see `use_deterministic_algorithms`."""
    return True


def set_float32_matmul_precision(precision: str) -> None:
    """Accept "highest", "high" and "medium": float32 is always computed in float32."""
    if precision not in ("highest", "high", "medium"):
        raise ValueError(f"set_float32_matmul_precision: expected 'highest', 'high' or 'medium', got {precision!r}")


def get_float32_matmul_precision() -> str:
    """Give "highest": float32 is always computed in float32."""
    return "highest"
