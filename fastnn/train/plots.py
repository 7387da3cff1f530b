"""Pictures of training and of what was learned. They need matplotlib (`pip install fastnn-numba[plot]`).

Each function gives the figure. With a path it is also written there, and no window or notebook output appears. Without
one, notebooks show it once.
"""

from __future__ import annotations

import io
import math
import os
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.nn.summary import watching
from fastnn.tape import Tensor, no_grad
from fastnn.train.evaluation import predict
from fastnn.train.feeding import floating
from fastnn.train.progress import cell_number, in_notebook, is_share

if TYPE_CHECKING:
    from fastnn.train.history import History

Array = np.ndarray[Any, Any]
StrPath = str | os.PathLike[str]

# Blue and orange are told apart by everyone, also in grey: training is drawn in the one, validation in the other.
_TRAIN, _VALIDATION, _INK, _GRID = "#2a6fbb", "#e07b39", "#333333", "#dddddd"


def plot_history(history: History, path: StrPath | None = None) -> Any:
    """Draw loss and metrics over the epochs, validation beside training; three to a row."""
    names = [name for name in history.numbers if not re.fullmatch(r"seconds|lr\d*|val_.*", name)] or ["loss"]
    columns = min(len(names), 4 if len(names) == 4 else 3)
    rows = -(-len(names) // columns)
    figure = _figure((5.2 * columns, 3.8 * rows), path)
    grid = figure.subplots(rows, columns, squeeze=False)
    epochs = np.arange(1, len(history) + 1)
    for axes in grid.flat[len(names) :]:
        axes.remove()
    for axes, name in zip(grid.flat, names, strict=False):
        share = is_share(name)
        for column, color, label in ((name, _TRAIN, "training"), (f"val_{name}", _VALIDATION, "validation")):
            if column in history:
                values = np.array(history[column]) * (100 if share else 1)
                last = f"{values[-1]:.1f} %" if share else f"{values[-1]:.3g}"
                label = f"{label}, last {last}"
                axes.plot(epochs, values, color=color, label=label, linewidth=1.8, marker="o", markersize=3)
        axes.set(xlabel="epoch", title=f"{name} in %" if share else name)
        if len(history) > 1:
            axes.xaxis.get_major_locator().set_params(integer=True)
        else:  # there are no integers between which to find ticks
            axes.set(xlim=(0.5, 1.5), xticks=[1])
        axes.grid(color=_GRID, linewidth=0.7)
        axes.spines[["top", "right"]].set_visible(False)
        if name == "loss" and len(history) and 0 < 10 * min(history["loss"]) < max(history["loss"]):
            axes.set_yscale("log")
        if axes.lines:
            axes.legend(frameon=False, loc="upper right" if name == "loss" else "lower right" if share else "best")
        else:
            axes.text(0.5, 0.5, "no epoch was finished", ha="center", transform=axes.transAxes, color=_INK)
    return _finish(figure, path)


def plot_confusion(matrix: Array, path: StrPath | None = None, *, names: Sequence[str] | None = None) -> Any:
    """Draw a confusion matrix (rows: truth, columns: prediction), coloured by the share of each row.

    Mistakes are coloured on a scale of their own: beside a diagonal near 100 % they would all look white. Raises
    ValueError unless the matrix is square, with as many names.
    """
    matrix = np.asarray(matrix)
    n = len(matrix) if matrix.ndim else 0
    if not n or matrix.shape != (n, n):
        raise ValueError(f"plot_confusion: expected a square matrix, as confusion_matrix gives, got {matrix.shape}")
    names = [str(i) for i in range(n)] if names is None else list(names)
    if len(names) != n:
        raise ValueError(f"plot_confusion: {n} classes need as many names, got {len(names)}")
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    diagonal = np.eye(n, dtype=bool)
    letters, digits = max(map(len, names)), len(str(matrix.max()))
    side = max(0.55, 0.11 * digits + 0.1) * n
    upright = 0.1 * letters > side / n  # names that would run into each other
    figure = _figure((max(side + 0.09 * letters + 1.0, 3.6), side + 0.09 * letters * upright + 1.4), path)
    axes = figure.subplots()
    axes.imshow(np.where(diagonal, share, np.nan), cmap="Blues", vmin=0, vmax=1.25)
    worst = max(float(share[~diagonal].max(initial=0)), 1e-9)
    axes.imshow(np.where(diagonal | (matrix == 0), np.nan, share), cmap="Oranges", vmin=0, vmax=1.6 * worst)
    for i, j in np.argwhere(matrix > 0):
        color = "white" if i == j and share[i, j] > 0.5 else _INK  # on light blue white cannot be read
        axes.text(j, i, f"{matrix[i, j]}", ha="center", va="center", fontsize=9, color=color)
    axes.set_xticks(range(n), names, rotation=90 if upright else 0)
    axes.set_yticks(range(n), names)
    axes.set_xticks(np.arange(n + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(n + 1) - 0.5, minor=True)
    axes.grid(which="minor", color=_GRID, linewidth=0.7)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    right, total = int(np.trace(matrix)), int(matrix.sum())
    axes.set(xlabel="prediction", ylabel="truth")
    figure.suptitle(f"{right:,} of {total:,} right ({right / max(total, 1):.1%})", fontsize=11)
    return _finish(figure, path)


def plot_filters(weight: Any, path: StrPath | None = None, *, columns: int | None = None) -> Any:
    """Draw the filters of a convolution, weight (OC, C, KH, KW) or layer; of each the first channel, or RGB if C is 3.

    One scale for all, with zero in the middle: blue is negative, red positive.
    """
    weight = np.asarray(getattr(weight, "weight", weight))
    if weight.ndim != 4:
        raise ValueError(f"plot_filters: expected a convolution's weight (OC, C, KH, KW), got shape {weight.shape}")
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
    figure.suptitle(f"{n} filter{'s' * (n > 1)} of {weight.shape[2]} x {weight.shape[3]}", fontsize=11)
    return _finish(figure, path)


def plot_feature_maps(
    model: Any, image: Array, path: StrPath | None = None, *, layers: Sequence[str] | None = None, limit: int = 16
) -> Any:
    """Draw what the layers of a network make of one image: a row per layer, a picture per channel.

    Parameters
    ----------
    model : Module
        Run once, in eval mode.
    image : (C, H, W)
        What it looks at.
    path : path, optional
        File to write.
    layers : sequence of str, optional
        Names as in `model.named_modules()`; all whose result is (1, C, H, W) if not given.
    limit : int
        Channels per layer, the first ones.

    Raises
    ------
    ValueError
        If there is no such layer, or no layer gives maps.
    """
    image = np.asarray(image)
    if image.ndim != 3:
        raise ValueError(f"plot_feature_maps: expected one image (C, H, W), got shape {image.shape}")
    maps = _results(model, image[None], layers)
    if not maps:
        raise ValueError("plot_feature_maps: no layer of this model gives maps (1, C, H, W)")
    columns = min(max(array.shape[1] for array in maps.values()), limit)
    figure = _figure((0.85 * (columns + 1) + 1.3, 0.9 * (len(maps) + 1)), path)
    grid = figure.subplots(len(maps) + 1, columns, squeeze=False)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
        axes.axis("off")
    rows = {"input": image[None], **maps}
    for line, (name, array) in zip(grid, rows.items(), strict=True):
        cut = array[0, :limit]
        limit_of_row = float(np.abs(cut).max()) or 1.0
        for axes, channel in zip(line, cut, strict=False):
            signed = channel.min() < 0
            axes.imshow(channel, cmap="RdBu_r" if signed else "gray_r", vmin=-limit_of_row * signed, vmax=limit_of_row)
        line[0].axis("on")
        line[0].spines[:].set_visible(False)
        more = f"\n{array.shape[1]} channels" if array.shape[1] > 1 else ""
        size = f"{array.shape[2]} x {array.shape[3]}"
        line[0].set_ylabel(f"{name}{more}\n{size}", rotation=0, ha="right", va="center", fontsize=8, color=_INK)
    return _finish(figure, path)


def _results(model: Any, x: Array, layers: Sequence[str] | None) -> dict[str, Array]:
    """Run a model in eval mode and keep what its layers give as images, by name."""
    modules = dict(model.named_modules())
    unknown = set(layers or ()) - set(modules)
    if unknown:
        raise ValueError(f"plot_feature_maps: no layer {', '.join(sorted(unknown))}; there are {', '.join(modules)}")
    found: dict[str, Array] = {}

    def note(name: str, module: Any, _: Any, output: Any) -> None:
        wanted = name in layers if layers is not None else not list(module.children())
        if wanted and output.ndim == 4:
            found[f"{name} {type(module).__name__}".strip()] = np.array(output)  # what follows may write over it

    with watching(model, note), no_grad():
        model(Tensor(np.array(floating("plot_feature_maps", "x", x, model))))  # a copy: the model may work in place
    return found


def plot_embedding(
    features: Array, labels: Array | None = None, path: StrPath | None = None, *, names: Sequence[str] | None = None
) -> Any:
    """Draw samples as points, coloured by class: features (N, D), for D > 2 their first two principal components.

    What a layer gives is a good choice: classes that a network has learned to tell apart lie in clouds of their own.
    labels (N,) integers; names: what the classes are called.
    """
    features = np.asarray(features, np.float64)
    if features.ndim != 2 or features.shape[1] < 2 or not len(features):
        raise ValueError(f"plot_embedding: expected features (N, D) with D of at least 2, got shape {features.shape}")
    if labels is not None and np.shape(labels) != (len(features),):
        raise ValueError(f"plot_embedding: {len(features)} samples need as many labels, got {np.shape(labels)}")
    shares = None
    if features.shape[1] > 2:
        features = features - features.mean(axis=0)
        _, scale, directions = np.linalg.svd(features, full_matrices=False)
        shares = scale[:2] ** 2 / max(float((scale**2).sum()), 1e-300)
        features = features @ directions[:2].T
    figure = _figure((5.6, 5.0), path)
    axes = figure.subplots()
    classes = [None] if labels is None else list(np.unique(labels))
    colors = _colors(len(classes))
    for number, label in enumerate(classes):
        chosen = slice(None) if label is None else np.asarray(labels) == label
        name = None if label is None else str(label) if names is None else names[label]
        axes.scatter(*features[chosen].T, s=12, color=colors[number], alpha=0.75, linewidths=0, label=name)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=_GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    if shares is None:
        axes.set(xlabel="first feature", ylabel="second feature")
    else:
        axes.set(xlabel=f"first component ({shares[0]:.0%} of the variance)", ylabel=f"second ({shares[1]:.0%})")
    if labels is not None:
        axes.legend(frameon=False, bbox_to_anchor=(1.0, 1.0), loc="upper left", markerscale=1.6)
    return _finish(figure, path)


def plot_decision_boundary(
    models: Any,
    x: Array,
    y: Array,
    path: StrPath | None = None,
    *,
    titles: Sequence[str] | None = None,
    steps: int = 200,
) -> Any:
    """Draw which class a model gives to each place of the plane, under the points it learned from.

    Parameters
    ----------
    models : Module, or sequence of Modules
        Each takes (N, 2) and gives logits (N, C), or one number (N, 1) that says yes from 0.5. Several are drawn side
        by side: what another layer adds shows best so.
    x, y : (N, 2), (N,) integers
        Points and their classes.
    path : path, optional
        File to write.
    titles : sequence of str, optional
        One per model; the share of points on the right side is added.
    steps : int
        Places per axis.
    """
    x, y = np.asarray(x), np.asarray(y)
    if x.ndim != 2 or x.shape[1] != 2 or y.shape != x.shape[:1]:
        raise ValueError(f"plot_decision_boundary: expected x (N, 2) and y (N,), got {x.shape} and {y.shape}")
    given = list(models) if isinstance(models, (list, tuple)) else [models]
    names = [""] * len(given) if titles is None else list(titles)
    low, high = x.min(axis=0), x.max(axis=0)
    margin = 0.12 * (high - low) + 1e-9
    across, up = (np.linspace(a, b, steps) for a, b in zip(low - margin, high + margin, strict=True))
    places = np.stack(np.meshgrid(across, up), -1).reshape(-1, 2).astype(x.dtype)
    figure = _figure((3.9 * len(given) + 0.2, 4.0), path)
    for axes, model, name in zip(np.atleast_1d(figure.subplots(1, len(given))), given, names, strict=True):
        share = _probabilities(predict(model, places))
        classes = max(share.shape[1], int(y.max()) + 1)
        colors = np.array(_colors(classes))[:, :3]
        # the surer, the stronger the colour; where classes are even it is white
        least = 1 / share.shape[1]
        strength = 0.6 * np.clip((share.max(axis=1, keepdims=True) - least) / (1 - least), 0, 1)
        shade = 1 - strength * (1 - colors[share.argmax(axis=1)])
        edges = (across[0], across[-1], up[0], up[-1])
        axes.imshow(
            shade.reshape(steps, steps, 3), origin="lower", extent=edges, aspect="auto", interpolation="bilinear"
        )
        for label in range(share.shape[1]):
            lead = share[:, label] - np.delete(share, label, axis=1).max(axis=1)
            if lead.min() < 0 < lead.max():
                axes.contour(across, up, lead.reshape(steps, steps), levels=[0], colors=_INK, linewidths=0.8)
        for label in range(classes):
            axes.scatter(*x[y == label].T, s=16, color=0.8 * colors[label], edgecolors="white", linewidths=0.5)
        right = np.mean(_probabilities(predict(model, x)).argmax(axis=1) == y)
        axes.set_title(f"{name}{': ' if name else ''}{right:.1%} right", fontsize=10)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_color(_GRID)
    return _finish(figure, path)


def _probabilities(output: Array) -> Array:
    """Give a share per class from logits (N, C), or from the probability of a yes (N,) or (N, 1)."""
    if output.ndim == 1 or output.shape[1] == 1:
        yes = output.reshape(-1, 1).astype(np.float64)
        return np.concatenate([1 - yes, yes], axis=1)
    share: Array = np.exp(output.astype(np.float64) - output.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    return share


def _colors(count: int) -> list[Any]:
    """Give colours for classes: blue and orange for two."""
    from matplotlib import colormaps
    from matplotlib.colors import to_rgba

    if count <= 2:
        return [to_rgba(_TRAIN), to_rgba(_VALIDATION)][:count]
    return [colormaps["tab10" if count <= 10 else "turbo"](i if count <= 10 else i / (count - 1)) for i in range(count)]


def plot_misread(
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
        if path is None and in_notebook():
            return _shown_class()(figsize=size, layout="constrained")
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
    elif hasattr(figure, "show_now"):
        figure.show_now()
    return figure


@cache
def _shown_class() -> Any:
    """Give the class of figures that a notebook shows once: when they are drawn, not as the cell's result again."""
    from matplotlib.figure import Figure

    class Shown(Figure):
        shown_in = -1  # the number of the cell

        def show_now(self) -> None:
            from IPython.display import Image, display  # type: ignore[import-not-found]

            file = io.BytesIO()
            self.savefig(file, format="png", dpi=100)
            display(Image(data=file.getvalue()))
            self.shown_in = cell_number()

        def _ipython_display_(self) -> None:
            if cell_number() != self.shown_in:
                self.show_now()

    return Shown
