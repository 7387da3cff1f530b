"""Making a batch of items: tensors are stacked, containers become containers of batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastnn._checks import shown
from fastnn.functional import stack
from fastnn.tape import Tensor, unwrap

TEXTS = str | bytes


def default_collate(batch: Sequence[Any]) -> Any:
    """Make one batch of a list of items.

    Tensors, arrays and images (anything that NumPy makes an array of numbers of) are stacked along a new first axis
    into a Tensor. Numbers become a Tensor: Python floats float64, integers int64, as in PyTorch. Texts stay a list.
    Dicts become a dict of batches, named tuples a named tuple, tuples and lists a list of batches.

    Raises TypeError for other items, ValueError for items of different shapes or lengths.

    Examples
    --------
    >>> image, label = default_collate([(np.zeros((1, 2)), 3), (np.ones((1, 2)), 4)])
    >>> image.shape, label.tolist()
    ((2, 1, 2), [3, 4])
    """
    if not len(batch):
        raise ValueError("default_collate: there is no item")
    first = batch[0]
    if isinstance(first, TEXTS):
        return list(batch)
    if isinstance(first, Tensor) and any(isinstance(item, Tensor) and item.requires_grad for item in batch):
        _same([item.shape for item in batch])
        return stack(list(batch))
    if hasattr(first, "__array__") or hasattr(first, "__array_interface__"):
        return _stacked(batch)
    if isinstance(first, bool | int | float | complex):
        return _numbers(batch)
    if isinstance(first, Mapping):
        return _like(first, {key: default_collate([item[key] for item in batch]) for key in first})
    if isinstance(first, tuple | list) or (isinstance(first, Sequence) and hasattr(first, "__len__")):
        lengths = [len(item) for item in batch]
        if len(set(lengths)) > 1:
            raise ValueError(f"default_collate: items of a batch must have the same length, got {lengths[:10]}")
        columns = [default_collate(column) for column in zip(*batch, strict=True)]
        return type(first)(*columns) if isinstance(first, tuple) and hasattr(first, "_fields") else columns
    raise TypeError(
        f"default_collate: an item is {shown(first)}; batches are made of tensors, arrays, numbers, texts, dicts, "
        "tuples and lists. Give the DataLoader a collate_fn"
    )


def default_convert(data: Any) -> Any:
    """Give arrays and NumPy's numbers in an item as tensors, and leave all else as it is."""
    if isinstance(data, np.ndarray | np.generic) and data.dtype.kind in "biuf":
        return Tensor(np.asarray(data))
    if isinstance(data, Tensor | str | bytes):
        return data
    if isinstance(data, Mapping):
        return _like(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*map(default_convert, data))
    if isinstance(data, tuple | list):
        return [default_convert(value) for value in data]
    return data


def _stacked(batch: Sequence[Any]) -> Any:
    """Stack arrays, or what NumPy makes an array of; arrays of texts stay as they are."""
    arrays = [np.asarray(unwrap(item)) for item in batch]
    kinds = {array.dtype.kind for array in arrays}
    if kinds <= set("US"):
        return [item.item() if isinstance(item, np.generic) else item for item in batch]
    if not kinds <= set("biuf"):
        raise TypeError(f"default_collate: an item is an array of {arrays[0].dtype}; numbers are needed")
    _same([array.shape for array in arrays])
    return Tensor(np.stack(arrays))


def _numbers(batch: Sequence[Any]) -> Tensor:
    array = np.array(batch)
    if array.dtype == np.float64 and isinstance(batch[0], int):  # PyTorch goes by the first item
        array = array.astype(np.float32)
    if array.dtype.kind not in "bif" or array.ndim != 1:
        raise TypeError(f"default_collate: items {shown(batch[0])} ... cannot be made a tensor of numbers")
    return Tensor(array)


def _same(shapes: Sequence[tuple[int, ...]]) -> None:
    if len({tuple(shape) for shape in shapes}) > 1:
        odd = next(place for place, shape in enumerate(shapes) if shape != shapes[0])
        raise ValueError(
            f"default_collate: items of a batch must have the same shape: item 0 has {tuple(shapes[0])}, "
            f"item {odd} has {tuple(shapes[odd])}; give the DataLoader a collate_fn that pads them"
        )


def _like(first: Mapping[Any, Any], items: dict[Any, Any]) -> Any:
    """Give a dictionary of the class of the items, if that can be made of one."""
    if type(first) is dict:
        return items
    try:
        return type(first)(items)  # type: ignore[call-arg]
    except TypeError:
        return items
