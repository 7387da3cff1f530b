"""Operations on images: padding, resampling, augmentation, shuffles."""

from .augment import erase, mix, noise, uniform, warp
from .pad import PAD_MODES, pad, pad_backward
from .resize import interpolate, interpolate_backward
from .sample import SAMPLE_MODES, SAMPLE_PADDINGS, grid_sample, grid_sample_backward
from .shuffle import channel_shuffle, pixel_shuffle, pixel_unshuffle

__all__ = [
    "PAD_MODES",
    "SAMPLE_MODES",
    "SAMPLE_PADDINGS",
    "channel_shuffle",
    "erase",
    "grid_sample",
    "grid_sample_backward",
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
