"""Handwritten digits with a convolutional network, and what can be done once it has learned.

A convolution looks at small patches and shares its weights over the whole image: a stroke is a stroke wherever it is.
So 4,000 digits are enough for what a fully connected net does not reach with them. Three things keep the net from
learning its training images by heart: every epoch sees them shifted by up to two pixels, dropout hides two in five of
the features that the last layers could rely on, and early stopping keeps the weights that did best on 500 digits that
were set aside.

The test digits are touched once, at the end: that is what makes their figure honest.
"""

import math
from pathlib import Path

import numpy as np

import fastnn
from fastnn import functional, nn, optim
from fastnn.data import Shift, mnist_5k, split
from fastnn.train import Checkpoint, EarlyStopping, evaluate, fit, predict


def network():
    """Give two convolutions and two linear layers, in the manner of LeNet-5 (LeCun et al., 1998)."""
    return nn.Sequential(
        nn.Conv2d(1, 16, kernel_size=5, padding=2), nn.ReLU(), nn.MaxPool2d(2),  # 16 x 14 x 14
        nn.Conv2d(16, 32, kernel_size=5), nn.ReLU(), nn.MaxPool2d(2),  # 32 x 5 x 5
        nn.Flatten(), nn.Dropout(0.4), nn.Linear(800, 120), nn.ReLU(), nn.Linear(120, 10),
    )  # fmt: skip


def main(epochs=12, progress=True, folder=None):
    """Train, save, load, use; return the accuracy on 1,000 digits held out. Pictures go to `folder` if given."""
    fastnn.manual_seed(0)
    images, labels = mnist_5k()
    train, validation, test = split(images, labels, (3500, 500, 1000), seed=0)

    model = network()
    callbacks = [EarlyStopping("val_accuracy", patience=5)]
    if folder is not None:
        callbacks.append(Checkpoint(Path(folder) / "digits.safetensors"))
    history = fit(
        model,
        train,
        transform=Shift(2),
        validation=validation,
        loss=functional.cross_entropy,
        optimizer=optim.Adam(model.parameters(), lr=2e-3),
        schedule=lambda done: (1 + math.cos(math.pi * done)) / 2,
        epochs=epochs,
        metrics=["accuracy"],
        callbacks=callbacks,
        progress=progress,
    )
    figures = evaluate(model, test, loss=functional.cross_entropy, metrics=["accuracy", "top2"])
    print(f"on 1,000 digits never seen: {figures['accuracy']:.1%}, right or second guess right {figures['top2']:.1%}")

    digit, truth = test[0][:1], test[1][0]
    probability = functional.softmax(predict(model, digit), dim=1)[0]
    print(f"the first of them is a {truth}; read as {np.argmax(probability)} with probability {probability.max():.3f}")
    if folder is not None:
        history.plot(Path(folder) / "learning_curves.png")
    return figures["accuracy"]


if __name__ == "__main__":
    main(folder="demo")
