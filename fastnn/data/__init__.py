"""Data sets, splits and batches: everything here is plain NumPy arrays."""

from fastnn.data.augmentation import random_shift
from fastnn.data.batches import Batches
from fastnn.data.digits import mnist, mnist_5k
from fastnn.data.idx import read_idx
from fastnn.data.splits import split

__all__ = ["Batches", "mnist", "mnist_5k", "random_shift", "read_idx", "split"]
