"""Data sets, splits, batches and augmentation, mostly of plain NumPy arrays; `fastnn.utils.data` is a part of it."""

from fastnn.data.arguments import balanced_weights
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
from fastnn.data.collate import default_collate, default_convert
from fastnn.data.datasets import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)
from fastnn.data.digits import mnist, mnist_5k
from fastnn.data.idx import read_idx
from fastnn.data.labels import LabelEncoder
from fastnn.data.loader import DataLoader
from fastnn.data.points import make_blobs, make_circles, make_moons, make_spirals
from fastnn.data.samplers import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from fastnn.data.splits import KFold, StratifiedKFold, split, train_test_split
from fastnn.data.workers import get_worker_info

__all__ = [
    "Affine",
    "BatchSampler",
    "ChainDataset",
    "Compose",
    "ConcatDataset",
    "Crop",
    "Cutout",
    "DataLoader",
    "Dataset",
    "Elastic",
    "Flip",
    "IterableDataset",
    "KFold",
    "LabelEncoder",
    "Mixup",
    "Noise",
    "RandomSampler",
    "Rotate",
    "Sampler",
    "Scale",
    "SequentialSampler",
    "Shear",
    "Shift",
    "StackDataset",
    "StratifiedKFold",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "Transform",
    "WeightedRandomSampler",
    "balanced_weights",
    "default_collate",
    "default_convert",
    "get_worker_info",
    "make_blobs",
    "make_circles",
    "make_moons",
    "make_spirals",
    "mnist",
    "mnist_5k",
    "random_split",
    "read_idx",
    "split",
    "train_test_split",
]
