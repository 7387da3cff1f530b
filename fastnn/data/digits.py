"""Handwritten digits: the 5,000 that ship with the package, and the full MNIST from files you have."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from fastnn.data.idx import read_idx

Array = np.ndarray[Any, Any]


def mnist_5k() -> tuple[Array, Array]:
    """5,000 real MNIST digits, 500 of each class, in random order, always the same.

    They ship with the package (0.8 MB; origin and licence: `MNIST_5K.md` beside the file), so nothing is downloaded.

    Returns
    -------
    images : float32 (5000, 1, 28, 28), in [0, 1]
    labels : int64 (5000,), in 0..9

    Examples
    --------
    >>> x, y = mnist_5k()
    >>> x.shape, x.dtype, y.dtype
    ((5000, 1, 28, 28), dtype('float32'), dtype('int64'))
    """
    with resources.files("fastnn.data").joinpath("mnist_5k.npz").open("rb") as file, np.load(file) as archive:
        images, labels = archive["images"], archive["labels"]
    # sorted by class in the file; NumPy promises that this generator will always draw the same
    order = np.random.RandomState(0).permutation(len(labels))  # noqa: NPY002
    return _scaled(images[order]), labels[order].astype(np.int64)


def mnist(root: str | os.PathLike[str], train: bool = True) -> tuple[Array, Array]:
    """MNIST (or Fashion-MNIST, KMNIST ...) from the four original IDX files.

    Parameters
    ----------
    root : path
        Folder with `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and, for the test set, the same with `t10k`;
        each may end in `.gz` and may have a dot in place of the last hyphen. torchvision's `MNIST/raw` below it is
        found too.
    train : bool
        The 60,000 training digits, or the 10,000 test digits.

    Returns
    -------
    images : float32 (N, 1, 28, 28), in [0, 1]
    labels : int64 (N,)

    Raises
    ------
    FileNotFoundError
        If a file is missing; the message lists the names looked for.
    ValueError
        If a file is truncated or damaged, is not what its name says, or if there are not as many labels as images.
    """
    if not isinstance(root, str | os.PathLike):
        raise TypeError(f"mnist: root must be a string or a path, got {type(root).__name__}")
    part = "train" if train else "t10k"
    image_file = _find(Path(root), f"{part}-images-idx3-ubyte")
    label_file = _find(Path(root), f"{part}-labels-idx1-ubyte")
    images, labels = read_idx(image_file), read_idx(label_file)
    if images.ndim != 3 or images.dtype != np.uint8:
        raise ValueError(f"mnist: {image_file} holds {images.dtype} {images.shape}, expected uint8 images (N, H, W)")
    if labels.ndim != 1 or labels.dtype != np.uint8:
        raise ValueError(f"mnist: {label_file} holds {labels.dtype} {labels.shape}, expected uint8 labels (N,)")
    if len(images) != len(labels):
        raise ValueError(f"mnist: {len(images)} images in {image_file} but {len(labels)} labels in {label_file}")
    return _scaled(images), labels.astype(np.int64)


def _scaled(images: Array) -> Array:
    """Scale uint8 (N, H, W) to float32 (N, 1, H, W) in [0, 1]."""
    return np.divide(images[:, np.newaxis], np.float32(255), dtype=np.float32)


def _find(root: Path, name: str) -> Path:
    """Find the file called `name` in `root` under one of the spellings it is published with."""
    if not root.is_dir():
        raise FileNotFoundError(f"mnist: there is no folder {root}")
    dotted = ".".join(name.rsplit("-", 2)[:2]) + "-" + name.rsplit("-", 1)[1]  # train-images.idx3-ubyte
    names = [spelling + ending for spelling in (name, dotted) for ending in ("", ".gz")]
    for folder in (root, root / "MNIST" / "raw", root / "raw"):
        for candidate in names:
            if (folder / candidate).is_file():
                return folder / candidate
    raise FileNotFoundError(f"mnist: none of {', '.join(names)} in {root} (nor in MNIST/raw or raw below it)")
