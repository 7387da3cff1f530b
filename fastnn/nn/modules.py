"""PyTorch's places for layers, for programs that import from there: ``from fastnn.nn.modules.conv import _ConvNd``.

Each is a module of its own that holds the layers which PyTorch keeps in it.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from fastnn import nn
from fastnn.nn import *  # noqa: F403

from . import conv as _conv
from . import conv_transpose as _conv_transpose
from . import loss as _loss
from . import norm as _norm

__all__ = [name for name in nn.__all__ if name not in ("functional", "init", "modules", "utils")]


def _ntuple(n: int) -> Any:
    """Give the function that makes a tuple of n of a number, and leaves tuples alone."""

    def parse(x: Any) -> tuple[Any, ...]:
        return tuple(x) if hasattr(x, "__iter__") else (x,) * n

    return parse


def _named(*beginnings: str) -> dict[str, Any]:
    return {name: getattr(nn, name) for name in __all__ if name.startswith(beginnings)}


_PLACES: dict[str, dict[str, Any]] = {
    "activation": {name: getattr(nn, name) for name in nn.activation.__all__}
    | _named("Softm", "LogSoftmax", "PReLU", "RReLU", "GLU"),
    "batchnorm": {"_BatchNorm": _norm._BatchNorm, "_NormBase": _norm._ChannelNorm}
    | _named("BatchNorm", "SyncB", "LazyB"),
    "container": _named("Sequential", "ModuleList", "ModuleDict", "ParameterList", "ParameterDict"),
    "conv": {"_ConvNd": _conv.Filters, "_ConvTransposeNd": _conv_transpose._ConvTranspose} | _named("Conv", "LazyConv"),
    "distance": _named("PairwiseDistance", "CosineSimilarity"),
    "dropout": _named("Dropout", "AlphaDropout", "FeatureAlphaDropout"),
    "flatten": _named("Flatten", "Unflatten"),
    "fold": _named("Fold", "Unfold"),
    "instancenorm": {"_InstanceNorm": _norm._InstanceNorm} | _named("InstanceNorm", "LazyInstanceNorm"),
    "linear": _named("Linear", "LazyLinear", "Bilinear", "Identity"),
    "loss": {"_Loss": _loss._Loss, "_WeightedLoss": _loss._Loss}
    | {name: getattr(nn, name) for name in __all__ if name.endswith("Loss")},
    "module": _named("Module"),
    "normalization": _named("LayerNorm", "GroupNorm", "RMSNorm", "LocalResponseNorm"),
    "padding": {name: getattr(nn, name) for name in __all__ if "Pad" in name},
    "pixelshuffle": _named("PixelShuffle", "PixelUnshuffle"),
    "pooling": {name: getattr(nn, name) for name in __all__ if "Pool" in name or "Unpool" in name},
    "sparse": _named("Embedding"),
    "upsampling": _named("Upsampl"),
    "utils": {
        "_ntuple": _ntuple, "_single": _ntuple(1), "_pair": _ntuple(2), "_triple": _ntuple(3), "_quadruple": _ntuple(4),
    },
}  # fmt: skip

for _name, _content in _PLACES.items():
    _place = ModuleType(f"{__name__}.{_name}", f"What PyTorch keeps in torch.nn.modules.{_name}.")
    vars(_place).update(_content)
    globals()[_name] = sys.modules[_place.__name__] = _place
