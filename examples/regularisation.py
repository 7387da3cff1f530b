"""What keeps a net from learning its examples by heart: L1, L2, dropout, early stopping, augmentation.

A net with 100,000 weights gets 500 digits, of which every fifth has a wrong label, as happens. It learns all of them,
the mistakes as well, and pays for it on digits it has never seen: it has overfitted. Then the same net with one remedy
each:

- L2 pulls every weight towards zero in proportion to its size: all become smaller, few become zero.
- L1 pulls all with the same force: what the data does not hold up ends at zero. Nine weights of ten are gone at the
  end, and the net reads as well as before; the histograms show it.
- Dropout hides half of the hidden units at random, so that none can rely on another.
- Early stopping looks at a fifth of the digits that is put aside, and keeps the weights that read those best.
- Augmentation turns, scales, shifts and bends the digits: no two epochs show the same ones, and nothing that is shown
  only once can be learned by heart.

All but the last have nothing but the digits themselves. It alone brings in new knowledge, namely what does not change
a digit.
"""

import math
from pathlib import Path

import numpy as np

import fastnn
from fastnn import functional, nn, optim
from fastnn.data import Affine, Compose, Elastic, mnist_5k, split
from fastnn.train import EarlyStopping, evaluate, fit

EPOCHS, WRONG = 80, 0.2


def network(drop=0.0):
    """Give a net that is much too large for 500 digits."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 120), nn.ReLU(), nn.Dropout(drop), nn.Linear(120, 60), nn.ReLU(), nn.Dropout(drop),
        nn.Linear(60, 10),
    )  # fmt: skip


def weights(model):
    """Give all weights but the biases."""
    return np.concatenate([p.numpy().ravel() for p in model.parameters() if p.ndim == 2])


def main(path=None, epochs=EPOCHS, progress=False):
    """Train the net with each remedy; return the shares of labels learned, digits read and weights near zero."""
    images, labels = mnist_5k()
    (x, truth), test = split(images, labels, (500, 1000), seed=0)
    rng = np.random.default_rng(0)
    mistaken = rng.random(500) < WRONG
    train = x, np.where(mistaken, (truth + rng.integers(1, 10, 500)) % 10, truth)
    augment = Compose(Affine(12, scale=(0.85, 1.15), shear=8, shift=2.0), Elastic(30, 5))
    cases = {  # (options of the optimizer, dropout, options of fit)
        "nothing": ({}, 0.0, {}),
        "L2": ({"weight_decay": 3e-2}, 0.0, {}),
        "L1": ({"l1": 1.5e-3}, 0.0, {}),
        "dropout": ({}, 0.5, {}),
        "early stopping": ({}, 0.0, {"validation_split": 0.2}),
        "augmentation": ({}, 0.0, {"transform": augment}),
    }
    reached, nets, histories = {}, {}, {}
    for name, (settings, drop, options) in cases.items():
        fastnn.manual_seed(0)
        nets[name] = model = network(drop)
        if name == "early stopping":
            options = {**options, "callbacks": [EarlyStopping("val_accuracy", patience=10)]}
        else:
            options = {**options, "validation": test}
        histories[name] = fit(
            model, train, loss=functional.cross_entropy, batch_size=25, epochs=epochs, metrics=["accuracy"],
            optimizer=optim.SGD(model.parameters(), lr=0.01, momentum=0.9, **settings),
            schedule=lambda done: (1 + math.cos(math.pi * done)) / 2, progress=progress, **options,
        )  # fmt: skip
        known = evaluate(model, train, metrics=["accuracy"])["accuracy"]
        new = evaluate(model, test, metrics=["accuracy"])["accuracy"]
        zeros = float(np.mean(np.abs(weights(model)) < 1e-3))
        reached[name] = {"known": known, "new": new, "zeros": zeros, "epochs": len(histories[name])}
        print(f"{name:>14}: {known:6.1%} of the 500 labels learned, {new:6.1%} of 1,000 new digits read, "
              f"{zeros:6.1%} of the weights below 0.001, {len(histories[name])} epochs")  # fmt: skip
    if path is not None:
        draw(path, reached, nets, histories)
    return reached


def draw(path, reached, nets, histories):
    """Draw what each remedy reached, how the loss on new digits went, and where the weights ended."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 7), layout="constrained")
    top, bottom = figure.subfigures(2, 1)
    bars, curves = top.subplots(1, 2)
    names = list(reached)
    bars.barh(
        names,
        [100 * reached[name]["known"] for name in names],
        color="#cfd8e3",
        label="labels learned, of which 20 % are wrong",
    )
    bars.barh(
        names, [100 * reached[name]["new"] for name in names], color="#2a6fbb", height=0.5, label="new digits read"
    )
    for i, name in enumerate(names):
        bars.text(
            100 * reached[name]["new"] - 1, i, f"{reached[name]['new']:.1%}", color="white", ha="right", va="center"
        )
    bars.invert_yaxis()
    bars.set(xlim=(0, 100.5), title="what is learned, and what it is good for, in %")
    bars.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=2)
    for name in ("nothing", "L2", "L1", "dropout", "augmentation"):
        losses = histories[name]["val_loss"]
        curves.plot(range(1, len(losses) + 1), losses, label=name, linewidth=1.6)
    curves.set(xlabel="epoch", title="loss on new digits: without a remedy it rises again", ylim=(0.2, 2.4))
    curves.legend(frameon=False)
    histograms = bottom.subplots(1, 3, sharey=True)
    histograms[0].set_ylabel("number of weights")
    for axes, name in zip(histograms, ("nothing", "L2", "L1"), strict=True):
        axes.hist(weights(nets[name]), bins=np.linspace(-0.15, 0.15, 101), color="#e07b39")
        axes.set(title=f"weights with {name}: {reached[name]['zeros']:.0%} below 0.001", yscale="log", xlabel="weight")
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    print(f"picture: {path}")


if __name__ == "__main__":
    main("demo/regularisation.png")
