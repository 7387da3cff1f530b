"""What `fit` is given as data, turned into batches of inputs, targets and weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any, cast

import numpy as np

from fastnn._checks import numbers, real, shown
from fastnn.data import DataLoader, Dataset, IterableDataset, balanced_weights, train_test_split
from fastnn.data.gathering import source_of
from fastnn.nn import Module
from fastnn.nn.module import can_fuse
from fastnn.tape import Tensor, unwrap

Array = np.ndarray[Any, Any]
Data = tuple[Array, ...] | Iterable[tuple[Any, ...]]
Loss = Callable[..., Any]
ClassWeight = Mapping[int, float] | Array | str


def is_arrays(data: Any) -> bool:
    """Say whether data is (x, y) as arrays, and not an iterable of batches."""
    return isinstance(data, tuple) or (isinstance(data, list) and all(hasattr(item, "shape") for item in data))


def check_model(where: str, model: Any) -> None:
    """Raise TypeError unless `model` is a Module."""
    if not isinstance(model, Module):
        got = f"the class {model.__name__}, not an object of it" if isinstance(model, type) else type(model).__name__
        raise TypeError(f"{where}: model must be a Module, got {got}")


def batches(where: str, argument: str, data: Any, model: Any, batch_size: int, **options: Any) -> Iterable[Any]:
    """Turn (x, y) or (x, y, weights), or a data set of such items, into batches; leave other iterables alone."""
    if isinstance(data, Dataset):
        whole_batches(batch_size)
        if isinstance(data, IterableDataset):
            options.pop("shuffle", None)
        elif source_of(data, None) is not None:
            options["dtype"] = dtype_of(model)
        return DataLoader(data, batch_size, **options)
    if not hasattr(data, "__iter__") or hasattr(data, "shape") or isinstance(data, str | bytes | Mapping):
        got = f"{type(data).__name__}{f' of shape {data.shape}' if hasattr(data, 'shape') else ''}"
        raise TypeError(f"{where}: {argument} must be (x, y) or an iterable of batches, got {got}")
    if not is_arrays(data):
        for name in ("transform", "prefetch"):
            if options.get(name):
                raise ValueError(f"{where}: {name} is for arrays; give it to the DataLoader that makes the batches")
        return cast("Iterable[tuple[Any, ...]]", data)
    arrays = pair(where, argument, data, model)
    whole_batches(batch_size)
    return DataLoader(tuple(arrays), batch_size, dtype=dtype_of(model), **options)


def whole_batches(batch_size: Any) -> None:
    """Raise ValueError for None, which a `DataLoader` understands as no batches at all."""
    if batch_size is None:
        raise ValueError("DataLoader: batch_size must be a positive integer, got None")


def pair(where: str, argument: str, data: Any, model: Any) -> list[Array]:
    """Check arrays (x, y) and convert them once: float64 data would train a float32 model at half the speed."""
    if len(data) not in (2, 3):
        raise ValueError(f"{where}: {argument} must be a pair (x, y), got {len(data)} items")
    names = ("x", "y", "weights")
    arrays = [floating(where, f"{argument}: {name}", array, model) for name, array in zip(names, data, strict=False)]
    x, y = arrays[:2]
    if x.ndim == 0 or any(array.ndim == 0 or len(array) != len(x) for array in arrays):
        raise ValueError(f"{where}: {argument}: x has shape {x.shape} but y has shape {y.shape}; lengths must agree")
    if len(x) == 0:
        raise ValueError(f"{where}: {argument} is empty: x has shape {x.shape}, y has shape {y.shape}")
    return arrays


def length_of(data: Any) -> int | None:
    """Count the batches of an epoch; None if the data does not say."""
    try:
        return len(data)
    except TypeError:
        return None


def loaders_in(data: Any, depth: int = 4) -> list[DataLoader]:
    """Find the DataLoaders behind an iterable of batches: itself, or those among its attributes."""
    if isinstance(data, DataLoader):
        return [data]
    if not depth or isinstance(data, type | ModuleType):
        return []
    held = data if isinstance(data, tuple | list | dict) else object.__getstate__(data)  # __dict__ and __slots__
    parts = held.values() if isinstance(held, dict) else held if isinstance(held, tuple | list) else ()
    if len(parts) > 64:  # data, not what makes it
        return []
    return list(dict.fromkeys(loader for part in parts for loader in loaders_in(part, depth - 1)))


def harmless(*parts: Any) -> bool:
    """Say whether models, losses and metrics never write into their inputs: those of fastnn that are not in place."""
    for part in parts:
        if isinstance(part, Module):
            if not all(can_fuse(module) and not getattr(module, "inplace", False) for module in part.modules()):
                return False
        else:
            origin = getattr(part, "function", part)  # of a metric that was made of a function
            kind = origin if hasattr(origin, "__qualname__") else type(origin)
            if not str(getattr(kind, "__module__", "")).startswith("fastnn."):
                return False
    return True


def apart(output: Any, x: Any) -> Any:
    """Give an output that may be written into: a copy if it is the input itself, or a view of it."""
    a, b = unwrap(output), unwrap(x)
    shared = isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and np.may_share_memory(a, b)
    return owned(output) if shared else output


def owned(array: Any) -> Any:
    """Give a copy that may be written into, of an array or a Tensor; of anything else, itself."""
    if isinstance(array, Tensor):
        return Tensor(np.array(unwrap(array)), array.requires_grad) if array.is_leaf else array
    return np.array(array) if isinstance(array, np.ndarray) else array


def dtype_of(model: Any) -> Any:
    """Give the dtype of a model's parameters, None if it has none."""
    return getattr(next(iter(model.parameters()), None), "dtype", None)


def floating(where: str, argument: str, array: Any, model: Any) -> Array:
    """Give floating-point arrays the dtype of the model; a memory-mapped file is left where it is."""
    mapped = isinstance(array, np.memmap)
    plain = numbers(where, argument, array)
    dtype = dtype_of(model)
    return plain if mapped or plain.dtype.kind != "f" or dtype is None else plain.astype(dtype, copy=False)


def hold_out(data: Any, share: float) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """Cut arrays (x, y, ...) into those to train on and a share to validate on, by class if y holds labels."""
    if not is_arrays(data) or len(data) < 2:
        raise TypeError("fit: validation_split needs the data as arrays (x, y); give batches a validation set")
    if not (isinstance(share, (float, np.floating)) and 0 < share < 1):
        raise ValueError(f"fit: validation_split must be a share between 0 and 1, got {share!r}")
    y = np.asarray(data[1])
    labels = y if y.ndim == 1 and y.dtype.kind in "iub" else None
    parts = train_test_split(*data, test_size=float(share), stratify=labels)
    return tuple(parts[::2]), tuple(parts[1::2])


def with_weights(data: Any, class_weight: ClassWeight | None, sample_weight: Any) -> Any:
    """Add a weight per sample to the arrays (x, y), or to every batch of an iterable."""
    if class_weight is None and sample_weight is None:
        return data
    if is_arrays(data):
        if len(data) != 2:
            raise ValueError(f"fit: weights need the data as (x, y), got {len(data)} items")
        weights = np.ones(len(data[1])) if sample_weight is None else sample_weights(sample_weight, len(data[1]))
        if class_weight is not None:
            weights = weights * weights_of(np.asarray(data[1]), class_weight)
        return (*data, weights)
    if sample_weight is not None:
        raise ValueError("fit: sample_weight needs the data as arrays (x, y); batches can be (x, y, weights)")
    if isinstance(class_weight, str):
        raise ValueError("fit: class_weight='balanced' needs the data as arrays (x, y); give a weight per class")
    return Weighted(data, class_weight)


def sample_weights(weights: Any, count: int) -> Array:
    """Check weights (N,) of samples."""
    given: Array = numbers("fit", "sample_weight", weights).astype(np.float64)
    if given.shape != (count,) or not np.isfinite(given).all() or (given < 0).any() or not given.any():
        raise ValueError(
            f"fit: sample_weight must be {count} finite numbers from 0, not all 0; got shape {given.shape}"
        )
    return given


def weights_of(labels: Array, class_weight: Any) -> Array:
    """Look the weights of labels up: by label in a dict (1 where it is missing), by position in an array."""
    if labels.ndim != 1 or labels.dtype.kind not in "iub":
        raise ValueError(f"fit: class_weight needs integer labels (N,), got {labels.dtype} {labels.shape}")
    if isinstance(class_weight, str):
        if class_weight != "balanced":
            raise ValueError(f"fit: class_weight must be numbers or 'balanced', got {class_weight!r}")
        return balanced_weights(labels)
    if isinstance(class_weight, Mapping):
        found = np.ones(len(labels))
        for label, weight in class_weight.items():
            if not isinstance(label, int | np.integer | np.bool_):  # such as the texts that JSON makes of keys
                raise TypeError(f"fit: class_weight must have integers as keys, got {label!r:.60}")
            found[labels == label] = real("fit", f"class_weight of {label!r:.60}", weight)
    else:
        table = numbers("fit", "class_weight", class_weight).astype(np.float64)
        if table.ndim != 1 or (len(labels) and not 0 <= labels.min() <= labels.max() < len(table)):
            raise ValueError(
                f"fit: class_weight of shape {table.shape} has no weight for some labels of "
                f"{labels.min(initial=0)}..{labels.max(initial=0)}"
            )
        found = table[labels.astype(np.intp)]
    if not np.isfinite(found).all() or (found < 0).any():
        raise ValueError("fit: class_weight must be finite numbers from 0")
    return found


class Weighted:
    """Batches (x, y) or (x, y, weights), with the weights of classes put on top."""

    def __init__(self, data: Iterable[tuple[Any, ...]], class_weight: Any) -> None:
        self.data, self.class_weight = data, class_weight
        self.samples = getattr(data, "samples", None)

    @property
    def private(self) -> bool:
        """Whether nobody else holds the batches' memory."""
        return getattr(self.data, "private", False)

    def __len__(self) -> int:
        """Count the batches. Raises TypeError if the data does not say."""
        return len(self.data)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """Go through the batches."""
        for batch in self.data:
            x, y, *rest = samples("fit", batch)
            weights = weights_of(np.asarray(y), self.class_weight)
            yield x, y, weights * np.asarray(rest[0]) if rest else weights


def samples(where: str, batch: Any) -> Any:
    """Check that a batch is (x, y) or (x, y, weights), and give it back."""
    if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
        got = f"{type(batch).__name__}{f' of {len(batch)} items' if isinstance(batch, (tuple, list)) else ''}"
        raise TypeError(f"{where}: a batch must be (x, y) or (x, y, weights), got {got}")
    for name, part in zip(("x", "y", "the weights"), batch, strict=False):
        if isinstance(part, np.ndarray | Tensor):
            continue
        if not hasattr(part, "__len__") or isinstance(part, str | bytes):
            raise TypeError(f"{where}: {name} of a batch must be an array, got {shown(part)}")
        if isinstance(part, list | tuple):
            numbers(where, f"{name} of a batch", part)
    return batch


def number_of(where: str, cost: Any, recorded: bool = True) -> float:
    """Give a loss as a number. Raises TypeError for several, and unless told otherwise for what is no Tensor."""
    value = np.asarray(unwrap(cost))
    if value.size == 1 and value.dtype.kind in "biuf" and (isinstance(cost, Tensor) or not recorded):
        return float(value.item())
    many = value.dtype.kind in "biuf" and value.size != 1
    got = f"shape {value.shape}; give it reduction='mean'" if many else type(cost).__name__
    raise TypeError(f"{where}: the loss must be a Tensor of one number, got {got}")


def weighted_loss(loss: Loss, output: Any, target: Any, weights: Any) -> tuple[Any, float]:
    """Give the weighted mean of the losses of a batch, and what the weights add up to."""
    try:
        each = loss(output, target, reduction="none")
    except TypeError as error:
        raise TypeError(
            f"fit: class and sample weights need a loss that takes reduction='none', such as "
            f"functional.cross_entropy; {getattr(loss, '__name__', loss)}: {error}"
        ) from error
    if each.shape[:1] != (len(weights),):
        raise ValueError(f"fit: {len(weights)} weights, but the loss has shape {each.shape} with reduction='none'")
    weights = np.asarray(weights)
    total = float(np.sum(weights))
    if not (np.min(weights, initial=0) >= 0 and np.isfinite(total)):
        raise ValueError("fit: the weights of samples must be finite numbers from 0")
    mean = weights / (total or 1.0) * (len(weights) / each.numel())
    return (each * mean.reshape(-1, *[1] * (each.ndim - 1)).astype(each.dtype)).sum(), total
