"""Ten neurons, each of which answers one question: is this my digit? One-vs-all classification, digit by digit.

The target of an image is a row of ten numbers, 1 for its digit and 0 for all others (`one_hot`). Each neuron computes a
probability of its own with a sigmoid, and is corrected by the cross entropy of two classes, "mine" and "any other": a
neuron knows nothing of the others, and the ten probabilities need not add up to 1. The prediction is the class of the
highest probability.

Beside it, softmax: the same ten neurons, but they share one probability of 1 and learn together. In the picture: what
the neurons look for (their weights), and what they say about some digits, the right answer in green.
"""

from pathlib import Path

import numpy as np

import fastnn
from fastnn import functional, nn, optim
from fastnn.data import mnist_5k, split
from fastnn.train import fit, predict


def one_vs_all(logits, labels):
    """Sum over the ten questions of the cross entropy of each, mean over images."""
    targets = functional.one_hot(labels, 10)
    return functional.binary_cross_entropy_with_logits(logits, targets) * 10


def train(data, loss, progress):
    """Train ten neurons; give the model."""
    fastnn.manual_seed(1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    fit(model, data, loss=loss, optimizer=optim.AdamW(model.parameters(), lr=2e-3), epochs=12, progress=progress)
    return model


def show(digits, labels, probabilities, count=5):
    """Print targets and probabilities of some digits."""
    print("target (one_hot) and what the ten neurons say:")
    for label, target, row in zip(labels[:count], functional.one_hot(labels[:count], 10), probabilities, strict=False):
        print(f"    {label}: {' '.join(map(str, target))}   {' '.join(f'{p:4.2f}' for p in row)}   -> {row.argmax()}")


def draw(model, digits, labels, probabilities, file):
    """Draw the weights of the neurons, and their answers to ten digits."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 5.2), layout="constrained")
    rows = figure.subplots(3, 10, height_ratios=(1, 1, 1.1))
    weights = model[1].weight.numpy().reshape(10, 28, 28)
    largest = np.quantile(np.abs(weights), 0.99)
    for k in range(10):
        rows[0, k].imshow(weights[k], cmap="RdBu_r", vmin=-largest, vmax=largest)
        rows[0, k].set_title(f"neuron {k}", fontsize=13)
        chosen = np.flatnonzero(labels == k)[1]
        rows[1, k].imshow(np.asarray(digits[chosen]).reshape(28, 28), cmap="gray_r")
        colours = ["#2a9d4a" if c == k else "#b0b7c3" for c in range(10)]
        rows[2, k].bar(range(10), probabilities[chosen], color=colours)
        rows[2, k].set(ylim=(0, 1), xticks=range(0, 10, 3), yticks=(0, 0.5, 1) if k == 0 else (), xlabel="class")
        for axes in rows[:2, k]:
            axes.set(xticks=(), yticks=())
    for axes, name in zip(rows[:, 0], ("weights", "digit", "probabilities"), strict=True):
        axes.set_ylabel(name, fontsize=13)
    figure.suptitle("Ten neurons: what speaks for (red) and against (blue) each class, and what all say of ten digits")
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110)


def main(picture=None, progress=True):
    """Train both ways; return the share of test digits that each gets right."""
    data, (digits, labels) = split(*mnist_5k(), (4000, 1000))
    model = train(data, one_vs_all, progress)
    logits = predict(model, digits)
    probabilities = functional.sigmoid(logits)
    show(digits, labels, probabilities)
    together = predict(train(data, functional.cross_entropy, progress), digits)
    right = {
        "one vs all": float((probabilities.argmax(1) == labels).mean()),
        "softmax": float((together.argmax(1) == labels).mean()),
    }
    sums = probabilities.sum(1)
    print(f"the ten probabilities of an image add up to {sums.min():.2f} .. {sums.max():.2f}")
    print("   ".join(f"{name}: {share:.1%} right" for name, share in right.items()))
    if picture is not None:
        draw(model, digits, labels, probabilities, picture)
        print(f"picture: {picture}")
    return right


if __name__ == "__main__":
    main("demo/one_vs_all.png")
