"""A net that learns to read handwritten digits, what it has learned, and the kernels that carried it."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import fastnn
from fastnn import functional, nn, optim
from fastnn.data import DataLoader, Shift, mnist_5k, split
from fastnn.demo.kernel_table import print_table
from fastnn.train import Run, confusion_matrix, fit, plots, predict

TARGET, LEARNING_RATE = 0.97, 2e-3


def network() -> nn.Sequential:
    """Give two convolutions with pooling and two linear layers, in the manner of LeNet-5 (LeCun et al., 1998)."""
    return nn.Sequential(
        nn.Conv2d(1, 16, kernel_size=5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, kernel_size=5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.4),
        nn.Linear(32 * 5 * 5, 120),
        nn.ReLU(),
        nn.Linear(120, 10),
    )


def run(folder: str | os.PathLike[str] = "demo", *, epochs: int = 16, seed: int = 0) -> float:
    """Train on 4,000 digits, test on 1,000, save four pictures, print the kernel table; give the accuracy reached."""
    started = time.perf_counter()
    images, labels = mnist_5k()
    train, (x_test, y_test) = split(images, labels, (4000, 1000), seed=0)
    fastnn.manual_seed(seed)
    model = network()
    optimizer = optim.Adam(model.parameters(), lr=LEARNING_RATE)
    weights = sum(parameter.numel() for parameter in model.parameters())
    print(f"A CNN with {weights:,} weights learns from 4,000 handwritten digits (MNIST), shifted by up to two pixels.")

    fastnn.warmup(model, (32, 1, 28, 28), loss=functional.cross_entropy, target=y_test[:32], optimizer=optimizer)
    trained = time.perf_counter()
    batches = DataLoader(train, batch_size=32, shuffle=True, transform=Shift(2))
    history = fit(
        model,
        batches,
        loss=functional.cross_entropy,
        optimizer=optimizer,
        epochs=epochs,
        validation=(x_test, y_test),
        metrics=["accuracy"],
        callbacks=[_smaller_steps_towards_the_end],
    )
    seconds = time.perf_counter() - trained
    if history.stopped != "finished":
        sys.exit(history.stopped)

    output = predict(model, x_test)
    matrix = confusion_matrix(output, y_test)
    accuracy = float(matrix.trace() / matrix.sum())
    print(f"Reads {accuracy:.1%} of 1,000 digits it has never seen, after {seconds:.1f} s of training.")

    folder = Path(folder)
    pictures: dict[str, Callable[[Path], object]] = {
        "learning_curves.png": lambda path: history.plot(path),
        "confusion_matrix.png": lambda path: plots.plot_confusion(matrix, path),
        "filters.png": lambda path: plots.plot_filters(model[0].weight, path),
        "misread.png": lambda path: plots.plot_misread(x_test, y_test, output, path),
    }
    try:
        for name, draw in pictures.items():
            draw(folder / name)
        print(f"Pictures: {', '.join(str(folder / name) for name in pictures)}")
    except ImportError as error:
        print(f"No pictures: {error}")

    print()
    print_table()
    print(f"\naccuracy {accuracy:.1%} ({'as expected' if accuracy >= TARGET else f'below the {TARGET:.0%} expected'}), "
          f"{time.perf_counter() - started:.1f} s in all")  # fmt: skip
    return accuracy


def _smaller_steps_towards_the_end(run: Run) -> None:
    """Let the learning rate fall like half a cosine (Loshchilov & Hutter, 2017): weights come to rest."""
    run.optimizer.lr = LEARNING_RATE * (1 + math.cos(math.pi * run.epoch / run.epochs)) / 2
