"""Pictures of training and of what was learned. They need matplotlib (`pip install fastnn-numba[plot]`).

Each function gives the figure. With a path it is also written there, and no window or notebook output appears.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.train.progress import is_share

if TYPE_CHECKING:
    from fastnn.train.history import History

Array = np.ndarray[Any, Any]
StrPath = str | os.PathLike[str]

# Blue and orange are told apart by everyone, also in grey: training is drawn in the one, validation in the other.
_TRAIN, _VALIDATION, _INK, _GRID = "#2a6fbb", "#e07b39", "#333333", "#dddddd"


def learning_curves(history: History, path: StrPath | None = None) -> Any:
    """Draw loss and metrics over the epochs, validation beside training."""
    names = [name for name in history.numbers if name not in ("seconds", "lr") and not name.startswith("val_")]
    figure = _figure((5.2 * max(len(names), 1), 3.8), path)
    epochs = np.arange(1, len(history) + 1)
    for axes, name in zip(np.atleast_1d(figure.subplots(1, max(len(names), 1))), names, strict=False):
        share = is_share(name)
        for column, color, label in ((name, _TRAIN, "training"), (f"val_{name}", _VALIDATION, "validation")):
            if column in history:
                values = np.array(history[column]) * (100 if share else 1)
                last = f"{values[-1]:.1f} %" if share else f"{values[-1]:.3g}"
                label = f"{label}, last {last}"
                axes.plot(epochs, values, color=color, label=label, linewidth=1.8, marker="o", markersize=3)
        axes.set(xlabel="epoch", title=f"{name} in %" if share else name)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(color=_GRID, linewidth=0.7)
        axes.spines[["top", "right"]].set_visible(False)
        if name == "loss" and min(history["loss"]) > 0 and max(history["loss"]) > 10 * min(history["loss"]):
            axes.set_yscale("log")
        axes.legend(frameon=False, loc="lower right" if share else "upper right")
    return _finish(figure, path)


def confusion(matrix: Array, path: StrPath | None = None, *, names: Sequence[str] | None = None) -> Any:
    """Draw a confusion matrix (rows: truth, columns: prediction), coloured by the share of each row.

    Mistakes are coloured on a scale of their own: beside a diagonal near 100 % they would all look white.
    """
    n = len(matrix)
    names = [str(i) for i in range(n)] if names is None else list(names)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    diagonal = np.eye(n, dtype=bool)
    figure = _figure((0.55 * n + 1.8, 0.55 * n + 1.6), path)
    axes = figure.subplots()
    axes.imshow(np.where(diagonal, share, np.nan), cmap="Blues", vmin=0, vmax=1.25)
    worst = max(float(share[~diagonal].max(initial=0)), 1e-9)
    axes.imshow(np.where(diagonal | (matrix == 0), np.nan, share), cmap="Oranges", vmin=0, vmax=1.6 * worst)
    for i, j in np.argwhere(matrix > 0):
        axes.text(j, i, f"{matrix[i, j]}", ha="center", va="center", fontsize=9, color="white" if i == j else _INK)
    axes.set_xticks(range(n), names)
    axes.set_yticks(range(n), names)
    axes.set_xticks(np.arange(n + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(n + 1) - 0.5, minor=True)
    axes.grid(which="minor", color=_GRID, linewidth=0.7)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    right, total = int(np.trace(matrix)), int(matrix.sum())
    axes.set(xlabel="read as", ylabel="truth")
    axes.set_title(f"{right:,} of {total:,} right ({right / max(total, 1):.1%})", fontsize=11)
    return _finish(figure, path)


def filters(weight: Any, path: StrPath | None = None, *, columns: int | None = None) -> Any:
    """Draw the filters of a convolution, weight (OC, C, KH, KW); of each the first channel, or RGB if C is 3.

    One scale for all, with zero in the middle: blue is negative, red positive.
    """
    weight = np.asarray(weight)
    if weight.ndim != 4:
        raise ValueError(f"filters: expected a convolution's weight (OC, C, KH, KW), got shape {weight.shape}")
    n = len(weight)
    if columns is None:  # about twice as wide as high, and full to the last row if that is to be had
        least = math.ceil(math.sqrt(2 * n))
        columns = next((c for c in range(least, 2 * least) if n % c == 0), min(n, least))
    rows = -(-n // columns)
    limit = float(np.abs(weight).max()) or 1.0
    figure = _figure((0.9 * columns + 1.2, 0.9 * rows + 0.6), path)
    grid = figure.subplots(rows, columns, squeeze=False)
    image = None
    for i, axes in enumerate(grid.flat):
        axes.axis("off")
        if i < n and weight.shape[1] == 3:
            axes.imshow((weight[i].transpose(1, 2, 0) / limit + 1) / 2)
        elif i < n:
            image = axes.imshow(weight[i, 0], cmap="RdBu_r", vmin=-limit, vmax=limit)
    if image is not None:
        figure.colorbar(image, ax=grid, shrink=0.8, aspect=20)
    figure.suptitle(f"{n} filters of {weight.shape[2]} x {weight.shape[3]}", fontsize=11)
    return _finish(figure, path)


def misread(
    images: Array,
    target: Array,
    output: Array,
    path: StrPath | None = None,
    *,
    names: Sequence[str] | None = None,
    limit: int = 40,
    columns: int = 8,
) -> Any:
    """Draw a page of images that were taken for another class, the most confident mistakes first.

    Parameters
    ----------
    images : (N, 1, H, W), (N, 3, H, W) or (N, H, W)
        What was to be read; shown from 0 (white) to the largest value (black), or in colour.
    target : (N,) integers
        The right classes.
    output : (N, C)
        Logits; their softmax is the confidence shown.
    path : path, optional
        File to write.
    names : sequence of str, optional
        What the classes are called.
    limit, columns : int
        How many images at most, and how many in a row.
    """
    logits = output.astype(np.float64)
    share = np.exp(logits - logits.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    predicted = output.argmax(axis=1)
    names = [str(i) for i in range(output.shape[1])] if names is None else list(names)
    wrong = np.flatnonzero(predicted != target)
    wrong = wrong[np.argsort(-share[wrong, predicted[wrong]])]
    shown = wrong[:limit]
    rows = max(-(-len(shown) // columns), 1)
    figure = _figure((1.15 * columns, 1.4 * rows + 0.7), path)
    for axes in (grid := figure.subplots(rows, columns, squeeze=False)).flat:
        axes.axis("off")
    for axes, i in zip(grid.flat, shown, strict=False):
        image = images[i] if images.ndim == 3 else images[i].transpose(1, 2, 0)
        axes.imshow(image.squeeze(), cmap="gray_r", vmin=0, interpolation="nearest")
        mistaken = predicted[i]
        axes.set_title(
            f"{names[target[i]]} read as {names[mistaken]}\n{share[i, mistaken]:.0%} sure", fontsize=8, color=_INK
        )
    more = f", the {len(shown)} most confident" if len(shown) < len(wrong) else ""
    figure.suptitle(f"{len(wrong)} of {len(target):,} misread{more}", fontsize=11)
    return _finish(figure, path)


def _figure(size: tuple[float, float], path: StrPath | None) -> Any:
    try:
        if path is None:
            import matplotlib.pyplot as plt

            return plt.figure(figsize=size, layout="constrained")
        from matplotlib.figure import Figure

        return Figure(figsize=size, layout="constrained")
    except ImportError as error:
        raise ImportError("pictures need matplotlib: pip install 'fastnn-numba[plot]'") from error


def _finish(figure: Any, path: StrPath | None) -> Any:
    if path is not None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=140)
    return figure
