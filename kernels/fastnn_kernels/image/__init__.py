"""Operations on images: padding, resampling, augmentation, shuffles."""

from .augment import erase, mix, noise, uniform, warp
from .pad import PAD_MODES, pad, pad_backward
from .resize import interpolate, interpolate_backward
from .shuffle import channel_shuffle, pixel_shuffle, pixel_unshuffle

__all__ = [
    "PAD_MODES",
    "channel_shuffle",
    "erase",
    "interpolate",
    "interpolate_backward",
    "mix",
    "noise",
    "pad",
    "pad_backward",
    "pixel_shuffle",
    "pixel_unshuffle",
    "uniform",
    "warp",
]
