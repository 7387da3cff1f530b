"""Activation functions and their derivatives, and why deep networks of some of them stop learning.

Three pictures:

- every function of `fastnn` with its derivative, both computed by it;
- the vanishing gradient: a chain of ten layers multiplies the slopes of ten activations. The sigmoid's is at most 1/4,
  and far from 0 next to nothing; tanh's is 1 only at 0. ReLU's is 1 wherever a neuron is active;
- dying ReLU: a neuron whose sum is negative for all inputs gets no gradient, and so stays dead. LeakyReLU and PReLU
  let a little through, and it comes back.
"""

from pathlib import Path

import numpy as np

from fastnn import Tensor, manual_seed, nn
from fastnn import functional as F
from fastnn.optim import SGD

# with the values for parameters that have none, or whose usual ones show little
SHOWN = {
    "identity": (), "binary_step": (0.5,), "bipolar_step": (0.5,), "sigmoid": (), "logsigmoid": (), "tanh": (),
    "tanhshrink": (), "softsign": (), "erf": (), "hardsigmoid": (), "hardtanh": (), "hardswish": (),
    "hardshrink": (1.0,), "softshrink": (1.0,), "threshold": (0.5, -1.0), "relu": (), "relu6": (),
    "leaky_relu": (0.1,), "elu": (), "selu": (), "celu": (2.0,), "softplus": (), "silu": (), "mish": (), "gelu": (),
}  # fmt: skip
BLUE, ORANGE = "#2b6cb0", "#dd6b20"


def value_and_slope(function, x, *parameters):
    """Compute a function and its derivative at points."""
    tensor = Tensor(x, requires_grad=True)
    y = function(tensor, *parameters)
    y.sum().backward()
    return y.numpy(), tensor.grad


def draw_all(file):
    """Draw every function and its derivative."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 13), layout="constrained")
    x = np.linspace(-8, 8, 1601)
    for axes, (name, parameters) in zip(figure.subplots(5, 5).flat, SHOWN.items(), strict=True):
        y, slope = value_and_slope(getattr(F, name), x, *parameters)
        axes.axhline(0, color="#cccccc", linewidth=0.8)
        axes.axvline(0, color="#cccccc", linewidth=0.8)
        jumps = np.abs(np.diff(y)) > 0.5  # where a line would claim values in between
        y[1:][jumps] = np.nan
        axes.plot(x, y, color=BLUE, linewidth=2)
        axes.plot(x, slope, color=ORANGE, linewidth=1.4, linestyle="--")
        low, high = (-8, 8) if np.nanmax(np.abs(y)) > 3 else (-1.7, 1.7)
        axes.set(xlim=(-8, 8), ylim=(low, high))
        given = f"({', '.join(f'{p:g}' for p in parameters)})" if parameters else ""
        axes.set_title(name + given, fontsize=11)
    figure.legend(
        [axes.lines[2], axes.lines[3]],
        ["the function", "its derivative"],
        loc="outside lower center",
        ncols=2,
        fontsize=12,
    )
    save(figure, file)


def vanishing(depth=10):
    """Return the gradient that is left after `depth` activations in a row, by name, at the points -10, 0, 10."""
    left = {}
    for name in ("sigmoid", "tanh", "relu"):
        _, slope = value_and_slope(getattr(F, name), np.array([-10.0, 0.0, 10.0]))
        left[name] = slope, slope**depth
    return left


def draw_vanishing(file, depth=10):
    """Draw the slopes with the three points, and the product of many of them."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4.4), layout="constrained")
    x = np.linspace(-12, 12, 1201)
    points = np.array([-10.0, 0.0, 10.0])
    for axes, name in zip(figure.subplots(1, 3), ("sigmoid", "tanh", "relu"), strict=True):
        function = getattr(F, name)
        y, slope = value_and_slope(function, x)
        axes.plot(x, y, color=BLUE, linewidth=2, label=name)
        axes.plot(x, slope, color=ORANGE, linewidth=1.6, linestyle="--", label="its derivative")
        for at, height in zip(points, value_and_slope(function, points)[1], strict=True):
            axes.plot(at, height, "o", color=ORANGE)
            after = f"{height**depth:.0e}" if 0 < height < 1 else f"{height:.0f}"
            place = {-10: (-11.8, 0.12, "left"), 0: (-0.9, 0.12, "right"), 10: (10, 0.12, "right")}[int(at)]
            text = f"slope {height:.2g}\nafter {depth}: {after}"
            axes.annotate(text, (at, height), (place[0], height + place[1]), ha=place[2], fontsize=9)
        axes.set(ylim=(-1.3, 1.6), title=name)
        axes.legend(loc="lower right", fontsize=9)
    figure.suptitle(f"The slope at -10, 0 and 10, and what is left of a gradient after {depth} layers of it")
    save(figure, file)


def revive(activation, steps=200):
    """Train one neuron that starts dead: its bias is so low that its sum is negative for all inputs."""
    manual_seed(0)
    x = np.random.default_rng(0).uniform(-1, 1, (256, 1)).astype(np.float32)
    y = np.maximum(2 * x + 1, 0)
    neuron = nn.Linear(1, 1)
    neuron.weight.data = np.ones((1, 1), np.float32)
    neuron.bias.data = np.full(1, -2.0, np.float32)
    model = nn.Sequential(neuron, activation)
    optimizer = SGD(model.parameters(), lr=0.2)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def draw_dying(losses, file):
    """Draw how the loss of the dead neuron falls, or does not."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.4), layout="constrained")
    axes = figure.subplots()
    for (name, values), color in zip(losses.items(), ("#c53030", BLUE, ORANGE), strict=True):
        axes.semilogy(values, label=name, color=color, linewidth=2)
    axes.set(xlabel="step", ylabel="loss", title="A neuron that starts dead, with three activations")
    axes.legend()
    save(figure, file)


def save(figure, file):
    """Write a picture."""
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=120)


def main(folder=None):
    """Compare slopes and revivals; draw them into a folder. Return what is left of gradients, and the last losses."""
    left = vanishing()
    print("slope at -10, 0, 10, and the product of ten of them:")
    for name, (slope, product) in left.items():
        print(f"    {name:8s} {np.array2string(slope, precision=2)}   {np.array2string(product, precision=2)}")
    losses = {
        "ReLU": revive(nn.ReLU()), "LeakyReLU(0.1)": revive(nn.LeakyReLU(0.1)), "PReLU": revive(nn.PReLU()),
    }  # fmt: skip
    print("a neuron that starts dead, its loss before and after 200 steps:")
    for name, values in losses.items():
        print(f"    {name:15s} {values[0]:.3f} -> {values[-1]:.5f}")
    if folder is not None:
        draw_all(Path(folder) / "activations.png")
        draw_vanishing(Path(folder) / "vanishing_gradient.png")
        draw_dying(losses, Path(folder) / "dying_relu.png")
        print(f"pictures: {folder}")
    return {name: product for name, (_, product) in left.items()}, {name: values[-1] for name, values in losses.items()}


if __name__ == "__main__":
    main("demo")
