"""All optimizers on two landscapes that are hard for different reasons, and the paths they take.

- Beale's function has a nearly flat plain between steep walls. Plain gradient descent, whose steps are as long as the
  slope is steep, is thrown about by the walls or creeps over the plain. Methods that divide by the size of past
  gradients take even steps on both; those that never forget a gradient (Adagrad) or have to grow their steps first
  (Adadelta) are late. AdamW's decay pulls towards 0, and its path ends beside the minimum.
- Rosenbrock's function has a narrow curved valley: its walls are easy to find, its bottom falls by next to nothing.
  Momentum helps, curvature helps more: L-BFGS is there in a tenth of momentum's steps, most not after all of them.

Learning rates were tuned by hand for each method and landscape. RAdam's stay small: it begins as momentum without any
division, and so has to begin as carefully. In the picture all paths go from the square towards the star, the minimum,
over contours that are a constant factor apart; dots are where they are after 400 steps.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from fastnn import Tensor, optim


class Landscape(NamedTuple):
    """A function of the plane, where to start, where its minimum is, and what of it to draw."""

    name: str
    function: object
    start: tuple
    bottom: tuple
    x: tuple
    y: tuple


def beale(x, y):
    """(1.5 - x + x y)^2 + (2.25 - x + x y^2)^2 + (2.625 - x + x y^3)^2 (Beale, 1958)."""
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


def rosenbrock(x, y):
    """(1 - x)^2 + 100 (y - x^2)^2 (Rosenbrock, 1960)."""
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


LANDSCAPES = (
    Landscape("Beale", beale, (0.6, 1.4), (3.0, 0.5), (-0.2, 4.0), (-1.2, 1.8)),
    Landscape("Rosenbrock", rosenbrock, (-1.2, 1.7), (1.0, 1.0), (-1.9, 1.6), (-0.6, 2.2)),
)
STEPS = 400
# by family: class, settings, and the learning rates on the two landscapes
FAMILIES = {
    "gradient descent": {
        "SGD": (optim.SGD, {}, (0.02, 0.002)),
        "momentum": (optim.SGD, {"momentum": 0.9}, (0.003, 0.002)),
        "Nesterov": (optim.SGD, {"momentum": 0.9, "nesterov": True}, (0.003, 0.001)),
    },
    "Adam and descendants": {
        "Adam": (optim.Adam, {}, (0.2, 0.2)),
        "AdamW": (optim.AdamW, {"weight_decay": 0.1}, (0.1, 0.1)),
        "NAdam": (optim.NAdam, {}, (0.1, 0.05)),
        "RAdam": (optim.RAdam, {"betas": (0.9, 0.95)}, (0.02, 0.003)),
        "Adamax": (optim.Adamax, {}, (0.3, 0.2)),
    },
    "divided by past gradients": {
        "RMSprop": (optim.RMSprop, {"alpha": 0.9}, (0.01, 0.01)),
        "Adagrad": (optim.Adagrad, {}, (0.5, 0.2)),
        "Adadelta": (optim.Adadelta, {"eps": 1e-5}, (1.0, 1.0)),
    },
    "signs, curvature": {
        "Lion": (optim.Lion, {}, (0.01, 0.01)),
        "L-BFGS": (optim.LBFGS, {"max_iter": 1, "max_eval": 20, "line_search_fn": "strong_wolfe"}, (1.0, 1.0)),
    },
}
COLOURS = ("#e66101", "#7b3294", "#008837", "#d01c8b", "#1a1a1a")


def descend(landscape, make, settings, rate):
    """Go downhill; give the path (steps + 1, 2)."""
    point = Tensor(np.array(landscape.start), requires_grad=True)
    optimizer = make([point], lr=rate, **settings)

    def closure():
        optimizer.zero_grad()
        loss = landscape.function(point[0], point[1])
        loss.backward()
        return loss

    path = [landscape.start]
    for _ in range(STEPS):
        optimizer.step(closure)
        path.append(tuple(point.numpy()))
    return np.array(path)


def draw(paths, file):
    """Draw the paths over contours of the functions: a row per landscape, a column per family."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(19, 10.5), layout="constrained")
    panels = figure.subplots(2, len(FAMILIES), sharex="row", sharey="row")
    for landscape, row in zip(LANDSCAPES, panels, strict=True):
        x, y = np.meshgrid(np.linspace(*landscape.x, 400), np.linspace(*landscape.y, 400))
        height = landscape.function(x, y)
        levels = np.geomspace(1e-3, height.max(), 24)
        for axes, (family, members) in zip(row, FAMILIES.items(), strict=True):
            axes.contourf(x, y, height, levels=[0, *levels], norm="log", cmap="Blues_r", vmin=1e-2)
            axes.contour(x, y, height, levels=levels, colors="white", linewidths=0.5)
            for number, (name, colour) in enumerate(zip(members, COLOURS, strict=False)):
                path, width = paths[landscape.name][name], 4.4 - 0.8 * number  # where paths coincide, all show
                axes.plot(*path.T, color=colour, linewidth=width, label=name)
                axes.plot(*path[-1], "o", color=colour, markeredgecolor="white", markersize=10, zorder=4)
            axes.plot(*landscape.start, "s", color="#333333", markeredgecolor="white", markersize=9)
            axes.plot(*landscape.bottom, "*", color="white", markeredgecolor="#333333", markersize=26, zorder=3)
            axes.set(xlim=landscape.x, ylim=landscape.y)
            axes.tick_params(labelsize=12)
            if landscape is LANDSCAPES[0]:
                axes.set_title(family, fontsize=17, pad=12)
            else:
                axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=2, fontsize=15, frameon=False)
        row[0].set_ylabel(f"{landscape.name}'s function", fontsize=17)
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110)


def main(picture=None):
    """Descend with all of them; return the distance from the minimum that each is left with, per landscape."""
    members = {name: entry for family in FAMILIES.values() for name, entry in family.items()}
    paths = {
        landscape.name: {
            name: descend(landscape, make, settings, rates[number]) for name, (make, settings, rates) in members.items()
        }
        for number, landscape in enumerate(LANDSCAPES)
    }
    left = {
        landscape.name: {
            name: float(np.linalg.norm(path[-1] - landscape.bottom)) for name, path in paths[landscape.name].items()
        }
        for landscape in LANDSCAPES
    }
    print(f"distance from the minimum after {STEPS} steps" + "".join(f"{name:>13s}" for name in left))
    for name in members:
        print(f"    {name:38s}" + "".join(f"{distances[name]:13.1e}" for distances in left.values()))
    if picture is not None:
        draw(paths, picture)
        print(f"picture: {picture}")
    return left


if __name__ == "__main__":
    main("demo/optimizers.png")
