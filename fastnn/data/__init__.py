"""Data sets, splits, batches and augmentation: everything here is plain NumPy arrays."""

from fastnn.data.augmentation import (
    Affine,
    Compose,
    Crop,
    Cutout,
    Elastic,
    Flip,
    Mixup,
    Noise,
    Rotate,
    Scale,
    Shear,
    Shift,
    Transform,
)
from fastnn.data.digits import mnist, mnist_5k
from fastnn.data.idx import read_idx
from fastnn.data.loader import DataLoader, balanced_weights
from fastnn.data.points import make_blobs, make_circles, make_moons, make_spirals
from fastnn.data.splits import KFold, StratifiedKFold, split, train_test_split

__all__ = [
    "Affine",
    "Compose",
    "Crop",
    "Cutout",
    "DataLoader",
    "Elastic",
    "Flip",
    "KFold",
    "Mixup",
    "Noise",
    "Rotate",
    "Scale",
    "Shear",
    "Shift",
    "StratifiedKFold",
    "Transform",
    "balanced_weights",
    "make_blobs",
    "make_circles",
    "make_moons",
    "make_spirals",
    "mnist",
    "mnist_5k",
    "read_idx",
    "split",
    "train_test_split",
]
