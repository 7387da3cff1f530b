"""What `fit` may be given by name: losses, optimizers; and labels that are texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any

import numpy as np

from fastnn import functional, optim
from fastnn._checks import closest, shown
from fastnn.data.labels import LabelEncoder, are_texts
from fastnn.optim import Optimizer
from fastnn.train.feeding import is_arrays

SHORT = {
    "mse": "mse_loss", "mean_squared_error": "mse_loss", "mae": "l1_loss", "l1": "l1_loss",
    "mean_absolute_error": "l1_loss", "bce": "binary_cross_entropy",
    "bce_with_logits": "binary_cross_entropy_with_logits", "nll": "nll_loss", "huber": "huber_loss",
    "smooth_l1": "smooth_l1_loss", "hinge": "hinge_loss",
}  # fmt: skip


def _takes_two(loss: Any) -> bool:
    required = [one for one in signature(loss).parameters.values() if one.default is one.empty]
    return [one.name for one in required[1:]] == ["target"]


NAMES = [
    name
    for name in functional.__all__
    if (loss := getattr(functional, name)).__module__.endswith("functional.loss") and _takes_two(loss)
]
OPTIMIZERS = {
    name.lower(): getattr(optim, name)
    for name in sorted(optim.__all__, key=str.lower)
    if isinstance(getattr(optim, name), type) and issubclass(getattr(optim, name), Optimizer)
}
for _name in ("optimizer", "lbfgs", "muon"):  # the base; what wants the loss again; what takes matrices only
    del OPTIMIZERS[_name]


def loss_of(where: str, loss: Any) -> Any:
    """Give the loss function of a name, such as "cross_entropy" or "mse"; anything else as it is."""
    if not isinstance(loss, str):
        return loss
    name = SHORT.get(loss.lower(), loss.lower())
    if name not in NAMES:
        known = [*NAMES, *SHORT]
        raise ValueError(
            f"{where}: loss must be a function or one of {', '.join(known)}, got {shown(loss)}{closest(loss, known)}"
        )
    return getattr(functional, name)


def optimizer_of(optimizer: Any, model: Any, lr: float | None) -> Any:
    """Give the optimizer of a name, such as "adam", over all parameters; anything else as it is."""
    if not isinstance(optimizer, str):
        if lr is not None:
            raise ValueError("fit: lr goes with the name of an optimizer; this one has a learning rate already")
        return optimizer
    made: Callable[..., Any] | None = OPTIMIZERS.get(optimizer.lower())
    if made is None:
        raise ValueError(
            f"fit: optimizer must be an Optimizer or one of {', '.join(OPTIMIZERS)}, got {shown(optimizer)}"
            f"{closest(optimizer, OPTIMIZERS)}"
        )
    return made(model.parameters()) if lr is None else made(model.parameters(), lr=lr)


def with_numbers(model: Any, *parts: Any, class_weight: Any = None) -> tuple[Any, ...]:
    """Give data (x, y, ...) with numbers in place of texts as labels, and the weights of classes by number.

    parts: the training data first, then others, which may be None. The classes are those of a model that has been
    trained on texts before, else those of the training data, which the model keeps as `classes_`.
    """
    if not (is_arrays(parts[0]) and len(parts[0]) > 1 and are_texts(parts[0][1])):
        return (*parts, class_weight)
    encoder = LabelEncoder()
    if getattr(model, "classes_", None) is None:
        model.classes_ = encoder.fit(parts[0][1]).classes_
    numbered = [part if part is None else numbers_for(model, part) for part in parts]
    if isinstance(class_weight, Mapping):
        labels = np.array([str(label) for label in class_weight])
        encoder.classes_ = model.classes_
        class_weight = dict(zip(encoder.transform(labels).tolist(), class_weight.values(), strict=True))
    return (*numbered, class_weight)


def numbers_for(model: Any, data: Any) -> Any:
    """Give arrays (x, y, ...) with the numbers of classes in place of texts. ValueError if the model knows no texts."""
    if not (is_arrays(data) and len(data) > 1 and are_texts(data[1])):
        return data
    classes = getattr(model, "classes_", None)
    if classes is None:
        raise ValueError("evaluate: the labels are texts, but the model was not trained on texts: it has no classes_")
    encoder = LabelEncoder()
    encoder.classes_ = classes
    return (data[0], encoder.transform(data[1]), *data[2:])
