"""Batch, stochastic and mini-batch gradient descent on one problem, and the paths they take.

A line  y = w x + b  is fitted to 64 points, so the loss is a bowl over the plane of (w, b), and all three start at the
same place on its rim:

- batch: the gradient of all points. Every step goes exactly downhill; each costs a pass over the data.
- stochastic: the gradient of one point. 64 steps for the price of one, each in a direction that is only right on
  average: it gets near the bottom fast and then wanders about there, for ever.
- mini-batch: the gradient of 8 points. The noise shrinks with the square root of the batch, the price grows with it:
  in between lies what is used in practice (and a batch is also what fills a processor's vectors).

The picture shows the three paths over the contours of the loss.
"""

from pathlib import Path

import numpy as np

from fastnn import Tensor, functional, no_grad

KINDS = {"batch": 64, "mini-batch": 8, "stochastic": 1}
START = (-1.5, 2.5)
EPOCHS, RATE = 20, 0.1


def points(rng):
    """Give 64 points about the line y = 2 x - 1."""
    x = rng.uniform(-1, 2, 64)
    return x, 2 * x - 1 + 0.5 * rng.standard_normal(64)


def loss_of(w, b, x, y):
    """Mean squared distance of the points from the line, in the direction of y."""
    return functional.mean((w * x + b - y) ** 2)


def descend(x, y, batch_size, rng):
    """Go downhill for some epochs; give the path (steps + 1, 2)."""
    w, b = (Tensor(np.array(value), requires_grad=True) for value in START)
    path = [START]
    for _ in range(EPOCHS):
        order = rng.permutation(len(x))
        for start in range(0, len(x), batch_size):
            chosen = order[start : start + batch_size]
            loss_of(w, b, x[chosen], y[chosen]).backward()
            with no_grad():
                for parameter in (w, b):
                    parameter -= RATE * parameter.grad
                    parameter.grad = None
            path.append((w.item(), b.item()))
    return np.array(path)


def draw(paths, x, y, bottom, file):
    """Draw the paths over the contours of the loss."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4.6), layout="constrained")
    w, b = np.meshgrid(np.linspace(-2.2, 3.2, 120), np.linspace(-2.4, 3.2, 120))
    loss = np.mean((w[..., None] * x + b[..., None] - y) ** 2, axis=-1)
    for axes, (kind, path) in zip(figure.subplots(1, 3, sharey=True), paths.items(), strict=True):
        axes.contourf(w, b, loss, levels=np.geomspace(loss.min(), loss.max(), 24), cmap="Blues_r", alpha=0.75)
        axes.plot(*path.T, color="#e07b39", linewidth=1.2, marker="o", markersize=2.2)
        axes.plot(*START, "o", color="#333333")
        axes.plot(*bottom, "*", color="white", markeredgecolor="#333333", markersize=14)
        plural = "point" if KINDS[kind] == 1 else "points"
        axes.set(title=f"{kind}: {len(path) - 1} steps of {KINDS[kind]} {plural}", xlabel="w")
    figure.axes[0].set_ylabel("b")
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=130)


def main(picture=None):
    """Descend three times; return the distance from the bottom that each is left with."""
    x, y = points(np.random.default_rng(4))
    bottom = np.polyfit(x, y, 1)
    paths = {kind: descend(x, y, size, np.random.default_rng(0)) for kind, size in KINDS.items()}
    left = {kind: float(np.linalg.norm(path[-1] - bottom)) for kind, path in paths.items()}
    print(f"after {EPOCHS} passes over the data, the distance from the bottom of the bowl is")
    for kind, path in paths.items():
        print(f"    {kind:10s} {left[kind]:.3f} after {len(path) - 1:3d} steps")
    if picture is not None:
        draw(paths, x, y, bottom, picture)
        print(f"picture: {picture}")
    return left


if __name__ == "__main__":
    main("demo/gradient_descent.png")
